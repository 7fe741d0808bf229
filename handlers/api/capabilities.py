"""``GET /v1/capabilities``: what this deployment offers, for building a form from."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from domain.asset import part_count, part_size
from domain.audio import FORMATS
from domain.catalog import Limits, Model
from handlers.api.service import Api


class FormatBody(Struct, frozen=True):
    """max_rate: Hz; a song above it needs another format, since stems are never resampled."""

    name: str
    extension: str
    media_type: str
    max_rate: int


class PartRule(Struct, frozen=True):
    """How uploads are cut; each upload's answer names its own part_size.

    smallest: bytes of a part, whatever the file; largest, most_parts: at the size limit.
    """

    smallest: int
    largest: int
    most_parts: int
    urls_per_answer: int


class Capabilities(Struct, frozen=True, kw_only=True):
    """credits_per_second: a decimal as text; one credit is one second at the standard model."""

    models: list[Model]
    default_model: str
    formats: list[FormatBody]
    default_format: str
    limits: Limits
    price_list: str
    upload_parts: PartRule


@get(
    "/capabilities",
    summary="What is on offer",
    operation_id="getCapabilities",
    response_description="What is on offer.",
    tags=["capabilities"],
)
async def capabilities(service: Api) -> Capabilities:
    """Models, stems, formats, limits and prices. Needs no token."""
    catalog = service.application.catalog
    most = catalog.limits.max_bytes
    return Capabilities(
        models=list(catalog.models.values()),
        default_model=catalog.default_model,
        formats=[
            FormatBody(f.name, f.extension, f.media_type, f.max_rate) for f in FORMATS.values()
        ],
        default_format="flac",
        limits=catalog.limits,
        price_list=catalog.price_list,
        upload_parts=PartRule(part_size(1), part_size(most), part_count(most), 500),
    )

"""``GET /v1/capabilities``: what this deployment offers, for building a form from."""

from __future__ import annotations

from litestar import get
from msgspec import Struct
from msgspec.structs import asdict

from domain.asset import part_count, part_size
from domain.audio import FORMATS
from domain.catalog import Limits, Model
from domain.controls import INTAKE, ControlsState, of_model
from domain.stems import outputs
from handlers.api.service import Api


class FormatBody(Struct, frozen=True):
    """max_rate: Hz; a song above it needs another format, since stems are never resampled.

    rates: the only ones that it carries; all up to max_rate where empty. lossless: decoding gives
    the samples again. floating: carries samples over full scale, so that no gain is needed.
    """

    name: str
    extension: str
    media_type: str
    max_rate: int
    rates: tuple[int, ...]
    lossless: bool
    floating: bool


class PausedBody(Struct, frozen=True):
    """Shut by the operators for a while. retry_after: seconds until it is worth trying again."""

    reason: str
    retry_after: int


class OfferedModel(Model, frozen=True):
    """One way of separating. outputs: what may be asked for: the stems, and for each
    ``no_<stem>``, the song without it. adds_up: whether the stems add up to the mix, because the
    last one takes the remainder.

    takes_prompt: needs words that name the target; prompts: the only ones that it understands, any
    where empty. hosted: runs at a provider, where the song is sent. gpu: meant for machines with
    one. version: of the weights; stems of another version are not given again.
    credits_per_second: a decimal as text ("1", "1.5"), exact, relative to the standard
    model's 1. approximate: stems made by signal processing, without a trained network.
    paused: new jobs with it are refused for now; null while it is open.
    """

    outputs: tuple[str, ...] = ()
    paused: PausedBody | None = None


class PartRule(Struct, frozen=True):
    """How uploads are cut; each upload's answer names its own part_size.

    smallest: bytes of a part, whatever the file; largest, most_parts: at the size limit.
    """

    smallest: int
    largest: int
    most_parts: int
    urls_per_answer: int


class Capabilities(Struct, frozen=True, kw_only=True):
    """credits_per_second: a decimal as text; one credit is one second at the standard model.

    paused: no uploads and no jobs are taken for now; null while they are.
    """

    models: list[OfferedModel]
    default_model: str
    formats: list[FormatBody]
    default_format: str
    limits: Limits
    price_list: str
    upload_parts: PartRule
    paused: PausedBody | None


@get(
    "/capabilities",
    summary="What is on offer",
    operation_id="getCapabilities",
    response_description="What is on offer.",
    tags=["capabilities"],
)
async def capabilities(service: Api) -> Capabilities:
    """Models, stems, formats, limits, prices, and what is paused. Needs no token."""
    application = service.application
    catalog = application.catalog
    state = await service.run(application.switchboard.state)
    most = catalog.limits.max_bytes
    return Capabilities(
        models=[
            OfferedModel(
                **asdict(model),
                outputs=outputs(model.stems),
                paused=_paused(state, of_model(model.name)),
            )
            for model in catalog.models.values()
        ],
        default_model=catalog.default_model,
        formats=[
            FormatBody(
                f.name, f.extension, f.media_type, f.max_rate, f.rates, f.lossless, f.floating
            )
            for f in FORMATS.values()
        ],
        default_format="flac",
        limits=catalog.limits,
        price_list=catalog.price_list,
        upload_parts=PartRule(part_size(1), part_size(most), part_count(most), 500),
        paused=_paused(state, INTAKE),
    )


def _paused(state: ControlsState, subject: str) -> PausedBody | None:
    switch = state.paused.get(subject)
    return PausedBody(switch.reason, switch.retry_seconds) if switch else None

"""``/v1/library``: what a user has uploaded, and what became of it."""

from __future__ import annotations

from litestar import Response, Router, get
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from handlers.api.listing import listed
from handlers.api.openapi import problems
from handlers.api.paging import Cursor, Limit, MinVersion
from handlers.api.renderings import (
    AssetStatus,
    AudioFacts,
    Failure,
    Moment,
    audio_facts,
    moment,
)
from handlers.api.requests import ApiRequest, known_id
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.service import Api, Service
from projections import LIBRARY_VIEW
from projections.library import AssetView
from projections.query import Versioned


class Asset(Struct, frozen=True, kw_only=True):
    """An upload. status: uploading, uploaded (being probed), ready, rejected or aborted."""

    asset_id: str
    filename: str
    content_type: str
    size: int
    status: AssetStatus
    audio: AudioFacts | None
    container: str
    codec: str
    failure: Failure | None
    created_at: Moment
    changed_at: Moment
    stream: str
    version: int


class AssetPage(Struct, frozen=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Asset]
    cursor: str | None


@get(
    "/",
    responses=NOT_MODIFIED | problems(401, 404, 409, 422),
    summary="List the library",
    operation_id="listLibrary",
    response_description="A page of uploads.",
)
async def list_assets(
    request: ApiRequest,
    service: Api,
    limit: Limit = 20,
    cursor: Cursor = None,
    stream: FromQuery[str | None] = None,
    min_version: MinVersion = 1,
) -> Response[AssetPage]:
    """Uploads, newest first. With a command's stream and version, that write is in the list."""
    page = await listed(service, LIBRARY_VIEW, request.user, limit, cursor, stream, min_version)
    return answered(request, AssetPage([_render(item) for item in page.items], page.cursor))


@get(
    "/{asset_id:str}",
    responses=NOT_MODIFIED | problems(401, 404, 409, 422),
    summary="One upload",
    operation_id="getAsset",
    response_description="The upload.",
)
async def show_asset(
    asset_id: FromPath[str], request: ApiRequest, service: Api, min_version: MinVersion = 1
) -> Response[Asset]:
    """One upload and what the probe found; at least as new as what this process last told."""
    known_id("ast", asset_id)
    found = await _own(service, request.user, asset_id, min_version)
    return answered(request, _render(found))


async def _own(
    service: Service, user_id: str, asset_id: str, min_version: int
) -> Versioned[AssetView]:
    return await service.own(LIBRARY_VIEW, f"asset-{asset_id}", user_id, min_version)


def _render(found: Versioned[AssetView]) -> Asset:
    view = found.view
    return Asset(
        asset_id=view.asset_id,
        filename=view.filename,
        content_type=view.content_type,
        size=view.size,
        status=view.status,
        audio=audio_facts(view.audio),
        container=view.container,
        codec=view.codec,
        failure=Failure(view.failure, view.detail) if view.failure else None,
        created_at=moment(view.created),
        changed_at=moment(view.changed),
        stream=found.stream,
        version=found.version,
    )


LIBRARY = Router("/library", route_handlers=[list_assets, show_asset], tags=["library"])

"""``/v1/library``: what a user has uploaded, and what became of it."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta as Rule
from msgspec import Struct

from commands import DeleteAsset, RenameAsset, RestoreAsset, TagAsset
from commands.dispatch import Command
from domain import tags
from domain.errors import AssetGone
from domain.retention import days_left, earliest
from handlers.api.listing import listed, require_stream
from handlers.api.names import name_of, tags_of
from handlers.api.openapi import problems
from handlers.api.paging import Cursor, Limit, MinVersion, own_stream
from handlers.api.patterns import FILENAME, VISIBLE
from handlers.api.renderings import (
    AssetStatus,
    AudioFacts,
    Failure,
    Moment,
    audio_facts,
    moment,
    moment_or_none,
)
from handlers.api.requests import ApiRequest, known_id
from handlers.api.revalidation import NOT_MODIFIED, answered
from handlers.api.searching import Search, search
from handlers.api.service import Api, Service
from projections import LIBRARY_VIEW
from projections.library import AssetView
from projections.query import Versioned


class Asset(Struct, frozen=True, kw_only=True):
    """An upload. status: uploading, uploaded (being probed), ready, rejected or aborted.

    filename: ``(erased)`` once the account is. expires_at: when its bytes go, deleted or by the
    time they are kept, in days_left days; null where they are kept. deleted_until: until then a
    deleted one can be had back. purged: its bytes are gone.
    """

    asset_id: str
    filename: str
    tags: list[str]
    content_type: str
    size: int
    status: AssetStatus
    audio: AudioFacts | None
    container: str
    codec: str
    failure: Failure | None
    created_at: Moment
    changed_at: Moment
    expires_at: Moment | None
    days_left: int | None
    deleted_until: Moment | None
    purged: bool
    stream: str
    version: int


class AssetPage(Struct, frozen=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Asset]
    cursor: str | None


AssetStream = Annotated[str | None, own_stream("asset", "ast")]
Text = Annotated[str, QueryParameter(max_length=200, description="Case and accents are ignored.")]
Status = Annotated[
    Literal["uploading", "uploaded", "ready", "rejected", "aborted"] | None, QueryParameter()
]
Deleted = Annotated[Literal["exclude", "only"] | None, QueryParameter()]
Sort = Annotated[
    Literal["created", "-created", "name", "-name", "length", "-length"] | None,
    QueryParameter(description="`-` for descending."),
]


@get(
    "/",
    opt={"scope": "read"},
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
    stream: AssetStream = None,
    min_version: MinVersion = 1,
    q: Text = "",
    tag: Text = "",
    status: Status = None,
    deleted: Deleted = None,
    sort: Sort = None,
) -> Response[AssetPage]:
    """Uploads, newest first. With a command's stream and version, that write is in the list.

    With q, tag, status, deleted or sort it is a search, of at most 10,000 uploads: by default
    without deleted ones; then stream and min_version are not looked at.
    """
    require_stream("asset", stream)
    if q or tag or status or deleted or sort:
        wish = Search(q, tag, status or "", deleted or "exclude", sort or "-created")
        page = await service.run(search, service, request.user, wish, limit, cursor)
    else:
        page = await listed(service, LIBRARY_VIEW, request.user, limit, cursor, stream, min_version)
    items = await service.run(lambda: [render(service, item) for item in page.items])
    return answered(request, AssetPage(items, page.cursor))


@get(
    "/{asset_id:str}",
    opt={"scope": "read"},
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
    return answered(request, await service.run(render, service, found))


Tag = Annotated[
    str, Rule(min_length=1, max_length=tags.LONGEST, extra_json_schema={"pattern": VISIBLE})
]
Tags = Annotated[tuple[Tag, ...], Rule(max_length=tags.MOST)]
NewName = Annotated[
    str, Rule(min_length=1, max_length=4096, extra_json_schema={"pattern": FILENAME})
]


class AssetChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays. tags: all that it has from now on, at most 20 of 1 to 50
    characters; an empty list takes them away.
    """

    filename: NewName | None = None
    tags: Tags | None = None


@patch(
    "/{asset_id:str}",
    opt={"scope": "write"},
    responses=problems(401, 404, 409, 422, AssetGone),
    summary="Rename or tag an upload",
    operation_id="changeAsset",
    response_description="The upload as it stands now.",
)
async def change_asset(
    asset_id: FromPath[str], data: JSONBody[AssetChange], request: ApiRequest, service: Api
) -> Asset:
    """Downloads are named after it from now on. Deleted ones are refused: restore it first."""
    known_id("ast", asset_id)
    wishes: list[Command] = []
    if data.filename is not None:
        wishes.append(RenameAsset(request.user, asset_id, data.filename))
    if data.tags is not None:
        wishes.append(TagAsset(request.user, asset_id, tags.normalised(data.tags)))
    return await _after(service, request, asset_id, *wishes)


@delete(
    "/{asset_id:str}",
    opt={"scope": "write"},
    status_code=200,
    responses=problems(401, 404, 409),
    summary="Delete an upload",
    operation_id="deleteAsset",
    response_description="The upload, with the time until which it can be had back.",
)
async def delete_asset(asset_id: FromPath[str], request: ApiRequest, service: Api) -> Asset:
    """It cannot be separated, and what was made of it is no longer served; all of it goes for
    good at ``deleted_until``. Open jobs go on, and what they give comes back with it. Again is
    harmless; an upload that is not complete is refused: abort it instead.
    """
    known_id("ast", asset_id)
    return await _after(service, request, asset_id, DeleteAsset(request.user, asset_id))


@post(
    "/{asset_id:str}/restore",
    opt={"scope": "write"},
    status_code=200,
    responses=problems(401, 404, 409),
    summary="Restore an upload",
    operation_id="restoreAsset",
    response_description="The upload.",
)
async def restore_asset(asset_id: FromPath[str], request: ApiRequest, service: Api) -> Asset:
    """Takes a deletion back, until ``deleted_until``. Again is harmless."""
    known_id("ast", asset_id)
    return await _after(service, request, asset_id, RestoreAsset(request.user, asset_id))


async def _after(service: Service, request: ApiRequest, asset_id: str, *wishes: Command) -> Asset:
    stream = f"asset-{asset_id}"
    for wish in wishes:
        await service.execute(wish, service.meta(request.user, request.request_id, stream, None))
    found = await _own(service, request.user, asset_id, 1)
    return await service.run(render, service, found)


async def _own(
    service: Service, user_id: str, asset_id: str, min_version: int
) -> Versioned[AssetView]:
    return await service.own(LIBRARY_VIEW, f"asset-{asset_id}", user_id, min_version)


def render(service: Service, found: Versioned[AssetView]) -> Asset:
    """An upload as the API shows it. Blocks."""
    view = found.view
    goes = earliest(view.expires, view.deleted_until)
    return Asset(
        asset_id=view.asset_id,
        filename=name_of(service, found.stream, view),
        tags=tags_of(service, found.stream, view),
        content_type=view.content_type,
        size=view.size,
        status=view.status,
        audio=audio_facts(view.audio),
        container=view.container,
        codec=view.codec,
        failure=Failure(view.failure, view.detail) if view.failure else None,
        created_at=moment(view.created),
        changed_at=moment(view.changed),
        expires_at=moment_or_none(goes),
        days_left=days_left(goes, service.application.clock.now()),
        deleted_until=moment_or_none(view.deleted_until),
        purged=view.purged,
        stream=found.stream,
        version=found.version,
    )


LIBRARY = Router(
    "/library",
    route_handlers=[list_assets, show_asset, change_asset, delete_asset, restore_asset],
    tags=["library"],
)

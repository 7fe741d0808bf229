"""``/v1/uploads``: resumable uploads, sent in parts straight to S3."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta as Rule
from msgspec import Struct

from domain import filenames
from domain.errors import PartsMismatch, Paused, UploadExpired, UploadTooLarge
from domain.parts import Part
from handlers.api.names import name_of
from handlers.api.openapi import LOCATION, problems
from handlers.api.renderings import AssetStatus, Failure, Moment, moment
from handlers.api.requests import ApiRequest, IdempotencyKey, known_id
from handlers.api.revalidation import NOT_MODIFIED, is_current, not_modified, tag, tagged, url_age
from handlers.api.service import Api, Service
from handlers.api.upload_sessions import Session, UploadSessions, Wish
from projections import LIBRARY_VIEW

MOST_URLS = 500
MOST_PARTS = 10_000
COMPLETION_BYTES = 2 * 1024 * 1024

After = Annotated[
    int, QueryParameter(ge=0, le=MOST_PARTS, description="Continue `missing` after this part.")
]


# Python's $ also stands before a last newline; \Z, which does not, means a Z to JSON Schema.
ContentType = Annotated[str, Rule(pattern=r"^[!-~]+/[ -~]+(?!\n)$", max_length=127)]


class NewUpload(Struct, frozen=True, forbid_unknown_fields=True):
    """A file to upload. size: bytes; content_type is kept, but the bytes decide."""

    # In a batch what is wrong with one file is told in its place: no schema may say more here.
    filename: Annotated[str, Rule(min_length=1, max_length=4096)]
    size: Annotated[int, Rule(ge=0)]
    content_type: ContentType = "application/octet-stream"


class NamedPart(Struct, frozen=True, forbid_unknown_fields=True):
    """A part as the client sent it. etag: as S3 answered the PUT, with or without quotes."""

    number: Annotated[int, Rule(ge=1, le=MOST_PARTS)]
    etag: Annotated[str, Rule(min_length=1, max_length=100)]


class Completion(Struct, frozen=True, forbid_unknown_fields=True):
    """The parts sent, in order; left out: whatever S3 has."""

    parts: Annotated[list[NamedPart], Rule(max_length=MOST_PARTS)] | None = None


class ReceivedPart(Struct, frozen=True):
    """A part that S3 has."""

    number: int
    etag: str
    size: int


class MissingPart(Struct, frozen=True):
    """A part to send: PUT ``size`` bytes to ``url``."""

    number: int
    size: int
    url: str


class Upload(Struct, frozen=True, kw_only=True):
    """An upload session. status: uploading, uploaded, ready, rejected or aborted.

    missing: at most 500; GET the upload with ``after=next_after`` for the following ones.
    expires_at: when the URLs die; GET again for fresh ones.
    """

    asset_id: str
    status: AssetStatus
    filename: str
    content_type: str
    size: int
    part_size: int
    part_count: int
    received: list[ReceivedPart]
    missing: list[MissingPart]
    next_after: int | None
    expires_at: Moment
    failure: Failure | None
    stream: str
    version: int


@post(
    "/",
    opt={"scope": "write"},
    response_headers=[LOCATION],
    responses=problems(401, 409, 422, Paused, UploadExpired, UploadTooLarge),
    summary="Begin an upload",
    operation_id="startUpload",
    response_description="The session, with URLs for its parts.",
)
async def begin(
    data: JSONBody[NewUpload],
    request: ApiRequest,
    service: Api,
    idempotency_key: IdempotencyKey = None,
) -> Response[Upload]:
    """Opens a session and signs a URL for each part. The same key again: the same session."""
    upload = await begun(service, request, data, "uploads", idempotency_key)
    location = {"Location": f"/v1/uploads/{upload.asset_id}"}
    return Response(upload, status_code=201, headers=location)


async def begun(
    service: Service,
    request: ApiRequest,
    wanted: NewUpload,
    route: str,
    key: str | None,
    most_urls: int = MOST_URLS,
) -> Upload:
    """An open session for that file. The same key on the same route: the same session."""
    user_id = request.user
    asset_id = service.identified("ast", user_id, route, key)
    name = filenames.clean(wanted.filename)
    wish = Wish(user_id, asset_id, name, wanted.content_type, wanted.size)
    meta = service.meta(user_id, request.request_id, route, key)
    session = await UploadSessions(service).open(wish, meta)
    return await _rendered(service, session, most_urls=most_urls)


@get(
    "/{asset_id:str}",
    opt={"scope": "write"},
    responses=NOT_MODIFIED | problems(401, 404, 409, 422, UploadExpired),
    summary="Resume an upload",
    operation_id="getUpload",
    response_description="The session as it stands.",
)
async def resume(
    asset_id: FromPath[str], request: ApiRequest, service: Api, after: After = 0
) -> Response[Upload]:
    """Which parts S3 has, and signed URLs for those that it lacks. Its ETag changes with either,
    and before the URLs die.
    """
    known_id("ast", asset_id)
    meta = service.meta(request.user, request.request_id, "uploads", None)
    session = await UploadSessions(service).resume(request.user, asset_id, meta)
    age = url_age(service, asset_id) if session.missing else 0
    made = tag(Upload, request, session, after, age)
    if is_current(request, made):
        return not_modified(made)
    return tagged(made, await _rendered(service, session, after))


@post(
    "/{asset_id:str}/complete",
    opt={"scope": "write"},
    status_code=200,
    request_max_body_size=COMPLETION_BYTES,
    responses=problems(401, 404, 409, 413, 422, PartsMismatch, UploadExpired),
    summary="Complete an upload",
    operation_id="completeUpload",
    response_description="The session, complete.",
)
async def complete(
    asset_id: FromPath[str],
    request: ApiRequest,
    service: Api,
    data: JSONBody[Completion | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Upload:
    """Checks every part, joins them and wakes the probe. Completing again is harmless."""
    known_id("ast", asset_id)
    named = None
    if data is not None and data.parts is not None:
        named = [Part(p.number, p.etag) for p in data.parts]
    route = f"uploads/{asset_id}/complete"
    meta = service.meta(request.user, request.request_id, route, idempotency_key)
    session = await UploadSessions(service).complete(request.user, asset_id, named, meta)
    service.project(LIBRARY_VIEW, f"asset-{asset_id}")
    return await _rendered(service, session)


@delete(
    "/{asset_id:str}",
    opt={"scope": "write"},
    responses=problems(401, 404, 409),
    summary="Abort an upload",
    operation_id="abortUpload",
    response_description="Given up.",
)
async def abort(asset_id: FromPath[str], request: ApiRequest, service: Api) -> None:
    """Gives the session up and drops its parts. Aborting again is harmless."""
    known_id("ast", asset_id)
    meta = service.meta(request.user, request.request_id, "uploads", None)
    await UploadSessions(service).abort(request.user, asset_id, meta)


async def _rendered(
    service: Service, session: Session, after: int = 0, most_urls: int = MOST_URLS
) -> Upload:
    return await service.run(_render, service, session, after, most_urls)


def _render(service: Service, session: Session, after: int, most_urls: int) -> Upload:
    state, parts, objects = session.state, session.parts, service.objects
    lacking = [n for n in session.missing if n > after]
    page = lacking[:most_urls]
    expires = service.application.clock.now() + 1000 * objects.presign_seconds
    return Upload(
        asset_id=session.asset_id,
        status=state.status,
        filename=name_of(service, f"asset-{session.asset_id}", state),
        content_type=state.content_type,
        size=state.size,
        part_size=state.part_size,
        part_count=parts.count,
        received=[ReceivedPart(p.number, p.etag, p.size) for p in session.received],
        missing=[
            MissingPart(
                n,
                parts.size_of(n),
                objects.presign_part(state.key, state.upload_id, n, parts.size_of(n)),
            )
            for n in page
        ],
        next_after=page[-1] if len(lacking) > len(page) else None,
        expires_at=moment(expires),
        failure=Failure(state.failure, state.detail) if state.failure else None,
        stream=f"asset-{session.asset_id}",
        version=session.version,
    )


UPLOADS = Router(
    "/uploads",
    route_handlers=[begin, resume, complete, abort],
    opt={"rate": "uploads"},
    tags=["uploads"],
)

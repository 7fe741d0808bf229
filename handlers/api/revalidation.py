"""Cheap polling: ``ETag`` out, ``If-None-Match`` in, 304 without a body (RFC 9110, 8.8.3, 13.1.2).

Tags are weak: two bodies with the same tag say the same, though their signed URLs differ. A tag
is a hash of what the body is made of, the same in every process; whoever asks is part of it, so
that a browser shared by two people never keeps the one's list for the other.

Signed URLs die. A body that carries them is tagged with the half of their life in which it was
made: while a tag still matches, at least half of that life is left.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from functools import cache
from typing import Any, TypeVar

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from handlers.api.requests import ApiRequest
from handlers.api.service import Service

T = TypeVar("T")

NOT_MODIFIED = {
    304: ResponseSpec(
        None, description="What you have, by its ETag, is still so.", generate_examples=False
    )
}
# The edge says no-store of everything else. This may be kept by the one who asked, and nobody in
# between, but never used without asking: jobs change by the second.
_CACHING = "private, no-cache"
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def tag(body: type, request: ApiRequest, *parts: Any) -> str:
    """The tag of a body of that shape, made of ``parts`` for whoever asks."""
    made = msgspec.json.encode((_shape(body), request.user, parts))
    return f'W/"{hashlib.sha256(made).hexdigest()[:32]}"'


@cache
def _shape(body: type) -> str:
    """Another release may say more of the same parts."""
    schema = msgspec.json.encode(msgspec.json.schema(body), order="sorted")
    return hashlib.sha256(schema).hexdigest()


def url_age(service: Service, name: str) -> int:
    """A number that changes twice in the life of a signed URL, for each name at another time."""
    half = max(service.objects.presign_seconds * 500, 1)
    return (service.application.clock.now() + zlib.crc32(name.encode()) % half) // half


def is_current(request: ApiRequest, tag: str) -> bool:
    """Whether the client has it: one of its tags is this one, by weak comparison, or ``*``."""
    sent = ",".join(request.headers.getall("if-none-match", []))
    return sent.strip() == "*" or tag.removeprefix("W/").strip('"') in _TAG.findall(sent)


def not_modified(tag: str) -> Response[Any]:
    """304: what would stand beside a 200, and no body."""
    return Response(b"", status_code=304, headers=_headers(tag))


def tagged(tag: str, body: T) -> Response[T]:
    """200 with its tag."""
    return Response(body, headers=_headers(tag))


def answered(request: ApiRequest, body: T) -> Response[T]:
    """For a body that is cheap once its parts are read: tagged by all that it says."""
    made = tag(type(body), request, body)
    return not_modified(made) if is_current(request, made) else tagged(made, body)


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": _CACHING}

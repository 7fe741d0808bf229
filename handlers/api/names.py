"""What uploads are called: opened where an answer is made, and nowhere kept in plain."""

from __future__ import annotations

from typing import Protocol

import msgspec

from domain.errors import NotFound
from domain.sealed import Sealed
from handlers.api.service import Service

ERASED = "(erased)"


class Named(Protocol):
    """What names and tags are read from: an upload's state or its row."""

    user_id: str
    filename: str
    name: Sealed | None
    tags: Sealed | None


def name_of(service: Service, stream: str, upload: Named) -> str:
    """The name; ERASED once the person's key is gone."""
    if upload.name is None:
        return upload.filename
    opened = _opened(service, stream, upload.user_id, upload.name)
    return ERASED if opened is None else opened


def tags_of(service: Service, stream: str, upload: Named) -> list[str]:
    """The tags; none once the person's key is gone."""
    if upload.tags is None:
        return []
    opened = _opened(service, stream, upload.user_id, upload.tags)
    return [] if opened is None else msgspec.json.decode(opened, type=list[str])


def _opened(service: Service, stream: str, user_id: str, sealed: Sealed) -> str | None:
    place = (stream, sealed.version, sealed.field)
    try:
        return service.application.personal.open(user_id, place, sealed.text)
    except NotFound:
        return None

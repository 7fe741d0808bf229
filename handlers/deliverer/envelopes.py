"""The shape of every message, as the Standard Webhooks specification has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct


class Envelope(Struct, frozen=True):
    """timestamp: of what happened, which may be long before it is told."""

    type: str
    timestamp: datetime
    data: Any


def body(kind: str, time: int, data: Any) -> str:
    """A message's JSON. time: epoch ms."""
    happened = datetime.fromtimestamp(time / 1000, UTC)
    return msgspec.json.encode(Envelope(kind, happened, data)).decode()

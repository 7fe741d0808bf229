"""Opaque page cursors: a DynamoDB key as base64 text."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from domain.errors import Invalid


def encode_cursor(key: dict[str, Any] | None) -> str | None:
    """The cursor of a LastEvaluatedKey; None at the end."""
    if not key:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> dict[str, Any] | None:
    """The key in a cursor. Raises Invalid for anything we did not hand out."""
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict[str, dict[str, str]])
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise Invalid("This cursor is not one of ours; start from the first page.") from error
    return key

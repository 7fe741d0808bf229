"""The stand-in's two secrets, made once and kept beside the other keys."""

from __future__ import annotations

import secrets
from pathlib import Path

from msgspec import Struct

from infra.keys import KeyFiles

API_KEY = "stripe_api.key"
WEBHOOK_SECRET = "stripe_webhook.key"  # noqa: S105 (a file's name)


class Secrets(Struct, frozen=True):
    """api_key: what callers show; webhook_secret: what events are signed with."""

    api_key: str
    webhook_secret: str

    @classmethod
    def of(cls, keys: Path) -> Secrets:
        """Those in that directory; whoever asks first makes them."""
        files = KeyFiles(keys)
        return cls(
            files.get_or_make(API_KEY, lambda: _made("sk_test_local")).decode().strip(),
            files.get_or_make(WEBHOOK_SECRET, lambda: _made("whsec_")).decode().strip(),
        )


def _made(prefix: str) -> bytes:
    return (prefix + secrets.token_hex(24)).encode()

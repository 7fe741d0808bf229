"""Signatures by the Standard Webhooks specification, 1.0.0: headers ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature`` over ``id.timestamp.body``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

SECRET_BYTES = 32
PREFIX = "whsec_"


def new_secret(random: bytes) -> str:
    """A secret as receivers' libraries take it. random: SECRET_BYTES of them."""
    return PREFIX + base64.b64encode(random).decode()


def signed_headers(
    message_id: str, now: int, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """The three headers. now: epoch ms; secrets: one signature each, so that a receiver with any
    of them can verify.
    """
    at = datetime.fromtimestamp(now // 1000, UTC)
    signatures = [Webhook(secret).sign(message_id, at, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now // 1000),
        "webhook-signature": " ".join(signatures),
    }

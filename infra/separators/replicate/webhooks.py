"""Whether a webhook is Replicate's: the signature over id, time and raw body, and its age.

The scheme is that of Standard Webhooks, as Replicate's "Verify webhooks" page describes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from domain.errors import WebhookRefused

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: int) -> str:
    """The webhook's id, the same when it is sent again.

    headers: in any case; body: as it came; secret: ``whsec_`` and base64; now: epoch ms.
    Raises WebhookRefused, which says what is wrong and nothing of the signature.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        id_, time, signatures = (given[f"webhook-{n}"] for n in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise WebhookRefused(f"This webhook has no {error.args[0]} header.") from None
    if not (time.isascii() and time.isdigit() and len(time) < 16):
        raise WebhookRefused("The webhook-timestamp header names no time.")
    expected = _signature(f"{id_}.{time}.".encode("utf-8", "replace") + body, secret)
    if not any(_same(expected, item) for item in signatures.split()):
        raise WebhookRefused(
            "The signature is not by this account's secret, or the body is not the one that was "
            "signed. Compare the secret with the one that Replicate's API gives."
        )
    age = now / 1000 - int(time)
    if abs(age) > TOLERANCE_SECONDS:
        when = f"{age:.0f} seconds ago" if age > 0 else f"{-age:.0f} seconds from now"
        raise WebhookRefused(f"This was signed {when}; {TOLERANCE_SECONDS} are tolerated.")
    return id_


def _signature(signed: bytes, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookRefused("The webhook secret of this deployment is malformed.") from error
    if not key:
        # An empty key would make everybody able to sign.
        raise WebhookRefused("This deployment has no webhook secret.")
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _same(expected: bytes, item: str) -> bool:
    scheme, _, signature = item.partition(",")
    return scheme == "v1" and hmac.compare_digest(expected, signature.encode("utf-8", "replace"))

"""Whether a webhook is Stripe's: the signature over the raw body, and its age."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from stripe import SignatureVerificationError, WebhookSignature

from domain.errors import WebhookRefused
from infra.payments.objects import Event

TOLERANCE_SECONDS = 300


def verified(payload: bytes, header: str | None, secrets: Sequence[str], now: int) -> Event:
    """The event. header: ``Stripe-Signature``; secrets: any of them; now: epoch ms.

    Raises WebhookRefused, which says what is wrong and nothing of the signature.
    """
    if not header:
        raise WebhookRefused("This webhook has no Stripe-Signature header.")
    signed_at = _time(header)
    if not any(_signed_with(secret, payload, header) for secret in secrets):
        raise WebhookRefused(
            "The signature is not by this endpoint's secret, or the body is not the one that was "
            "signed. Compare SPLITSOUND_STRIPE_WEBHOOK_SECRETS with the endpoint's at Stripe."
        )
    age = now / 1000 - signed_at
    if abs(age) > TOLERANCE_SECONDS:
        when = f"{age:.0f} seconds ago" if age > 0 else f"{-age:.0f} seconds from now"
        raise WebhookRefused(
            f"This was signed {when}; {TOLERANCE_SECONDS} are tolerated. Stripe signs anew when "
            "it sends again; if they are all refused, set this machine's clock."
        )
    return _event(payload)


def _time(header: str) -> int:
    for item in header.split(","):
        name, _, value = item.partition("=")
        if name.strip() == "t" and value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
    raise WebhookRefused("The Stripe-Signature header names no time.")


def _signed_with(secret: str, payload: bytes, header: str) -> bool:
    try:
        # The age is ours to judge, by the application's clock and in both directions.
        WebhookSignature.verify_header(payload, header, secret, tolerance=None)
    except (SignatureVerificationError, UnicodeError, TypeError, ValueError):
        # The SDK's own comparison raises TypeError for a signature that is not ASCII.
        return False
    return True


def _event(payload: bytes) -> Event:
    try:
        return msgspec.json.decode(payload, type=Event)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise WebhookRefused("The signature is valid, but the body is no Stripe event.") from error

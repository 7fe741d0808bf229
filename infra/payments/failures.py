"""Stripe's errors in our tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from domain.errors import Invalid, KeyReused, NotFound, SplitSoundError, Unavailable

_CONFLICT, _TOO_MANY = 409, 429


@contextmanager
def translated() -> Iterator[None]:
    """Around calls of the SDK. Raises Unavailable, NotFound, KeyReused, Invalid.

    What Stripe says is kept as the cause, for the log; keys are not in it.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise _ours(error) from error


def _ours(error: stripe.StripeError) -> SplitSoundError:
    status = error.http_status or 0
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        # Temporary for whoever buys; the operator reads why in the log.
        return Unavailable(
            f"Stripe did not let us in ({status}): set SPLITSOUND_STRIPE_API_KEY to a key of the "
            "account that may write checkout sessions and read payments, refunds and disputes."
        )
    # Below 400: it answered, with what the SDK could not read.
    if status < 400 or status >= 500 or status in (_CONFLICT, _TOO_MANY):
        return Unavailable(f"Stripe did not answer ({status or type(error).__name__}).")
    if isinstance(error, stripe.IdempotencyError):
        return KeyReused("This Idempotency-Key bought something else; send a new key.")
    if status == 404 or error.code == "resource_missing":
        return NotFound(f"Stripe knows of no such object: {error.user_message}")
    return Invalid(f"Stripe refused the request ({error.code or status}): {error.user_message}")

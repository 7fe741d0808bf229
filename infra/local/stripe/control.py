"""The stand-in's buttons for programs: the same forms, over HTTP, without a browser.

``url`` is the stand-in's address (``payments`` in ``run.json``), amounts are in minor units, ids
are Stripe's: of the session, the charge or its payment intent, the refund, the dispute.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

import httpx
import msgspec

from infra.local.errors import LocalStackError
from infra.local.stripe.errors import ErrorBody

How = Literal["card", "bank", "failing_bank", "cancel"]
_TIMEOUT_SECONDS = 10.0


class ButtonFailed(LocalStackError):
    """The stand-in refused, or is not there."""


def pay(session_url: str, how: How = "card", email: str = "") -> str:
    """Submit a session's pay page; where the browser is sent then. Raises ButtonFailed."""
    form = {"how": how} | ({"email": email} if email else {})
    return _post(session_url, form)


def refund(url: str, charge: str, amount: int | None = None) -> None:
    """Give back an amount, or what is left."""
    _act(url, "refund", charge, amount)


def fail_refund(url: str, identifier: str) -> None:
    """The buyer's bank sends a refund back."""
    _act(url, "fail_refund", identifier)


def dispute(url: str, charge: str, amount: int | None = None) -> None:
    """The buyer's bank takes an amount back, by default what was not refunded."""
    _act(url, "dispute", charge, amount)


def contest(url: str, identifier: str) -> None:
    """Send evidence against a dispute."""
    _act(url, "contest", identifier)


def close_dispute(url: str, identifier: str, *, won: bool) -> None:
    """The bank decides a dispute, for the seller when it is won."""
    _act(url, "win" if won else "lose", identifier)


def settle(url: str, payment: str) -> None:
    """The money of a bank payment arrives now."""
    _act(url, "settle", payment)


def fail_payment(url: str, payment: str) -> None:
    """A bank payment fails now."""
    _act(url, "fail", payment)


def expire(url: str, session: str) -> None:
    """Close a session that nobody has paid."""
    _act(url, "expire", session)


def send_again(url: str, event: str) -> None:
    """Deliver an event once more."""
    _act(url, "send_again", event)


def _act(url: str, action: str, identifier: str, amount: int | None = None) -> None:
    form = {"id": identifier} | ({} if amount is None else {"minor": str(amount)})
    _post(f"{url}/act/{action}", form)


def _post(url: str, form: dict[str, str]) -> str:
    try:
        answer = httpx.post(
            url,
            data=form,
            headers={"Accept": "application/json"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        where = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        raise ButtonFailed(
            f"The stand-in for Stripe does not answer at {where} ({error}); is the stack up?"
        ) from error
    if answer.status_code != httpx.codes.SEE_OTHER:
        raise ButtonFailed(f"The stand-in for Stripe refused: {_reason(answer)}")
    return str(answer.headers["Location"])


def _reason(answer: httpx.Response) -> str:
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(answer.content, type=_Refusal).error.message
    return f"it answered {answer.status_code} at {answer.url}."


class _Refusal(msgspec.Struct):
    error: ErrorBody

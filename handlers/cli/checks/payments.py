"""Selling: whether Stripe takes our key, and whether the API hears a signed webhook."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import SplitSoundError
from handlers.cli.checks import Ailing, Check, examined

if TYPE_CHECKING:
    from infra.bootstrap import Application


def examine(url: str, data: Path) -> Iterator[Check]:
    """One line where nothing is sold. url: the API's."""
    from handlers.cli.reach import application

    parts = application(data)
    if parts.payments is None:
        yield Check("payments", "skipped", "nothing is sold here (no SPLITSOUND_STRIPE_API_KEY)")
        return
    yield examined("payments", lambda: _key_is_taken(parts))
    yield examined("webhook", lambda: _webhook_is_heard(parts, url))


def _key_is_taken(parts: Application) -> str:
    assert parts.payments is not None
    try:
        next(parts.payments.sessions(parts.clock.now()), None)
    except SplitSoundError as error:
        raise Ailing(error.detail, "Check SPLITSOUND_STRIPE_API_KEY and the network.") from error
    base = parts.settings.stripe_api_base
    packs = ", ".join(parts.packs)
    return f"{base or 'Stripe'} takes the key; sold: {packs}"


def _webhook_is_heard(parts: Application, url: str) -> str:
    from stripe import WebhookSignature

    from handlers.client.exchange import http_for

    event = {"id": "evt_doctor", "object": "event", "type": "ping", "data": {"object": {}}}
    payload = json.dumps(event)
    secrets = [s.strip() for s in parts.settings.stripe_webhook_secrets.split(",") if s.strip()]
    header = WebhookSignature.generate_signature_header(
        payload, secrets[0], timestamp=int(time.time())
    )
    with http_for(url) as http:
        answer = http.post(
            f"{url}/v1/webhooks/stripe", content=payload, headers={"Stripe-Signature": header}
        )
    if not answer.is_success:
        raise Ailing(
            f"the API refuses a signed webhook: {answer.text[:200]}",
            "Start the API anew: its SPLITSOUND_STRIPE_WEBHOOK_SECRETS are not these.",
        )
    return "the API hears signed webhooks"

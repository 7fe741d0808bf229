"""The stand-in as a part of the local stack: its port, its variables, its process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from msgspec import Struct

from infra.local.ports import HOST, kept_port
from infra.local.stripe.secrets import Secrets
from infra.local.supervisor import Component

NAME = "payments"
HEALTH = "/healthz"
_DIRECTORY = "stripe"
_PORT = "port"
_RESULT = "/c/result"
_WEBHOOK = "/v1/webhooks/stripe"


class StandIn(Struct, frozen=True):
    """One stand-in, for the stack on ``data``."""

    data: Path
    port: int

    @classmethod
    def on(cls, data: Path) -> Self:
        """Where it was the last time, so that its links stay good."""
        return cls(data, kept_port(data / _DIRECTORY / _PORT))

    @property
    def url(self) -> str:
        """The dashboard; the API is below it."""
        return f"http://{HOST}:{self.port}"

    def settings(self) -> dict[str, str]:
        """What makes the components sell through it. Makes its secrets where there are none.

        The page to come back to is its own; a front end under development names another.
        """
        secrets = Secrets.of(self.data / "keys")
        return {
            "SPLITSOUND_STRIPE_API_KEY": secrets.api_key,
            "SPLITSOUND_STRIPE_API_BASE": self.url,
            "SPLITSOUND_STRIPE_WEBHOOK_SECRETS": secrets.webhook_secret,
            "SPLITSOUND_CHECKOUT_RETURN_URL": self.url + _RESULT,
        }

    def component(self, environment: Mapping[str, str], api_url: str) -> Component:
        """The process, which posts its events to the API."""
        options = {
            "--data": str(self.data / _DIRECTORY),
            "--keys": str(self.data / "keys"),
            "--port": str(self.port),
            "--webhook": api_url + _WEBHOOK,
        }
        argv = [sys.executable, "-P", "-m", "infra.local.stripe"]
        argv += [word for option in options.items() for word in option]
        return Component(NAME, argv, environment)

"""What the local stack plays itself, unless the user has the real thing: payments and sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.local.oidc import component as identity
from infra.local.oidc.component import LocalProvider
from infra.local.ports import is_ready
from infra.local.stripe import component as payments
from infra.local.stripe.component import StandIn
from infra.local.supervisor import Component

_CHECKOUT_RETURN = "SPLITSOUND_CHECKOUT_RETURN_URL"
_SIGN_IN_RETURN = "SPLITSOUND_SIGN_IN_RETURN_URL"


class StandIns:
    """Of the stack on ``data``. Each is None where the user's own is used."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.payments: StandIn | None = None
        self.identity: LocalProvider | None = None

    def choose(self, tuning: dict[str, str]) -> None:
        """A key of the user's own means Stripe itself, and providers of their own sign in.

        Adds the settings of those that are played here; pages to come back to stay as asked.
        """
        self.payments = self.identity = None
        if not tuning.get("SPLITSOUND_STRIPE_API_KEY"):
            self.payments = StandIn.on(self._data)
            _add(self.payments.settings(), tuning, _CHECKOUT_RETURN)
        if not tuning.get("SPLITSOUND_OIDC_PROVIDERS"):
            self.identity = LocalProvider.on(self._data)
            _add(self.identity.settings(), tuning, _SIGN_IN_RETURN)

    def components(self, environment: Mapping[str, str], api_url: str) -> list[Component]:
        """Their processes."""
        made = []
        if self.payments is not None:
            made.append(self.payments.component(environment, api_url))
        if self.identity is not None:
            made.append(self.identity.component(environment))
        return made

    def late(self) -> str:
        """The name of one that does not answer yet; empty when all do."""
        if self.payments is not None and not is_ready(self.payments.port, payments.HEALTH):
            return payments.NAME
        if self.identity is not None and not is_ready(self.identity.port, identity.HEALTH):
            return identity.NAME
        return ""

    @property
    def urls(self) -> dict[str, str]:
        """Where they are, by name."""
        urls = {}
        if self.payments is not None:
            urls[payments.NAME] = self.payments.url
        if self.identity is not None:
            urls[identity.NAME] = self.identity.url
        return urls


def _add(settings: dict[str, str], tuning: dict[str, str], page: str) -> None:
    tuning.update(settings | ({page: tuning[page]} if tuning.get(page) else {}))

"""Signing in: whether providers answer, and whether browsers will send the cookie."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from domain.errors import ProviderUnavailable
from handlers.cli.checks import Ailing, Check, examined
from infra.identity.providers import LOOPBACK

if TYPE_CHECKING:
    from infra.bootstrap import Application
    from infra.identity.openid import OpenIDProvider


def examine(parts: Application) -> Iterator[Check]:
    """One line where nobody can sign in."""
    if not parts.openid:
        yield Check("sign-in", "skipped", "nobody signs in here (no SPLITSOUND_OIDC_PROVIDERS)")
        return
    for provider in parts.openid.values():
        yield examined(f"sign-in: {provider.provider.name}", partial(_answers, provider))
    settings = parts.settings
    yield examined(
        "session cookie", lambda: cookie_travels(settings.public_url, settings.allowed_origins)
    )


def _answers(provider: OpenIDProvider) -> str:
    async def ask() -> str:
        try:
            return (await provider.discovered()).issuer
        finally:
            await provider.close()

    try:
        return f"{asyncio.run(ask())} answers"
    except ProviderUnavailable as error:
        raise Ailing(
            error.detail, "Check the issuer in SPLITSOUND_OIDC_PROVIDERS, and the network."
        ) from error


def cookie_travels(public_url: str, allowed_origins: str) -> str:
    """Whether pages of every allowed origin send the session cookie. Raises Ailing."""
    origins = [o.strip() for o in allowed_origins.split(",") if o.strip()]
    if "*" in origins:
        raise Ailing(
            "any origin may read from the API, so none may use the session cookie",
            "Name the front end's origins in SPLITSOUND_ALLOWED_ORIGINS.",
        )
    elsewhere = [o for o in origins if not same_site(public_url, o)]
    if elsewhere:
        raise Ailing(
            f"browsers keep the session cookie of {public_url} from pages of "
            f"{', '.join(elsewhere)}: another registrable domain, or another scheme",
            "Give API and front end names of one domain, such as api.example.org and "
            "app.example.org, and put them in SPLITSOUND_PUBLIC_URL and _ALLOWED_ORIGINS.",
        )
    return f"pages of {', '.join(origins)} send the session cookie to {public_url}"


def same_site(one: str, other: str) -> bool:
    """As browsers have it ("schemefully"): one scheme and one registrable domain, any port.

    Of the loopback every name counts: which one a page and the API are called by is up to whoever
    develops there.
    """
    first, second = (urlsplit(each.removesuffix(":*")) for each in (one, other))
    if first.scheme != second.scheme or not first.hostname or not second.hostname:
        return False
    if {first.hostname, second.hostname} <= LOOPBACK:
        return True
    return _registrable(first.hostname) == _registrable(second.hostname)


def _registrable(host: str) -> str:
    """The part of a name that somebody registered; of an address, and of a suffix, all of it."""
    from publicsuffixlist import PublicSuffixList

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return PublicSuffixList().privatesuffix(host) or host
    return host

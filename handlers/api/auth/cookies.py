"""The two cookies of signing in. Scripts read neither; neither goes along with a request that a
page of another site makes, but for the one that the provider's answer takes back to us.

By https both are ``__Host-``: no other host of the domain can set them. By http, which browsers
allow on the loopback for development, they are the same without that prefix and ``Secure``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from litestar.datastructures import Cookie

_SESSION, _LOGIN = "splitsound-session", "splitsound-login"
MOST_LOGINS = 8
"""That are on their way in one browser; more would fill up the head of each of its requests."""


def session(base: str, token: str, seconds: int) -> Cookie:
    """The refresh token. base: where the browser reaches us."""
    return _cookie(base, session_name(base), token, seconds, strict=True)


def session_over(base: str) -> Cookie:
    """Drops it."""
    return _cookie(base, session_name(base), "", 0, strict=True)


def session_name(base: str) -> str:
    """What the browser calls it."""
    return _prefix(base) + _SESSION


def login(base: str, state: str, sealed: str, seconds: int) -> Cookie:
    """A sign-in on its way; each has a cookie of its own, so that two tabs do not disturb each
    other. Lax: the provider's answer comes from another site, as the user's own navigation.
    """
    return _cookie(base, login_name(base, state), sealed, seconds, strict=False)


def login_over(base: str, state: str) -> Cookie:
    """Drops it."""
    return _cookie(base, login_name(base, state), "", 0, strict=False)


def surplus(base: str, sent: Iterable[str]) -> list[Cookie]:
    """Drop the oldest sign-ins on their way, so that there is room for one more.

    sent: names of cookies, as the browser sent them: the older first (RFC 6265, section 5.4).
    """
    kept = [name for name in sent if name.startswith(f"{_prefix(base)}{_LOGIN}-")]
    return [
        _cookie(base, name, "", 0, strict=False)
        for name in kept[: max(0, len(kept) - MOST_LOGINS + 1)]
    ]


def login_name(base: str, state: str) -> str:
    """What the browser calls it."""
    return f"{_prefix(base)}{_LOGIN}-{hashlib.sha256(state.encode()).hexdigest()[:12]}"


def _prefix(base: str) -> str:
    return "__Host-" if base.startswith("https:") else ""


def _cookie(base: str, name: str, value: str, seconds: int, *, strict: bool) -> Cookie:
    return Cookie(
        name, value=value, path="/", max_age=seconds, httponly=True,
        secure=base.startswith("https:"), samesite="strict" if strict else "lax",
    )  # fmt: skip

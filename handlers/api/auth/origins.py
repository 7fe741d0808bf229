"""Whose pages may sign people in here: the origins of ``SPLITSOUND_ALLOWED_ORIGINS``.

A browser carries our cookies with what any page of the same site sends, and follows a redirect
wherever it leads. So both are compared with the list, by the parts of the URL, never by prefix.
``*`` alone lets pages read what needs no cookie; it opens neither of these two doors.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from infra.identity.providers import LOOPBACK
from infra.settings import Settings

_PORTS = {"http": 80, "https": 443}
_ANY_PORT = -1
# What a URL may consist of (RFC 3986). Browsers read a backslash as a slash, and drop tabs.
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
MOST_URL = 2000

Place = tuple[str, str, int]


class Origins:
    """The configured ones. An origin is a scheme, a host and a port (RFC 6454)."""

    def __init__(self, settings: Settings) -> None:
        listed = [o.strip() for o in settings.allowed_origins.split(",")]
        self._places = {place for o in listed if (place := _configured(o))}
        if own := _place(settings.public_url):
            self._places.add(own)
        self._return_url = settings.sign_in_return_url

    def trusts(self, origin: str) -> bool:
        """Whether a page of that origin (as the header says it) may use our cookies."""
        place = _place(origin)
        return place is not None and origin.count("/") == 2 and self._has(place)

    def leads_home(self, url: str) -> bool:
        """Whether a browser may be sent to that URL."""
        if url == self._return_url != "":
            return True
        if len(url) > MOST_URL or not _URL.fullmatch(url):
            return False
        place = _place(url)
        return place is not None and self._has(place)

    def _has(self, place: Place) -> bool:
        return place in self._places or (*place[:2], _ANY_PORT) in self._places


def _configured(origin: str) -> Place | None:
    """Of the loopback any port may be allowed: ``http://localhost:*``."""
    if not origin.endswith(":*"):
        return _place(origin)
    found = _place(origin.removesuffix(":*"))
    return (*found[:2], _ANY_PORT) if found and found[1] in LOOPBACK else None


def _place(url: str) -> Place | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port


def is_loopback(url: str) -> bool:
    """Whether that is on this machine."""
    place = _place(url)
    return place is not None and place[1] in LOOPBACK

"""The API's address, as the operator gives it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from domain.errors import Invalid

DEFAULT_BASE = "https://api.replicate.com"
SETTING = "SPLITSOUND_REPLICATE_API_BASE"


def checked(base: str) -> str:
    """The address without a slash at its end, Replicate's where none is given.

    Raises Invalid: the token must not travel in the clear, except on this machine, in tests.
    """
    text = (base.strip() or DEFAULT_BASE).rstrip("/")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Invalid(f"{SETTING} is no address: {error}.") from error
    plain = parts.scheme == "http" and local(host)
    if not host or not (parts.scheme == "https" or plain):
        raise Invalid(f"{SETTING} is an https:// address (http:// only on this machine).")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid(f"{SETTING} is only a scheme, a host and a path.")
    return text


def local(host: str) -> bool:
    """Is this host this machine?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

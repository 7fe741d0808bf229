"""The guard against requests to where nobody of the internet should reach (SSRF).

It looks at a URL's text, then at every address that its host stands for. Whoever connects asks it
again and connects to an address of that answer, because a name may mean something else by then.
"""

from __future__ import annotations

import re
import socket
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from domain.errors import WebhookAddressRefused
from infra.webhooks.networks import Address, Network, is_public, is_within, parsed_address

MOST_CHARACTERS = 2048
_PLAIN = re.compile(r"[!-~]+")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
# A last label of digits, or of 0x and digits, is an address in one of its odd spellings
# (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_DOTTED_QUAD = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
# Browsers refuse these too: a POST must not speak to something that is no web server
# (https://fetch.spec.whatwg.org/#bad-port).
_BAD_PORTS = frozenset({
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080,
})  # fmt: skip
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Resolver(Protocol):
    """Names to addresses."""

    def __call__(self, host: str, port: int, /) -> list[str]:
        """Every address of that host, as text. Raises OSError when there is none."""


class Target(Struct, frozen=True):
    """A URL, taken apart. host: as in certificates; path: with its query, as it is asked for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The ``Host`` header (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def system_resolver(host: str, port: int) -> list[str]:
    """The operating system's."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class AddressGuard:
    """private: networks that may be sent to after all, and over plain HTTP too."""

    def __init__(
        self, private: tuple[Network, ...] = (), resolver: Resolver = system_resolver
    ) -> None:
        self._private = private
        self._resolver = resolver

    def check(self, url: str) -> Target:
        """What the URL asks for, when all of its addresses may be sent to at this moment.

        Raises WebhookAddressRefused.
        """
        target = parse(url)
        self.addresses(target)
        return target

    def addresses(self, target: Target) -> list[Address]:
        """Every address of the target. Raises WebhookAddressRefused when one is forbidden."""
        try:
            found = [parsed_address(each) for each in self._resolver(target.host, target.port)]
        except (OSError, UnicodeError) as error:
            raise _refused("unresolved", f"The host {target.host} has no address.") from error
        known = [address for address in found if address is not None]
        if not known or len(known) < len(found):
            raise _refused("unresolved", f"The host {target.host} has no address.")
        for address in known:
            self._judge(target, address)
        return known

    def _judge(self, target: Target, address: Address) -> None:
        if is_within(address, self._private):
            return
        # The address stays unsaid: it may be of a network that the asker cannot look into.
        if not is_public(address):
            raise _refused(
                "private_address",
                f"The host {target.host} has an address that is not of the public internet.",
            )
        if target.scheme != "https":
            raise _refused("insecure", "Messages go over https only.")


def parse(url: str) -> Target:
    """A URL's parts, by its text alone. Raises WebhookAddressRefused."""
    if len(url) > MOST_CHARACTERS or not _PLAIN.fullmatch(url) or "\\" in url:
        raise _refused(
            "malformed",
            f"A URL has at most {MOST_CHARACTERS} characters, all of them printable ASCII (write "
            "other hosts in their xn-- form, other paths percent-encoded).",
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise _refused("malformed", f"This is no URL: {error}.") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refused("malformed", "Messages go over https only: https://host/path.")
    if "@" in parts.netloc:
        raise _refused("credentials", "A URL with a user name or a password is not used.")
    if "#" in url:
        raise _refused("malformed", "A URL with a fragment (#) is not used.")
    _check_host(host, bracketed=parts.netloc.startswith("["))
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in _DEFAULT_PORTS.values() and (port < 1024 or port in _BAD_PORTS):
        raise _refused("port", f"Port {port} is none that a web server should have.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def _check_host(host: str, *, bracketed: bool) -> None:
    if bracketed:
        if "%" in host or parsed_address(host) is None:
            raise _refused("malformed", "The host is no address.")
        return
    if _NUMERIC.fullmatch(host):
        if not _DOTTED_QUAD.fullmatch(host) or parsed_address(host) is None:
            raise _refused("malformed", "Write an IPv4 address as four decimal numbers.")
    elif len(host) > 253 or not _NAME.fullmatch(host):
        raise _refused("malformed", "The URL names no host that could have an address.")


def _refused(reason: str, detail: str) -> WebhookAddressRefused:
    return WebhookAddressRefused(
        detail, reason=reason, errors=[{"pointer": "#/url", "detail": detail}]
    )

"""What a setting may say: how its text is read, in words for people what is allowed, and whether
it is a secret. ``infra.settings`` gives each setting one of these kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from infra.stage import FORM, LANE_QUEUES

LANES = ("probe", *LANE_QUEUES)
LEVELS = ("debug", "info", "warning", "error", "critical")
MOST = 10**12
"""More than any number here can mean."""


class Wrong(Exception):
    """What is wrong with a text, as it goes on after the variable's name: ``has no lane x``."""


class Kind(Struct, frozen=True):
    """read: the value that a text means, or raises ValueError, Invalid or Wrong.

    allowed: goes on after "give". secret: the value is shown nowhere.
    """

    read: Callable[[str], Any]
    allowed: str = ""
    secret: bool = False

    def value(self, text: str) -> Any:
        """What the text means. Raises Wrong or Invalid."""
        try:
            return self.read(text)
        except ValueError as error:
            said = "is malformed" if self.secret else f"is {text!r}"
            raise Wrong(f"{said}: give {self.allowed}.") from error


def whole(least: int, most: int = MOST) -> Kind:
    """A whole number in that range."""
    most_said = f"to {most}" if most < MOST else "up"

    def read(text: str) -> int:
        _require(text, least <= int(text) <= most)
        return int(text)

    return Kind(read, f"a whole number from {least} {most_said}")


def seconds(most: float = 86_400) -> Kind:
    """Some time, not none."""

    def read(text: str) -> float:
        _require(text, 0 < float(text) <= most)  # what is no number compares as false, too
        return float(text)

    return Kind(read, f"seconds, more than 0 and up to {most:g}")


def matching(pattern: str, allowed: str) -> Kind:
    """Text of that form, or none."""
    form = re.compile(pattern)
    return Kind(lambda text: _require(text, not text or form.fullmatch(text)), allowed)


def _require(text: str, holds: object) -> str:
    if not holds:
        raise ValueError(text)
    return text


def _name(text: str) -> str:
    return _require(text, text and not re.search(r"\s", text))


def _path(text: str) -> Path | None:
    return Path(text) if text.strip() else None


def _store(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    return _require(text, not separator or (scheme == "s3" and rest.partition("/")[0]))


def _url(text: str) -> SplitResult:
    """Of the web. Raises ValueError or Wrong for what is none."""
    parts = urlsplit(text.strip())
    _ = parts.port
    if parts.username is not None:
        raise Wrong("holds a user's name or password: give the URL without.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    if re.search(r"\s", text.strip()):
        raise ValueError(text)
    return parts


def _page(text: str) -> str:
    if text.strip():
        _url(text)
    return text


def _base(text: str) -> str:
    if text:
        parts = _url(text)
        _require(text, not (parts.path or parts.query or parts.fragment))
    return text


def _each(csv: str) -> list[str]:
    return [each.strip() for each in csv.split(",") if each.strip()]


def _origins(csv: str) -> str:
    for origin in _each(csv):
        if origin != "*":
            parts = _url(origin.removesuffix(":*"))
            _require(origin, not (parts.path or parts.query or parts.fragment))
    return csv


def _networks(csv: str) -> str:
    for each in _each(csv):
        ip_network(each)
    return csv


def _proxies(csv: str) -> str:
    return csv if csv.strip() == "*" else _networks(csv)


def _addresses(csv: str) -> str:
    for each in _each(csv):
        _require(each, re.fullmatch(r"[^@\s]+@[^@\s]+", each))
    return csv


def _level(text: str) -> str:
    return _require(text, text.lower() in LEVELS)


def lanes(csv: str) -> tuple[str, ...]:
    """The lanes that are named, each once. Raises Wrong."""
    named = tuple(dict.fromkeys(_each(csv)))
    unknown = [name for name in named if name not in LANES]
    if unknown or not named:
        said = f"has no lane {', '.join(unknown)}" if unknown else "names no lane"
        raise Wrong(f"{said}; name some of {', '.join(LANES)}, by commas.")
    return named


def _lanes(csv: str) -> str:
    lanes(csv)
    return csv


# What parses these for use parses them here, loaded only where there is something to parse.
def _rates(text: str) -> str:
    from infra.rates import policies

    policies(text)
    return text


def _packs(text: str) -> str:
    if text.strip():
        from domain.packs import parse

        parse(text)
    return text


def _providers(text: str) -> str:
    if text.strip():
        from infra.identity.providers import listed

        listed(text)
    return text


def _hosted(text: str) -> str:
    if text.strip():
        from infra.separators.replicate.offers import parse

        parse(text)
    return text


Name = Annotated[str, Kind(_name, "a name, without spaces")]
Text = Annotated[str, Kind(str)]
Secret = Annotated[str, Kind(str, secret=True)]
Directory = Annotated[Path | None, Kind(_path, "a path")]
Store = Annotated[str, Kind(_store, "a directory, or s3://bucket/prefix")]
Stage = Annotated[str, matching(FORM, "1 to 20 of a-z, 0-9 and -, as the stage is called")]
Account = Annotated[str, matching(r"[0-9]{12}", "the 12 digits of an AWS account")]
Role = Annotated[
    str, matching(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/\S+", "a role's ARN, arn:aws:iam::...")
]
Base = Annotated[
    str, Kind(_base, "scheme, host and port alone, as in https://api.example.org, without a /")
]
Page = Annotated[str, Kind(_page, "a whole URL, as in https://example.org/credits")]
Origins = Annotated[
    str, Kind(_origins, "origins by commas, as in https://example.org, each without a / at its end")
]
Networks = Annotated[str, Kind(_networks, "networks in CIDR notation by commas, as in 127.0.0.0/8")]
Proxies = Annotated[str, Kind(_proxies, "addresses or networks by commas, as in 10.0.0.0/8, or *")]
Addresses = Annotated[str, Kind(_addresses, "addresses by commas, a@example.org", secret=True)]
Level = Annotated[str, Kind(_level, f"one of {', '.join(LEVELS)}")]
Lanes = Annotated[str, Kind(_lanes, f"some of {', '.join(LANES)}, by commas")]
Rates = Annotated[str, Kind(_rates, "name=requests/seconds by commas, as in reads=600/60")]
Packs = Annotated[str, Kind(_packs, "a JSON array of packs")]
Providers = Annotated[str, Kind(_providers, "a JSON array of providers", secret=True)]
Hosted = Annotated[str, Kind(_hosted, "a JSON array of models")]

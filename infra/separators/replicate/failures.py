"""What the provider's refusals mean for the person who waits for stems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from domain.errors import ModelError
from infra.separators.replicate.timing import Unreached

_LONGEST = 300  # characters of the provider's own words
_LONGEST_WAIT = 3600.0  # seconds
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*:(?://|%2f%2f)\S+|\bdata:\S+|\br8_\w+", re.IGNORECASE)
_RESETS = re.compile(r"resets in ~?(\d{1,4})\s*s", re.IGNORECASE)


def cut(words: Any) -> str:
    """The provider's words for people: without addresses (which can be signed), in one line."""
    text = words if isinstance(words, str) else msgspec.json.encode(words).decode()
    plain = " ".join(_URL.sub("[address]", text[: 20 * _LONGEST]).split())
    printable = "".join(c for c in plain if c.isprintable())
    return printable if len(printable) <= _LONGEST else printable[: _LONGEST - 1] + "…"


def failure(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Exception:
    """What an answer that is no success means. now: seconds since the epoch."""
    words = _words(body)
    if status == 429:
        wait = _wait(headers.get("retry-after", ""), words, now)
        return Unreached("it limits how often we may ask", wait=wait, sent=False)
    if status >= 500 or status == 408:
        wait = _wait(headers.get("retry-after", ""), "", now)
        # 503 is a machine that had no time for it (RFC 9110, 15.6.4); 502 and 504 do not know.
        return Unreached(f"HTTP status {status}", wait=wait, sent=status != 503)
    if status in {401, 403}:
        return ModelError(
            "provider_unavailable",
            "The hosted model's provider does not accept the operator's token; ask the operator "
            "to check SPLITSOUND_REPLICATE_API_TOKEN.",
        )
    if status == 402:
        return ModelError(
            "provider_unavailable",
            "The operator's account at the hosted model's provider cannot pay for this; ask the "
            "operator to look at its billing, or choose another model.",
        )
    if status in {400, 404, 413, 415, 422}:
        return ModelError(
            "provider_refused",
            f"The hosted model's provider refused this: {cut(words) or 'no reason given'}",
        )
    return ModelError(
        "provider_unavailable",
        f"The hosted model's provider answered with HTTP status {status}, which is not its API; "
        "ask the operator to check SPLITSOUND_REPLICATE_API_BASE.",
    )


def failed(words: Any, *, transient: bool = False) -> ModelError:
    """The prediction did not end well. words: the provider's."""
    said = cut(words) if words else ""
    return ModelError(
        "provider_failed",
        f"The hosted model could not separate this: {said or 'no reason given'}",
        transient=transient,
    )


def unusable(what: str, *, transient: bool = False) -> ModelError:
    """The prediction ended well, and what it gave is not what was asked for."""
    return ModelError(
        "provider_failed",
        f"The hosted model's answer cannot be used: {what}. Try again, or choose another model.",
        transient=transient,
    )


def _words(body: bytes) -> str:
    """The reason in a problem document: its ``detail``, or its ``title``, or all of it."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    if isinstance(document, dict):
        document = document.get("detail") or document.get("title") or document
    return document if isinstance(document, str) else msgspec.json.encode(document).decode()


def _wait(header: str, words: str, now: float) -> float | None:
    """Seconds by a Retry-After header (a number or a date), or by what a 429 says in words."""
    if re.fullmatch(r"\d{1,9}(\.\d+)?", header.strip()):
        return min(_LONGEST_WAIT, float(header))
    if header:
        try:
            until = parsedate_to_datetime(header).timestamp()
        except (ValueError, OverflowError):
            return None
        return min(_LONGEST_WAIT, max(0.0, until - now))
    said = _RESETS.search(words)
    return float(said.group(1)) if said else None

"""What all pages share: the shell, amounts, times. Nothing is trusted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import Any

from litestar import Response

from infra.local.pages import Shell
from infra.local.stripe.errors import Refused

_SYMBOLS = {"eur": "€", "usd": "$", "gbp": "£"}
_NO_MINOR_UNIT = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905
)

page = Shell(__package__).page


def money(amount: int, currency: str) -> str:
    """``€9.00``; minor units in."""
    if currency in _NO_MINOR_UNIT:
        number = f"{amount:,}"
    else:
        number = f"{amount // 100:,}.{amount % 100:02d}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {escape(currency.upper())}"


def minor_units(typed: str, currency: str) -> int | None:
    """``4.50`` or ``4,5`` as 450; nothing typed is None. Raises Refused for what is no amount."""
    text = typed.strip().replace(",", ".")
    if not text:
        return None
    whole, _, rest = text.partition(".")
    digits = 0 if currency in _NO_MINOR_UNIT else 2
    if not re.fullmatch(rf"[0-9]{{1,9}}(\.[0-9]{{0,{digits}}})?", text):
        raise Refused(f"{typed[:30]!r} is not an amount. Type one such as 4.50.", param="amount")
    scale: int = 10**digits
    return int(whole) * scale + int(rest.ljust(digits, "0") or "0")


def when(seconds: int) -> str:
    """A time in UTC, for machines and people."""
    at = datetime.fromtimestamp(seconds, UTC)
    machine, person = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%d %b %Y, %H:%M:%S} UTC"
    return f'<time class="small soft" datetime="{machine}">{person}</time>'


def pill(text: str, tone: str = "") -> str:
    """A state in a word or two. tone: good, wait, bad or nothing."""
    return f'<span class="pill {tone}">{escape(text)}</span>'


_MARKS = {
    "good": '<path d="M5 12.5l4.5 4.5L19 7.5"/>',
    "wait": '<circle cx="12" cy="12" r="8"/><path d="M12 7.5V12l3 2"/>',
    "bad": '<path d="M7 7l10 10M17 7L7 17"/>',
    "": '<path d="M12 11v5.5M12 7.5v.01"/>',
}


def result(title: str, text: str, tone: str = "", links: str = "", **shown: Any) -> Response[str]:
    """A page with one thing to say. ``links`` is HTML, the rest is text."""
    body = f"""<main class="result"><div class="sheet">
<div class="mark {tone}"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor"
 stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"
 aria-hidden="true">{_MARKS[tone]}</svg></div>
<h1>{escape(title)}</h1><p>{escape(text)}</p>
<div class="links small">{links}</div></div></main>"""
    return page(title, body, **shown)

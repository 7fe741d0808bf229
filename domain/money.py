"""Money: whole minor units of one currency. Never credits, and never two currencies in one sum."""

from __future__ import annotations

import re

from msgspec import Struct

from domain.errors import Invalid

_CURRENCY = re.compile(r"[a-z]{3}")
# Currencies whose minor unit is not a hundredth, by ISO 4217.
_DIGITS = dict.fromkeys(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv",
     "xaf", "xof", "xpf"), 0,
) | dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3)  # fmt: skip


class Money(Struct, frozen=True):
    """amount: minor units (cents); currency: ISO 4217, lower case.

    Without arithmetic: sums are kept by currency, and there is no rate in this house.
    """

    amount: int
    currency: str

    def __str__(self) -> str:
        digits = _DIGITS.get(self.currency, 2)
        whole, rest = divmod(abs(self.amount), 10**digits)
        fraction = f".{rest:0{digits}d}" if digits else ""
        return f"{'-' if self.amount < 0 else ''}{whole}{fraction} {self.currency.upper()}"


def require_price(money: Money) -> None:
    """Raises Invalid unless somebody can pay it: 1..99,999,999 minor units of a currency."""
    if not 0 < money.amount < 10**8:
        raise Invalid(f"A price is 1 to 99999999 minor units of its currency, not {money.amount}.")
    if not _CURRENCY.fullmatch(money.currency):
        raise Invalid(f"A currency is three lower case letters (eur), not {money.currency!r}.")

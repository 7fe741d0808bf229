"""How long media are kept: until a date that is written down when they come to be, or go.

All dates are epoch milliseconds; 0 is no date. A date decides by itself: from then on what it
belongs to cannot be had back, whether or not anybody has removed the bytes yet.
"""

from __future__ import annotations

from msgspec import Struct

DAY = 86_400_000


class Retention(Struct, frozen=True):
    """Days. originals, stems: 0 keeps them until they are deleted. deleted: to have them back."""

    originals: int = 0
    stems: int = 0
    deleted: int = 30


def expiry(now: int, days: int) -> int:
    """When what is made now goes; 0 for never."""
    return now + days * DAY if days else 0


def over(date: int, now: int) -> bool:
    """Whether that date is there and has come."""
    return 0 < date <= now


def days_left(date: int, now: int) -> int | None:
    """Whole days, rounded up; 0 once it has come, None without a date."""
    return max(0, -(-(date - now) // DAY)) if date else None


def earliest(*dates: int) -> int:
    """The first of the dates that are there; 0 when none is."""
    return min((date for date in dates if date), default=0)

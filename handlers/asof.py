"""Points in time as people name them, and a stream as it stood then."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from domain.commit import Commit
from infra.clock import stamp

_AGO = re.compile(r"(\d{1,9})\s*([smhd])(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

FORMATS = (
    "2026-11-23T16:00:00Z, 2026-11-23 (the end of that day, UTC), or how long ago: 90s, 5m, 2h, 1d"
)


def parse(text: str, now: int) -> int:
    """Epoch milliseconds. Raises ValueError, also for what is before 1970 or after 9999.

    An ISO 8601 time (UTC unless it says otherwise), a date (its end, as on a statement),
    ``now``, or how long ago: ``90s``, ``5m``, ``2h``, ``1d``.
    """
    try:
        moment = _parsed(text.strip(), now)
        if moment >= 0:
            stamp(moment)  # no calendar has what cannot be shown
            return moment
    except OverflowError:
        pass
    raise ValueError(f"{text!r} is before 1970 or after 9999.")


def _parsed(text: str, now: int) -> int:
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _SECONDS[ago[2]] * 1000
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if _DATE.fullmatch(text):
        moment += timedelta(days=1, milliseconds=-1)
    return round(moment.timestamp() * 1000)


def upto(commits: Iterable[Commit], time: int | None) -> Iterable[Commit]:
    """The commits made at ``time`` (epoch ms) or before; all of them for None."""
    if time is None:
        return commits
    # A stream's times never go back, so the first later commit ends it.
    return takewhile(lambda commit: commit.t <= time, commits)

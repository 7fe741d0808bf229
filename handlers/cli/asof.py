"""``--as-of TIME``: a stream as it stood then."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import click

from domain.commit import Commit

_AGO = re.compile(r"(\d+)\s*([smhd])(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse(text: str, now: int) -> int:
    """Epoch milliseconds. Raises ValueError.

    An ISO 8601 time (UTC unless it says otherwise), a date (its end, as on a statement),
    ``now``, or how long ago: ``90s``, ``5m``, ``2h``, ``1d``.
    """
    text = text.strip()
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


class _Moment(click.ParamType[int]):
    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse(str(value), time.time_ns() // 1_000_000)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; write 2026-11-23T16:00:00Z, 2026-11-23 (the end of that "
                "day, UTC), or how long ago: 90s, 5m, 2h, 1d.",
                param,
                ctx,
            )


as_of_option = click.option(
    "--as-of",
    type=_Moment(),
    metavar="TIME",
    help="As it stood then: 2026-11-23T16:00:00Z, 2026-11-23, or 5m for five minutes ago.",
)


def upto(commits: Iterable[Commit], time: int | None) -> Iterable[Commit]:
    """The commits made at ``time`` (epoch ms) or before; all of them for None."""
    if time is None:
        return commits
    # A stream's times never go back, so the first later commit ends it.
    return takewhile(lambda commit: commit.t <= time, commits)

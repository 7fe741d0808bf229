"""``--as-of TIME``: a stream as it stood then."""

from __future__ import annotations

import time
from typing import Any

import click

from handlers.asof import FORMATS, parse


class _Moment(click.ParamType[int]):
    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse(str(value), time.time_ns() // 1_000_000)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write {FORMATS}.", param, ctx)


as_of_option = click.option(
    "--as-of",
    type=_Moment(),
    metavar="TIME",
    help="As it stood then: 2026-11-23T16:00:00Z, 2026-11-23, or 5m for five minutes ago.",
)

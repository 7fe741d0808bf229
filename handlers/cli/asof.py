"""``--as-of TIME``: a stream as it stood then."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from handlers.asof import FORMATS, parse

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Moment(click.ParamType[int]):
    """A point in time, epoch ms. begins: a date means its beginning, else its end."""

    name = "TIME"

    def __init__(self, *, begins: bool = False) -> None:
        self._begins = begins

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        if self._begins and _DATE.fullmatch(text):
            text += "T00:00:00Z"
        try:
            return parse(text, time.time_ns() // 1_000_000)
        except ValueError:
            formats = (
                FORMATS.replace("the end of that day", "its beginning") if self._begins else FORMATS
            )
            self.fail(f"{value!r} is no time; write {formats}.", param, ctx)


as_of_option = click.option(
    "--as-of",
    type=Moment(),
    metavar="TIME",
    help="As it stood then: 2026-11-23T16:00:00Z, 2026-11-23, or 5m for five minutes ago.",
)

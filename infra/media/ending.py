"""Why ffmpeg ended: by itself, at its limit, or because somebody stopped it."""

from __future__ import annotations

import re

from domain.errors import Unavailable
from infra.media import process
from infra.media.sandbox import cpu_limit

# SIGINT, SIGKILL (out of memory, too), SIGTERM; and what ffmpeg says of the polite ones. Its exit
# code for them, 255, is also that of a demuxer that answers -1.
_STOPPED = (-2, -9, -15)
_STOPPED_POLITELY = re.compile(r"^Exiting normally, received signal", re.MULTILINE)


def check(outcome: process.Outcome, timeout: float) -> None:
    """Whether it ended by itself, well or not. timeout: seconds, that it was started with.

    Raises MediaError ``ffmpeg_timeout`` where its processor time was over, Unavailable where
    somebody stopped it: a machine short of memory, say, where another try may go well.
    """
    if outcome.code < 0 and outcome.cpu_seconds >= cpu_limit(timeout):
        raise process.too_slow()
    if outcome.code in _STOPPED or _STOPPED_POLITELY.search(outcome.log):
        raise Unavailable("ffmpeg was stopped from outside before it was done. Try again.")

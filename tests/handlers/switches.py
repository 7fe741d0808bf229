"""Waiting until a process knows what operators have shut: it reads every other second."""

from __future__ import annotations

import time

from domain.controls import CONTROLS, STREAM
from infra.bootstrap import Application


def settle(parts: Application) -> None:
    """Until these parts have read the switches again."""
    known = parts.store.load(CONTROLS, STREAM).state
    deadline = time.monotonic() + 10
    while parts.switchboard.state() != known:
        assert time.monotonic() < deadline, "the switches were not read in time"
        time.sleep(0.05)

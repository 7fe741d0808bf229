"""The API's log lines. A log that cannot be written must not cost anybody their answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import structlog


def info(event: str, **facts: Any) -> None:
    """What went as it should."""
    with suppress(Exception):
        structlog.get_logger(component="api").info(event, **facts)


def warning(event: str, **facts: Any) -> None:
    """What will heal by itself, or is not ready yet."""
    with suppress(Exception):
        structlog.get_logger(component="api").warning(event, **facts)


def error(event: str, **facts: Any) -> None:
    """What somebody should look at."""
    with suppress(Exception):
        structlog.get_logger(component="api").error(event, **facts)

"""The API's log lines. A log that cannot be written must not cost anybody their answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from infra.logs import logger


def info(event: str, **facts: Any) -> None:
    """What went as it should."""
    with suppress(Exception):
        logger("api").info(event, **facts)


def warning(event: str, **facts: Any) -> None:
    """What will heal by itself, or is not ready yet."""
    with suppress(Exception):
        logger("api").warning(event, **facts)


def error(event: str, **facts: Any) -> None:
    """What somebody should look at."""
    with suppress(Exception):
        logger("api").error(event, **facts)

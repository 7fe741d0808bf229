"""Uploads from storage to the worker's disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from domain.errors import MediaError, NotFound
from handlers.worker.stages import until_stopped
from infra.objects import Objects


async def size_of(objects: Objects, key: str) -> int:
    """Bytes. Raises MediaError ``source_missing``: trying again cannot help."""
    found = await objects.head(key)
    if found is None:
        raise _missing()
    return found.size


async def fetch(objects: Objects, key: str, target: Path, watch: Callable[[], bool]) -> None:
    """Download an original. Raises MediaError ``source_missing``, Unavailable, Cancelled."""
    try:
        await until_stopped(objects.download(key, target), watch)
    except NotFound:
        raise _missing() from None


def _missing() -> MediaError:
    return MediaError(
        "source_missing", "The uploaded file is no longer in storage. Upload it again."
    )

"""How long work takes on one core."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def quickest(action: Callable[[], object], runs: int) -> float:
    """Seconds of CPU of the quickest run: noise of other programs only ever adds."""
    gc.collect()
    gc.disable()
    try:
        return min(_timed(action) for _ in range(runs))
    finally:
        gc.enable()


def _timed(action: Callable[[], object]) -> float:
    begun = time.process_time()
    action()
    return time.process_time() - begun

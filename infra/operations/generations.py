"""The catalogues of read models' generations, and a cache of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from infra.operations.table import OperationalTable
from projections.generations import Catalogue
from projections.ports import Generations

# How old what a projector or a query goes by may be.
CACHE_SECONDS = 2.0
# After so long nobody goes by an older catalogue, and every commit made before the catalogue
# changed is in eventually consistent reads too.
SETTLE_SECONDS = CACHE_SECONDS + 1.0


class TableGenerations:
    """Generations (see projections.ports) in the operational table."""

    def __init__(self, table: OperationalTable) -> None:
        self._table = table

    def live(self, projection: str) -> int:
        """See Generations."""
        found = self.catalogue(projection)
        return found.live.number if found else 1

    def catalogue(self, projection: str) -> Catalogue | None:
        """See Generations."""
        return self._table.get(f"projection#{projection}", "catalogue", Catalogue)

    def replace(self, projection: str, new: Catalogue) -> bool:
        """See Generations."""
        counted = replace(new, revision=new.revision + 1)
        pk = f"projection#{projection}"
        return self._table.replace(pk, "catalogue", counted, new.revision)


class CachedGenerations:
    """The same, at most CACHE_SECONDS old; for what reads on every message or request."""

    def __init__(
        self,
        behind: Generations,
        seconds: float = CACHE_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._behind = behind
        self._seconds = seconds
        self._timer = timer
        self._known: dict[str, tuple[float, Catalogue | None]] = {}
        self._lock = threading.Lock()

    def live(self, projection: str) -> int:
        """See Generations."""
        found = self.catalogue(projection)
        return found.live.number if found else 1

    def catalogue(self, projection: str) -> Catalogue | None:
        """See Generations. Timed from before the read, so that it is never older than it says."""
        begun = self._timer()
        with self._lock:
            known = self._known.get(projection)
        if known and begun - known[0] < self._seconds:
            return known[1]
        found = self._behind.catalogue(projection)
        with self._lock:
            self._known[projection] = (begun, found)
        return found

    def replace(self, projection: str, new: Catalogue) -> bool:
        """See Generations."""
        with self._lock:
            self._known.pop(projection, None)
        return self._behind.replace(projection, new)

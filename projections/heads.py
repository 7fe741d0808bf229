"""The heads that this process wrote last, so that a stream's next commit needs no read.

A remembered head may be behind the table, never trusted further than the conditional write
that follows it: who builds on an old one loses that write and reads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from projections.ports import Row

_MOST = 20_000
_LONGEST = 16 * 1024


class Heads:
    """Bounded, thread-safe; forgets those that were written longest ago."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._rows: OrderedDict[tuple[str, str], Row] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, generation: str, stream: str, version: int) -> Row | None:
        """The head, if it was at exactly that version when it was last seen."""
        with self._lock:
            row = self._rows.get((generation, stream))
        return row if row and row.version == version else None

    def note(self, row: Row) -> None:
        """That head was written."""
        if len(row.body) > _LONGEST:
            return
        with self._lock:
            self._rows.pop((row.generation, row.stream), None)
            self._rows[row.generation, row.stream] = row
            if len(self._rows) > self._most:
                self._rows.popitem(last=False)

"""What this process has told its clients, so that it never tells them less afterwards.

A row lags behind the events until a projector has been by. A client that got ``uploaded,
version 2`` from a command and then reads the object without ``min_version`` must not see
``uploading, version 1``; so each stream's version that an answer carried is the least that a
later read of that object answers from. This holds within one process, for the streams told of
last: a client that may reach another process sends ``min_version``, as it must for lists.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

_MOST = 16_384


class Acknowledged:
    """A bounded map of streams to versions; forgets those that were told of longest ago."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, stream: str, version: int) -> None:
        """The stream was at that version when somebody was told so."""
        with self._lock:
            self._versions[stream] = max(version, self._versions.pop(stream, 0))
            if len(self._versions) > self._most:
                self._versions.popitem(last=False)

    def least(self, stream: str, asked: int = 1) -> int:
        """The version that a read must reach which was asked for ``asked``."""
        with self._lock:
            return max(asked, self._versions.get(stream, 0))

"""The operational table in memory, for tests and simulation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from infra.operations.table import Delete, OperationalTable, Put

T = TypeVar("T")


class MemoryTable(OperationalTable):
    """Same answers, no I/O; ``expires`` is ignored. Safe to share between threads."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], tuple[bytes, int]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def get(self, pk: str, sk: str, kind: type[T]) -> T | None:
        """See OperationalTable."""
        found = self._items.get((pk, sk))
        return msgspec.json.decode(found[0], type=kind) if found else None

    def get_many(self, keys: Sequence[tuple[str, str]], kind: type[T]) -> dict[tuple[str, str], T]:
        """See OperationalTable."""
        found = {key: self.get(*key, kind) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def query(self, pk: str, kind: type[T], begins: str = "") -> Iterator[tuple[str, T]]:
        """See OperationalTable."""
        keys = sorted(k for k in list(self._items) if k[0] == pk and k[1].startswith(begins))
        for key in keys:
            yield key[1], msgspec.json.decode(self._items[key][0], type=kind)

    def keys(self, pk: str) -> Iterator[str]:
        """See OperationalTable."""
        yield from sorted(sk for at, sk in (*self._items, *self._counts) if at == pk)

    def between(
        self,
        pk: str,
        kind: type[T],
        low: str,
        high: str,
        limit: int,
        *,
        after: str = "",
        newest_first: bool = False,
    ) -> list[tuple[str, T]]:
        """See OperationalTable."""
        found = [(sk, value) for sk, value in self.query(pk, kind) if low <= sk <= high]
        if newest_first:
            found.reverse()
        if after:
            found = [
                each for each in found if (each[0] < after if newest_first else each[0] > after)
            ]
        return found[:limit]

    def together(self, *writes: Put | Delete) -> bool:
        """See OperationalTable."""
        with self._lock:
            for write in writes:
                if isinstance(write, Put) and write.revision is not None:
                    _, now = self._items.get((write.pk, write.sk), (b"", 0))
                    if now != write.revision:
                        return False
            for write in writes:
                if isinstance(write, Delete):
                    self._items.pop((write.pk, write.sk), None)
                else:
                    revision = 0 if write.revision is None else write.revision + 1
                    body = msgspec.json.encode(write.value)
                    self._items[write.pk, write.sk] = (body, revision)
        return True

    def delete(self, pk: str, sk: str) -> None:
        """See OperationalTable."""
        self._items.pop((pk, sk), None)
        self._counts.pop((pk, sk), None)

    def put(self, pk: str, sk: str, value: object, expires: int | None = None) -> None:  # noqa: ARG002
        """See OperationalTable."""
        self._items[pk, sk] = (msgspec.json.encode(value), 0)

    def put_new(
        self,
        pk: str,
        sk: str,
        value: T,
        expires: int | None = None,  # noqa: ARG002
    ) -> tuple[T, int] | None:
        """See OperationalTable."""
        with self._lock:
            found = self._items.get((pk, sk))
            if found and found[1]:
                return msgspec.json.decode(found[0], type=type(value)), found[1]
            self._items[pk, sk] = (msgspec.json.encode(value), 1)
        return None

    def add(self, pk: str, sk: str, count: int, expires: int) -> int:  # noqa: ARG002
        """See OperationalTable."""
        with self._lock:
            self._counts[pk, sk] = self._counts.get((pk, sk), 0) + count
            return self._counts[pk, sk]

    def replace(
        self,
        pk: str,
        sk: str,
        value: object,
        revision: int,
        expires: int | None = None,  # noqa: ARG002
    ) -> bool:
        """See OperationalTable."""
        with self._lock:
            _, now = self._items.get((pk, sk), (b"", 0))
            if now != revision:
                return False
            self._items[pk, sk] = (msgspec.json.encode(value), revision + 1)
        return True

    def overwrite(self, pk: str, sk: str, value: object) -> bool:
        """See OperationalTable."""
        with self._lock:
            if (pk, sk) not in self._items:
                return False
            self._items[pk, sk] = (msgspec.json.encode(value), 0)
        return True

    def delete_if(self, pk: str, sk: str, value: object) -> bool:
        """See OperationalTable."""
        with self._lock:
            found = self._items.get((pk, sk))
            if found and found[0] != msgspec.json.encode(value):
                return False
            self._items.pop((pk, sk), None)
        return True

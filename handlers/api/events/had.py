"""What a client of ``/v1/events`` has been told, small enough for an event id.

Rows lag and come in no order of time, so a time says little about what a client has seen.
Versions do: the cursor names the versions of the jobs it was told of last, and sums up all others
in buckets. Whoever resumes sums up the user's jobs the same way: a bucket that comes out otherwise
holds a change, and all its jobs are told again. So a change is never missed, at the price of some
repeats; the cursor has the same size for ten jobs and for two thousand.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from domain.errors import Invalid

RECENT = 24
BUCKETS = 24
_SUM_BYTES = 6
_SUM = 1 << 8 * _SUM_BYTES
_NAME_BYTES = 8


class _Packed(Struct, array_like=True, frozen=True):
    recent: list[tuple[bytes, int]]
    sums: list[int]


class Had:
    """Versions by job; those told of last are kept by name in the cursor."""

    def __init__(self) -> None:
        self._versions: dict[bytes, int] = {}
        self._sums = [0] * BUCKETS
        self._recent: OrderedDict[bytes, None] = OrderedDict()

    def version(self, stream: str) -> int:
        """What the client was told of that job; 0 for nothing."""
        return self._versions.get(_name(stream), 0)

    def note(self, stream: str, version: int) -> None:
        """The client was told of that job at that version."""
        self._set(_name(stream), version)

    def take(self, versions: Mapping[str, int]) -> None:
        """The client knows those already, none of them by an event."""
        for stream, version in versions.items():
            name = _name(stream)
            self._versions[name] = version
            self._add(name, version, 1)

    def cursor(self) -> str:
        """The event id."""
        recent = [(name, self._versions[name]) for name in self._recent]
        packed = msgspec.msgpack.encode(_Packed(recent, self._sums))
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def _set(self, name: bytes, version: int) -> None:
        before = self._versions.get(name, 0)
        if name in self._recent:
            self._recent.move_to_end(name)
        else:
            self._add(name, before, -1)
            self._recent[name] = None
        self._versions[name] = version
        if len(self._recent) > RECENT:
            oldest, _ = self._recent.popitem(last=False)
            self._add(oldest, self._versions[oldest], 1)

    def _add(self, name: bytes, version: int, sign: int) -> None:
        if version:
            place = _bucket(name)
            self._sums[place] = (self._sums[place] + sign * _digest(name, version)) % _SUM


def resumed(cursor: str, versions: Mapping[str, int]) -> Had:
    """What the client with that cursor was told of. versions: the user's jobs as they stand now.

    Raises Invalid for what is no cursor.
    """
    packed = _unpacked(cursor)
    named = dict(packed.recent)
    had = Had()
    unnamed: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for stream, version in versions.items():
        name = _name(stream)
        if name not in named:
            unnamed[_bucket(name)].append((stream, version))
    for place, jobs in unnamed.items():
        if _sum(jobs) == packed.sums[place]:
            had.take(dict(jobs))
    for name, version in packed.recent:
        had._set(name, version)
    return had


def _unpacked(cursor: str) -> _Packed:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        packed = msgspec.msgpack.decode(raw, type=_Packed)
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise Invalid("This is no event id of ours.") from error
    if len(packed.sums) != BUCKETS or len(packed.recent) > RECENT:
        # Of another release, whose sums are others.
        return _Packed(packed.recent[:RECENT], [-1] * BUCKETS)
    return packed


def _sum(jobs: Iterable[tuple[str, int]]) -> int:
    return sum(_digest(_name(stream), version) for stream, version in jobs) % _SUM


def _name(stream: str) -> bytes:
    return hashlib.blake2b(stream.encode(), digest_size=_NAME_BYTES).digest()


def _bucket(name: bytes) -> int:
    return name[0] % BUCKETS


def _digest(name: bytes, version: int) -> int:
    made = hashlib.blake2b(name + version.to_bytes(8), digest_size=_SUM_BYTES).digest()
    return int.from_bytes(made)

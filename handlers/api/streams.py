"""``/v1/admin/streams``: any stream as it stood at any time, and the state that it then gave.

Every page reads the stream from its beginning, since only that shows whether the chain holds
and what the state is; events of other pages are checked, folded and let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from domain.commit import Commit
from domain.errors import HistoryBroken, Invalid, NotFound
from handlers.api.openapi import problems
from handlers.api.paging import Cursor
from handlers.api.renderings import Moment, moment_or_none
from handlers.api.service import Api, Service
from handlers.asof import FORMATS, parse, upto
from handlers.history import StateThen, Told, intact, said, stream_name
from infra.clock import stamp

AsOf = Annotated[
    str | None, QueryParameter(max_length=64, description=f"As it stood then: {FORMATS}.")
]
AtVersion = Annotated[
    int | None, QueryParameter(ge=1, le=2**53, description="As it stood at that version.")
]
EventLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Events per page.")]

_LONGEST_NAME = 200  # a key of the table holds 1 KB


class Break(Struct, frozen=True):
    """Where a hash chain does not hold. after: the last version that does."""

    after: int
    detail: str


class StreamHistory(Struct, frozen=True, kw_only=True):
    """A stream at a point in time. version: of its last event then.

    verified: whether the chain holds up to there; where it does not, events and state end before
    the break, which ``broken`` names. events: a page, oldest first. state: folded from all events
    up to ``version``, whatever the page; null where ``note`` says why. cursor: for the next page,
    of this very moment; null at the end.
    """

    stream: str
    version: int
    as_of: Moment | None
    began_at: Moment | None
    changed_at: Moment | None
    verified: bool
    broken: Break | None
    events: list[Told]
    cursor: str | None
    state: dict[str, Any] | None
    note: str | None


@get(
    "/streams/{stream:str}",
    responses=problems(401, 403, 404, 422),
    summary="A stream, then and now",
    operation_id="getStream",
    response_description="Its events up to then, and the state that they give.",
    tags=["admin"],
)
async def show_stream(
    stream: FromPath[str],
    service: Api,
    as_of: AsOf = None,
    version: AtVersion = None,
    limit: EventLimit = 100,
    cursor: Cursor = None,
) -> StreamHistory:
    """Every event up to a time or a version, whether the hash chain holds, and the state folded
    from them. An id alone names its own stream. Sealed fields stay sealed.
    """
    name = stream_name(stream)
    if len(name) > _LONGEST_NAME:
        raise NotFound(f"There is no stream {name[:60]}...")
    scope = f"stream|{name}"
    if cursor is not None:
        place = msgspec.json.decode(service.cursors.take(scope, cursor) or "", type=_Place)
    else:
        place = _Place(0, version, _time(as_of, service.application.clock.now()))
        if version is not None and as_of is not None:
            raise Invalid("Name a time or a version, not both.")
    return await service.run(_history, service, name, place, limit)


class _Place(Struct, array_like=True):
    """Where a page begins and what is looked at: cursors carry it, so that ``5m`` stays put."""

    after: int
    version: int | None
    time: int | None


def _time(text: str | None, now: int) -> int | None:
    if text is None:
        return None
    try:
        return parse(text, now)
    except ValueError:
        detail = f"Write {FORMATS}."
        raise Invalid(
            f"{text!r} is no time. {detail}", errors=[{"parameter": "as_of", "detail": detail}]
        ) from None


def _history(service: Service, name: str, place: _Place, limit: int) -> StreamHistory:
    walk = _Walk(name, place, limit)
    broken = None
    try:
        walk.through(service.application.store.read(name))
    except HistoryBroken as error:
        broken = Break(walk.version, error.detail)
    if broken is None:
        walk.require()
    following: str | None = None
    if walk.more:
        at = _Place(walk.events[-1].version, walk.version, place.time)
        encoded = msgspec.json.encode(at).decode()
        following = service.cursors.give(f"stream|{name}", encoded)
    return StreamHistory(
        stream=name,
        version=walk.version,
        as_of=moment_or_none(place.time),
        began_at=moment_or_none(walk.began),
        changed_at=moment_or_none(walk.changed),
        verified=broken is None,
        broken=broken,
        events=walk.events,
        cursor=following,
        state=walk.fold.told(),
        note=walk.fold.note,
    )


class _Walk:
    """One pass over a stream: the chain, the state and one page of events."""

    def __init__(self, name: str, place: _Place, limit: int) -> None:
        self.version = self.began = self.changed = 0
        self.events: list[Told] = []
        self.more = False
        self.fold = StateThen(name)
        self._name, self._place, self._limit = name, place, limit

    def through(self, commits: Iterable[Commit]) -> None:
        """To the end, or to the place. Raises HistoryBroken where the chain does."""
        last = self._place.version
        for commit in upto(self._noting(intact(commits)), self._place.time):
            if last is not None and commit.first > last:
                return
            self._take(commit, commit.last if last is None else min(commit.last, last))

    def require(self) -> None:
        """Raises NotFound where there was no such stream then, Invalid past its end."""
        last, time = self._place.version, self._place.time
        if not self.began:
            raise NotFound(f"There is no stream {self._name}.")
        if not self.version:
            assert time is not None
            raise NotFound(
                f"{self._name} begins at {stamp(self.began)}; there was none at {stamp(time)}."
            )
        if last is not None and self.version < last:
            raise Invalid(
                f"{self._name} is at version {self.version}; it has no {last} yet.",
                errors=[{"parameter": "version", "detail": f"At most {self.version}."}],
            )

    def _noting(self, commits: Iterable[Commit]) -> Iterator[Commit]:
        for commit in commits:
            self.began = self.began or commit.t
            yield commit

    def _take(self, commit: Commit, last: int) -> None:
        self.version, self.changed = last, commit.t
        self.fold.take(commit, last)
        if commit.last <= self._place.after or self.more:
            return
        fresh = [e for e in said(commit) if self._place.after < e.version <= last]
        room = self._limit - len(self.events)
        self.events += fresh[:room]
        self.more = len(fresh) > room

"""Events per second through decode, version gate and fold, on one core and without the store.

The history is what commands write: jobs as a worker leaves them, and the accounts that pay for
them. Beside it, in the same run, the ``eventsourcing`` library's own projection runner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from msgspec import Struct

from commands import Context, execute
from commands.dispatch import Command
from domain.aggregate import Recorded
from domain.catalog import Catalog, Limits, Model
from domain.commit import Commit, Meta
from handlers.bench import Figure, library_runner, songs
from handlers.bench.timing import quickest
from infra.clock import SystemClock, SystemIds
from infra.event_store.memory import MemoryStore
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.doorbell import ring
from projections.folding import fold, piece, riding
from projections.projection import Projection

USERS, SONGS = 500, 10
TWICE = 20
"""Each so many-th message comes twice."""
AT_ONCE = 50
"""Streams whose messages are interleaved."""
RUNS = 5

Stream = list[Commit]


class History(Struct):
    """A projection's streams, their messages as they come, and their number of events."""

    projection: Projection[Any]
    streams: list[Stream]
    messages: list[Commit]
    events: int


def figures() -> list[Figure]:
    """Ours without and with rows, and the library's."""
    commits = commits_of_users()
    jobs, accounts = history(JOBS_VIEW, commits), history(CREDITS_VIEW, commits)
    events = jobs.events + accounts.events
    memory = max(library_runner.from_memory(events) for _ in range(3))
    sqlite = max(library_runner.from_sqlite(events) for _ in range(3))
    peer = f"eventsourcing's runner: {memory:,.0f} in memory; its loop on SQLite: {sqlite:,.0f}"
    return [
        Figure(
            f"decode, gate, fold {events:,} events", _per_second(follow, jobs, accounts),
            "events/s", ">= 300,000", peer,
        ),
        Figure("the same, jobs alone", _per_second(follow, jobs), "events/s"),
        Figure("the same, accounts alone", _per_second(follow, accounts), "events/s"),
        Figure("with rows, once a stream", _per_second(_rows, jobs, accounts), "events/s"),
        Figure("with rows, once a message", _per_second(_live, jobs, accounts), "events/s"),
    ]  # fmt: skip


def follow(history: History) -> dict[str, tuple[Any, int]]:
    """Each stream's view and version, from messages that may come twice but not out of order."""
    projection = history.projection
    decode, apply = projection.aggregate.decode, projection.apply
    views: dict[str, tuple[Any, int]] = {}
    for commit in history.messages:
        stream = commit.stream
        view, version = views.get(stream) or (projection.view(), 0)
        if commit.last <= version:
            continue
        if commit.first != version + 1:
            raise AssertionError(f"{stream} lacks version {version + 1}")
        events: Any = commit.events
        for place, event in enumerate(decode(events), commit.first):
            apply(view, Recorded(event, stream, place, commit.t, commit.actor))
        views[stream] = view, commit.last
    return views


def _rows(history: History) -> None:
    """As a rebuild: all of a stream's commits, then its rows."""
    for stream in history.streams:
        fold(history.projection, "bench", stream[0].stream, [piece(c) for c in stream])


def _live(history: History) -> None:
    """As the projector: each doorbell on the head that the one before it left."""
    for stream in history.streams:
        head = None
        for bell in map(ring, stream):
            pieces = riding([bell], bell.first - 1)
            assert pieces
            head = fold(history.projection, "bench", bell.stream, pieces, head).head


def _interleaved(streams: list[Stream]) -> Iterator[Commit]:
    count = 0
    for start in range(0, len(streams), AT_ONCE):
        rounds = zip_longest(*streams[start : start + AT_ONCE])
        for commit in filter(None, chain.from_iterable(rounds)):
            yield commit
            count += 1
            if count % TWICE == 0:
                yield commit


def history(projection: Projection[Any], commits: list[Commit]) -> History:
    """The streams among ``commits`` that the projection covers."""
    streams: dict[str, Stream] = {}
    for commit in commits:
        if projection.covers(commit.stream):
            streams.setdefault(commit.stream, []).append(commit)
    events = sum(stream[-1].last for stream in streams.values())
    gathered = list(streams.values())
    return History(projection, gathered, list(_interleaved(gathered)), events)


def _per_second(work: Callable[[History], Any], *histories: History) -> float:
    """Events per second of CPU."""
    return sum(h.events for h in histories) / sum(
        quickest(partial(work, h), RUNS) for h in histories
    )


class _NoSealer:
    def seal(self, _user: str, _place: tuple[str, int, str], text: str) -> str:
        return text


def commits_of_users() -> list[Commit]:
    """What USERS users with SONGS songs each leave in the store, streams in order."""
    clock = SystemClock()
    models = {"two": Model("two", "Two stems", songs.STEMS)}
    catalog = Catalog(models, "two", Limits(600, 10**9), "bench")
    store = MemoryStore(clock)
    context = Context(store, clock, SystemIds(clock), _NoSealer(), catalog, signup_grant=10**6)
    for _ in range(USERS):
        user = context.ids.fresh("usr")
        for command in _life(context, user):
            execute(context, command, Meta(context.ids.fresh("cmd"), user))
    return list(store.scan())


def _life(context: Context, user: str) -> Iterator[Command]:
    asset = context.ids.fresh("ast")
    yield from songs.arrival(user, asset)
    for _ in range(SONGS):
        yield from songs.separation(context, user, asset, "two")

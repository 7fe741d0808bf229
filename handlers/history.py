"""A stream as auditors read it: every event with where it stands, its hash chain checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta as Rule
from msgspec import Struct

from domain import aggregates
from domain.aggregate import Aggregate
from domain.commit import Commit, Tip, verify_chain
from domain.errors import NotFound
from infra.clock import stamp

CATEGORIES = {"job": "job", "ast": "asset", "usr": "user", "pur": "purchase"}
"""Of the streams that are named for an id, by the id's prefix."""

Stamp = Annotated[str, Rule(extra_json_schema={"format": "date-time"})]


class Told(Struct, frozen=True):
    """An event as it stands in its stream. data: its fields; sealed ones stay sealed.

    cmd, corr: of the command and the request behind it; hash: of its commit, in hex; origin: of
    an imported or restored commit; peers: streams that the same transaction wrote to.
    """

    version: int
    time: Stamp
    type: str
    data: dict[str, Any]
    actor: str
    cmd: str
    corr: str
    hash: str
    origin: str | None
    peers: list[str]


def stream_name(text: str) -> str:
    """A stream's name; an id alone means its own stream (``job_1`` is ``job-job_1``)."""
    prefix = text.partition("_")[0]
    return f"{CATEGORIES[prefix]}-{text}" if prefix in CATEGORIES else text


def intact(commits: Iterable[Commit]) -> Iterator[Commit]:
    """The commits of a stream from its beginning, each once it is seen to follow the last.

    Raises HistoryBroken at the first that does not.
    """
    tip: Tip | None = None
    for commit in commits:
        tip = verify_chain((commit,), tip)
        yield commit


def said(commit: Commit) -> list[Told]:
    """The events of a commit, as they are stored."""
    events = msgspec.json.decode(commit.events, type=list[dict[str, Any]])
    return [
        Told(
            version=commit.first + offset,
            time=stamp(commit.t),
            type=event["type"],
            data={k: v for k, v in event.items() if k != "type"},
            actor=commit.actor,
            cmd=commit.cmd,
            corr=commit.corr,
            hash=commit.hash.hex(),
            origin=commit.origin,
            peers=[peer.stream for peer in commit.peers],
        )
        for offset, event in enumerate(events)
    ]


class StateThen:
    """The state of a stream whose aggregate we know, as far as its events can be read.

    note: why there is none.
    """

    def __init__(self, name: str) -> None:
        self.note: str | None = None
        self._aggregate: Aggregate[Any] | None = None
        try:
            self._aggregate = aggregates.of_stream(name)
            self._state = self._aggregate.state()
        except NotFound as error:
            self.note = error.detail

    def take(self, commit: Commit, last: int) -> None:
        """The commit's events, up to version ``last``."""
        if self._aggregate is None:
            return
        try:
            assert isinstance(commit.events, str)
            events = self._aggregate.decode(commit.events)[: last - commit.first + 1]
            self._state = self._aggregate.fold(events, self._state)
        except msgspec.ValidationError as error:
            # An event that a newer process wrote: what it means, this one cannot say.
            self._aggregate = None
            self.note = f"Version {commit.first} cannot be read by this version of us: {error}."

    def told(self) -> dict[str, Any] | None:
        """As JSON shows it."""
        if self._aggregate is None:
            return None
        state: dict[str, Any] = msgspec.to_builtins(self._state, str_keys=True)
        return state

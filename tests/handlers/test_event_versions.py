"""Two releases of a toy aggregate on one store: the second one changed an event.

The first release writes ``Noted``; the second writes ``Noted.v2``, of which nothing fits, and
keeps the old class with an upcast. Store, snapshots, rows, stream, bus and rules are the real ones.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from domain.aggregate import Aggregate, Event, Recorded
from domain.commit import Append, Meta, verify_chain
from handlers.relay import Relay
from infra.bootstrap import Application
from infra.queue import Queue
from projections.catch_up import catch_up
from projections.projection import Index, Projection
from tests.handlers.test_relay import received, records

STREAM = "notes-a"


class Noted(Event, frozen=True):
    """First release: a line of text."""

    text: str


class NotedV1(Event, frozen=True, tag="Noted"):
    """The same, as the second release keeps it."""

    text: str

    def upcast(self) -> Event:
        return Remembered(tuple(self.text.split()), "unknown")


class Remembered(Event, frozen=True, tag="Noted.v2"):
    """Second release: words, and who said them."""

    words: tuple[str, ...]
    by: str


class OldState(Struct):
    """lines: how many."""

    lines: int = 0


class NewState(Struct):
    """words: how many of each speaker."""

    words: dict[str, int] = {}


def evolve_old(state: OldState, event: Noted) -> OldState:
    state.lines += 1
    return state


def evolve_new(state: NewState, event: Remembered) -> NewState:
    state.words[event.by] = state.words.get(event.by, 0) + len(event.words)
    return state


class OldView(Struct):
    """last: line."""

    last: str = ""


class NewView(Struct):
    """all: words, and each as a line of the row."""

    all: list[str] = []


class Word(Struct, frozen=True):
    """A line."""

    word: str
    by: str


def show_old(view: OldView, recorded: Recorded) -> list[Struct]:
    assert isinstance(recorded.event, Noted)
    view.last = recorded.event.text
    return []


def show_new(view: NewView, recorded: Recorded) -> list[Struct]:
    event = recorded.event
    assert isinstance(event, Remembered)
    view.all += event.words
    return [Word(event.words[0], event.by)]


def index(_view: Struct) -> Index:
    return Index("ann", "notes")


OLD = Aggregate("notes", (Noted,), OldState, evolve_old)
NEW = Aggregate("notes", (NotedV1, Remembered), NewState, evolve_new)
OLD_VIEW = Projection("notes", 1, OLD, OldView, show_old, index)
NEW_VIEW = Projection("notes", 2, NEW, NewView, show_new, index)


def write(application: Application, aggregate: Aggregate[Any], *events: Event) -> None:
    """Each event in a commit of its own."""
    for event in events:
        loaded = application.store.load(aggregate, STREAM)
        meta = Meta(application.ids.fresh("cmd"), "test")
        application.store.append([Append(loaded, [event])], meta)


def test_a_second_release_reads_what_the_first_one_wrote(application: Application) -> None:
    store, reading = application.store, application.reading
    # Enough for a snapshot in the old state's shape, which the new release must not take.
    write(application, OLD, *(Noted(f"line {number}") for number in range(18)))
    assert any(commit.snapshot for commit in store.read(STREAM))
    assert catch_up(OLD_VIEW, STREAM, reading, number=1) == 18

    assert store.load(NEW, STREAM).state.words == {"unknown": 36}
    write(application, NEW, *(Remembered(("hello", "you"), "ann") for _ in range(18)))
    loaded = store.load(NEW, STREAM)
    assert (loaded.version, loaded.state.words) == (36, {"unknown": 36, "ann": 36})
    verify_chain(store.read(STREAM))

    assert catch_up(NEW_VIEW, STREAM, reading, number=2) == 36
    head = reading.rows.head("notes@2", STREAM)
    assert head is not None
    assert NEW_VIEW.read(head).all == [*(w for n in range(18) for w in ("line", str(n)))] + [
        "hello", "you"
    ] * 18  # fmt: skip
    lines = reading.rows.lines("notes@2", STREAM, 100).rows
    assert [msgspec.json.decode(row.body)["by"] for row in reversed(lines)] == (
        ["unknown"] * 18 + ["ann"] * 18
    )
    # The generation of the first release stands as it was until it is dropped.
    old = reading.rows.head("notes@1", STREAM)
    assert old is not None
    assert OLD_VIEW.read(old).last == "line 17"


@pytest.fixture
def noted_queue(application: Application) -> Queue:
    """A queue behind a rule that somebody wrote for ``Noted``, before there was a version 2."""
    sqs, events = application.client("sqs"), application.client("events")
    url = sqs.create_queue(QueueName=f"noted-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    bus = application.settings.event_bus
    pattern = {"source": ["splitsound"], "detail": {"types": ["Noted"]}}
    rule = {"Name": f"noted-{uuid.uuid4().hex[:8]}", "EventBusName": bus}
    events.put_rule(**rule, EventPattern=msgspec.json.encode(pattern).decode())
    target = {"Id": "noted", "Arn": arn["QueueArn"]}
    events.put_targets(Rule=rule["Name"], EventBusName=bus, Targets=[target])
    return Queue(sqs, url)


def test_a_rule_for_an_event_goes_on_matching_its_next_version(
    application: Application, noted_queue: Queue
) -> None:
    write(application, OLD, Noted("one"))
    write(application, NEW, Remembered(("two",), "ann"))
    assert [c.types for c in application.store.read(STREAM)] == [("Noted",), ("Noted",)]
    Relay(application.bus)({"Records": records(application)})
    bells = sorted(received(noted_queue, 2), key=lambda bell: bell.first)
    assert [(bell.first, bell.types) for bell in bells] == [(1, ("Noted",)), (2, ("Noted",))]
    riding = [NEW.decode(bytes(bell.events).decode()) for bell in bells]
    assert riding == [[Remembered(("one",), "unknown")], [Remembered(("two",), "ann")]]

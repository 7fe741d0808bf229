"""An event may not change so that stored ones would be refused, or mean something else."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from domain.aggregate import Aggregate, Event
from tests.domain.golden import schemas
from tests.domain.golden.history import SCHEMAS
from tests.domain.golden.schemas import by_tag, incompatibilities

RECORD = "run .venv/bin/python -m tests.domain.golden.record"


def test_what_is_stored_can_still_be_read() -> None:
    broken = incompatibilities(json.loads(SCHEMAS.read_text()), schemas.current())
    assert not broken, (
        "\n".join(broken) + "\nKeep the old class under its tag with an upcast() and tag the new "
        "one Name.v2 (see Event in domain/aggregate.py)."
    )


def test_every_event_is_recorded_as_it_is() -> None:
    """What was added compatibly binds from now on."""
    assert json.loads(SCHEMAS.read_text()) == schemas.current(), RECORD


class Pair(Struct, frozen=True, array_like=True):
    """Stored as an array: only the places tell the fields apart."""

    left: str
    right: str


class Swapped(Struct, frozen=True, array_like=True):
    """The same types in the other order."""

    right: str
    left: str


class File(Struct, frozen=True):
    """Nested in an event."""

    name: str
    size: int = 0


class SmallFile(Struct, frozen=True):
    """Lost its size."""

    name: str


class Noted(Event, frozen=True):
    """As it was stored."""

    text: str
    count: int
    pairs: tuple[Pair, ...] = ()
    file: File | None = None
    limit: int | None = None


def changed(**fields: Any) -> type[Event]:
    """Noted with other fields (None: without that one)."""
    now: dict[str, Any] = {
        "text": (str,), "count": (int,), "pairs": (tuple[Pair, ...], ()),
        "file": (File | None, None), "limit": (int | None, None),
    } | fields  # fmt: skip
    kept = [(name, *rest) for name, rest in now.items() if rest is not None]
    kept.sort(key=len)  # those with defaults come last
    made: Any = msgspec.defstruct("Noted", kept, bases=(Event,), frozen=True, tag="Noted")
    return made  # type: ignore[no-any-return]


def judge(now: type[Event]) -> list[str]:
    return incompatibilities(by_tag([Noted]), by_tag([now]))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"count": None}, "Noted.count: is gone"),
        ({"count": (str,)}, "Noted.count: was integer and is string"),
        ({"count": (int | None,), "text": (int,)}, "Noted.text: was string and is integer"),
        ({"limit": (int, 0)}, "Noted.limit"),
        ({"limit": (int | None, 5)}, "Noted.limit: another default"),
        ({"text": (Annotated[str, Meta(max_length=5)],)}, "Noted.text: maxLength is 5"),
        ({"author": (str,)}, "Noted.author: is required"),
        ({"limit": (int | None,)}, "Noted.limit: is required"),
        ({"file": (SmallFile | None, None)}, "Noted.file.size: is gone"),
        ({"pairs": (tuple[Swapped, ...], ())}, "Noted.pairs[]: its places mean"),
        ({"pairs": (tuple[str, ...], ())}, "Noted.pairs[]: was array and is string"),
    ],
)
def test_an_incompatible_change_is_refused(fields: dict[str, Any], complaint: str) -> None:
    found = judge(changed(**fields))
    assert found
    assert found[0].startswith(complaint)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"author": (str, "")},
        {"count": (float,)},
        {"count": (int | None,)},
        {"limit": (int | str | None, None)},
        {"count": (Any,)},
    ],
)
def test_a_widening_is_not(fields: dict[str, Any]) -> None:
    assert judge(changed(**fields)) == []


def test_a_tag_that_is_gone_is_refused() -> None:
    assert incompatibilities(by_tag([Noted]), {}) == [
        "Noted: no class has this tag any more; keep it, with an upcast()."
    ]


class Remembered(Event, frozen=True, tag="Noted.v2"):
    """Noted in today's shape: nothing of the old one fits."""

    words: tuple[str, ...]


class NotedV1(Event, frozen=True, tag="Noted"):
    """The old class, kept for what is stored."""

    text: str
    count: int
    pairs: tuple[Pair, ...] = ()
    file: File | None = None
    limit: int | None = None

    def upcast(self) -> Event:
        return Remembered(tuple(self.text.split()))


def test_an_old_class_that_was_kept_with_an_upcast_passes() -> None:
    now = (NotedV1, Remembered)
    assert incompatibilities(by_tag([Noted]), by_tag(now)) == []
    notes = Aggregate("notes", now, Pages, _evolve)
    (event,) = notes.decode('[{"type":"Noted","text":"one two","count":2}]')
    assert event == Remembered(("one", "two"))


class Pages(Struct):
    """How many words."""

    words: int = 0


def _evolve(state: Pages, event: Remembered) -> Pages:
    state.words += len(event.words)
    return state


class Third(Event, frozen=True, tag="Noted.v3"):
    """A version too far."""


class NoUpcast(Event, frozen=True, tag="Noted"):
    """Somebody forgot."""


class Lower(Event, frozen=True, tag="noted"):
    """Not a name."""


class First(Event, frozen=True, tag="Noted.v1"):
    """Version 1 has no suffix."""


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ((NotedV1, Third), "without a gap"),
        ((Remembered,), "without a gap"),
        ((NoUpcast, Remembered), "needs an upcast"),
        ((NotedV1,), "needs an upcast"),
        ((Noted, NotedV1), "without a gap"),
        ((Lower,), "neither Name nor"),
        ((First,), "neither Name nor"),
    ],
)
def test_an_aggregate_refuses_versions_that_do_not_fit(
    events: tuple[type[Event], ...], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        Aggregate("notes", events, Pages, _evolve)


def test_a_tag_says_name_and_version() -> None:
    assert (Noted.event_name(), Noted.schema_version()) == ("Noted", 1)
    assert (Remembered.event_name(), Remembered.schema_version()) == ("Noted", 2)

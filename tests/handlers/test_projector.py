"""The projector, the healer and the redrive, on the emulator's tables and queues."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog

import projections
from commands import SignUp, execute
from commands.operations import Pause, Resume
from domain import credits
from domain.aggregate import Aggregate, Event, Recorded
from domain.commit import Append, Commit, Meta
from domain.credits import CREDITS, CreditState
from domain.errors import Unavailable
from handlers.operating.overview import health
from handlers.operating.redriving import redrive, waiting
from handlers.projector import Projector
from handlers.projector.__main__ import build
from handlers.sweeper.__main__ import build_healing
from handlers.sweeper.healing import DAY_MS, Healing
from infra.bootstrap import Application
from infra.operations import Parked
from projections import CREDITS_VIEW
from projections.doorbell import Doorbell, envelope, ring
from projections.folding import ReadModelStuck
from projections.generations import advance, begin, flip
from projections.projection import Projection
from projections.query import at_least, latest
from projections.rebuild import update
from projections.switching import roll_back


class FromTomorrow(Event, frozen=True):
    """An event that a newer deployment writes."""

    user_id: str


def evolve(state: CreditState, event: Event) -> CreditState:
    """As the newer deployment does."""
    return state if isinstance(event, FromTomorrow) else credits.evolve(state, event)


FUTURE = Aggregate("credits", (*credits.EVENTS, FromTomorrow), CreditState, evolve)


@pytest.fixture
def projector(application: Application) -> Projector:
    return build(application, structlog.get_logger())


@pytest.fixture
def healing(application: Application) -> Healing:
    return build_healing(application, structlog.get_logger())


def sign_up(application: Application, user: str) -> None:
    meta = Meta(application.ids.fresh("cmd"), "test")
    execute(application.context, SignUp(user, "development", f"{user}@example.com"), meta)


def from_tomorrow(application: Application, user: str) -> None:
    loaded = application.store.load(FUTURE, FUTURE.stream(user))
    meta = Meta(application.ids.fresh("cmd"), "test")
    application.store.append([Append(loaded, [FromTomorrow(user)])], meta)


def commits(application: Application, category: str = "credits") -> list[Commit]:
    return [c for c in application.store.scan() if c.stream.startswith(category + "-")]


def deliver(projector: Projector, bells: Sequence[Doorbell]) -> list[Any]:
    records = [{"messageId": str(n), "body": envelope(b)} for n, b in enumerate(bells)]
    failures: list[Any] = projector({"Records": records})["batchItemFailures"]
    return failures


def version(application: Application, user: str, number: int = 1) -> int:
    row = application.rows.head(f"credits@{number}", f"credits-{user}")
    return row.version if row else 0


def parked(application: Application) -> list[Parked]:
    return list(waiting(application.parked, application.operating))


def knowing_tomorrow() -> Projection[Any]:
    """The credits read model after the deployment that knows the new event."""

    def apply(view: Any, recorded: Recorded) -> list[Any]:
        known = not isinstance(recorded.event, FromTomorrow)
        return CREDITS_VIEW.apply(view, recorded) if known else []

    return replace(CREDITS_VIEW, aggregate=FUTURE, apply=apply)


def test_a_poison_stream_parks_with_its_later_commits_and_the_others_go_on(
    application: Application, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up(application, "ann")
    from_tomorrow(application, "ann")
    from_tomorrow(application, "ann")
    sign_up(application, "bob")
    *earlier, later = sorted(commits(application), key=lambda c: (c.stream, c.first))[:3]
    assert deliver(projector, [ring(c) for c in earlier]) == []
    assert (
        deliver(projector, [ring(c) for c in commits(application) if c.stream == "credits-bob"])
        == []
    )
    assert (version(application, "ann"), version(application, "bob")) == (1, 1)
    (stuck,) = parked(application)
    assert (stuck.stream, stuck.version, stuck.last, stuck.tries) == ("credits-ann", 2, 2, 1)
    assert "FromTomorrow" in stuck.error
    assert "Traceback" in stuck.traceback
    # A later commit is acknowledged and noted; nothing is tried, so order is kept.
    assert deliver(projector, [ring(later)]) == []
    (stuck,) = parked(application)
    assert (stuck.last, stuck.tries) == (3, 1)
    again = redrive(application.parked, application.operating, stuck, 1)
    assert again is not None
    assert again.tries == 2
    assert version(application, "ann") == 1
    # The deployment that knows the event comes, and the stream follows in order.
    monkeypatch.setitem(projections.ALL, "credits", knowing_tomorrow())
    assert redrive(application.parked, application.operating, stuck, 1) is None
    assert version(application, "ann") == 3
    assert parked(application) == []


def test_what_is_stuck_is_said_to_whoever_asks_for_more_and_shown_to_whoever_does_not(
    application: Application, projector: Projector
) -> None:
    sign_up(application, "ann")
    from_tomorrow(application, "ann")
    deliver(projector, [ring(c) for c in commits(application)])
    seen = at_least(CREDITS_VIEW, "credits-ann", application.reading)
    assert seen is not None
    assert seen.version == 1
    with pytest.raises(ReadModelStuck, match="cannot take version 2 of credits-ann"):
        latest(CREDITS_VIEW, "credits-ann", application.reading)


def test_a_commit_that_a_projections_code_rejects_leaves_no_half_applied_row(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up(application, "ann")

    def half(view: Any, recorded: Recorded) -> list[Any]:
        lines = CREDITS_VIEW.apply(view, recorded)
        if recorded.version > 1:
            raise KeyError("grant")
        return lines

    from_grant(application, "ann")
    known = {**projections.ALL, "credits": replace(CREDITS_VIEW, apply=half)}
    projector = build(application, structlog.get_logger())
    monkeypatch.setattr(projector, "_projections", known)
    assert deliver(projector, [ring(c) for c in commits(application)]) == []
    assert version(application, "ann") == 1
    row = application.rows.head("credits@1", "credits-ann")
    assert row is not None
    assert CREDITS_VIEW.read(row).account.granted == 600
    assert [p.error for p in parked(application)] == ["KeyError: 'grant'"]


def from_grant(application: Application, user: str) -> None:
    loaded = application.store.load(CREDITS, CREDITS.stream(user))
    gift = credits.CreditsGranted(user, application.ids.fresh("grt"), "promotion", 5)
    meta = Meta(application.ids.fresh("cmd"), "test")
    application.store.append([Append(loaded, [gift])], meta)


def test_a_doorbell_that_cannot_be_read_is_not_acknowledged(projector: Projector) -> None:
    failures = projector({"Records": [{"messageId": "m", "body": "{}"}]})["batchItemFailures"]
    assert failures == [{"itemIdentifier": "m"}]


def test_a_table_that_does_not_answer_parks_nothing(
    application: Application, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up(application, "ann")

    def slow_down(*_: object) -> bool:
        raise Unavailable("throttled")

    with monkeypatch.context() as patch:
        patch.setattr(application.rows, "write", slow_down)
        bells = [ring(c) for c in commits(application)]
        assert deliver(projector, bells) == [{"itemIdentifier": "0"}]
    assert parked(application) == []
    assert deliver(projector, bells) == []
    assert version(application, "ann") == 1


def test_a_paused_projection_is_left_alone_and_caught_up_after_the_resume(
    application: Application, projector: Projector, healing: Healing
) -> None:
    def control(command: Any) -> None:
        meta = Meta(application.ids.fresh("cmd"), "op")
        execute(application.context, command, meta)
        application.switchboard._asked = 0  # as if two seconds had passed

    control(Pause("projection:credits", "the table is hot"))
    sign_up(application, "ann")
    assert deliver(projector, [ring(c) for c in commits(application)]) == []
    assert version(application, "ann") == 0
    (view,) = [p for p in health(application).projections if p.name == "credits"]
    assert view.paused == "the table is hot"
    control(Resume("projection:credits", "it cooled down"))
    assert healing.resumed() == []  # projectors may still go by the state before
    later = replace(healing, clock=_Later(application, 6000))
    assert later.resumed() == ["credits"]
    assert version(application, "ann") == 1
    assert later.resumed() == []


class _Later:
    def __init__(self, application: Application, milliseconds: int) -> None:
        self._clock, self._milliseconds = application.clock, milliseconds

    def now(self) -> int:
        return self._clock.now() + self._milliseconds


def test_a_doorbell_that_died_is_answered(application: Application, healing: Healing) -> None:
    sign_up(application, "ann")
    (commit,) = commits(application)
    application.queue("projections_dlq").send(envelope(ring(commit)))
    application.queue("projections_dlq").send("not ours")
    assert healing.answer_dead() == 1
    assert version(application, "ann") == 1
    assert application.queue("projections_dlq").depth() == 1


def test_the_night_heals_a_lost_last_message(application: Application, healing: Healing) -> None:
    sign_up(application, "ann")
    assert healing.nightly() is None  # the first night is a day from now
    assert healing.nightly() is None
    assert version(application, "ann") == 0
    night = replace(healing, clock=_Later(application, DAY_MS))
    swept = night.nightly()
    assert swept is not None
    assert swept.written >= 1
    assert version(application, "ann") == 1
    assert night.nightly() is None


def test_a_generation_that_is_live_again_is_healed(
    application: Application, healing: Healing
) -> None:
    """One that other code had built was not written to while it was kept."""
    assert healing.flipped() == []
    update(application.operating, CREDITS_VIEW, lambda c: begin(c, 7, "somebody", 0, 1))
    update(application.operating, CREDITS_VIEW, lambda c: advance(c, "somebody", 0, 0))
    update(application.operating, CREDITS_VIEW, lambda c: flip(c, "somebody", 1, 2, 1))
    assert replace(healing, clock=_Later(application, 6000)).flipped() == ["credits"]
    sign_up(application, "ann")
    assert version(application, "ann", 1) == 0
    roll_back(CREDITS_VIEW, application.operating, application.clock.now())
    assert healing.flipped() == []  # projectors may still go by the catalogue before
    later = replace(healing, clock=_Later(application, 6000))
    assert later.flipped() == ["credits"]
    assert version(application, "ann", 1) == 1
    assert later.flipped() == []


def test_the_night_heals_every_generation_that_is_written(
    application: Application, healing: Healing
) -> None:
    version_now = CREDITS_VIEW.version
    update(application.operating, CREDITS_VIEW, lambda c: begin(c, version_now, "somebody", 0, 4))
    sign_up(application, "ann")
    healing.heal()
    assert (version(application, "ann", 1), version(application, "ann", 2)) == (1, 1)


def test_a_pulse_shows_how_far_the_projector_has_come(
    application: Application, projector: Projector, healing: Healing
) -> None:
    assert not health(application).projector.alive
    sign_up(application, "ann")
    deliver(projector, [ring(c) for c in commits(application)])
    healing.pulse()
    (message,) = application.queue("projections").receive(wait=2)
    assert projector({"Records": [{"messageId": "m", "body": message.body}]}) == {
        "batchItemFailures": []
    }
    seen = health(application)
    assert seen.projector.alive
    (view,) = [p for p in seen.projections if p.name == "credits"]
    assert view.newest == commits(application)[0].t
    assert view.lag_ms is not None
    assert view.lag_ms < 60_000


@pytest.mark.parametrize("seed", range(2))
def test_after_the_sweep_no_row_is_behind(
    application: Application, projector: Projector, healing: Healing, seed: int
) -> None:
    """1 % lost, 5 % doubled, freely reordered; tests/projections does it over 100,000 commits."""
    chance = random.Random(seed)
    users = [f"u{n}" for n in range(30)]
    for user in users:
        sign_up(application, user)
    for _ in range(300):
        from_grant(application, chance.choice(users))
    written = commits(application)
    bells = [ring(c) for c in written if chance.random() > 0.01]
    bells += chance.choices(bells, k=len(bells) // 20)
    chance.shuffle(bells)
    for start in range(0, len(bells), 10):
        assert deliver(projector, bells[start : start + 10]) == []
    healing.heal()
    tips = {c.stream: c.last for c in sorted(written, key=lambda c: c.last)}
    assert {u: version(application, u) for u in users} == {u: tips[f"credits-{u}"] for u in users}

"""A person is forgotten wholly, whatever dies on the way and whoever writes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import structlog

import projections
from commands import (
    AdjustCredits,
    CompleteSeparation,
    EraseJob,
    EraseUser,
    InitializeUpload,
    OpenCheckout,
    RecordPayment,
    RecordRefund,
    SignUp,
    StartSeparation,
    StoreStem,
)
from domain.commit import Meta, verify_chain
from domain.errors import BeingErased, Conflict, NotFound
from domain.packs import Pack
from domain.purchase import Payment
from domain.stems import StemFile, StoredStem
from domain.user import USER
from handlers.janitor.erasing import Erasing
from infra.event_store.memory import MemoryStore
from infra.media_bucket import Lying
from infra.operations import DynamoDBOperations, Parked, Progress
from infra.operations.key_uses import KeyUses
from projections.catch_up import Reading, catch_up
from projections.checking import Check
from projections.doorbell import envelope, ring
from projections.folding import fold, piece
from projections.generations import begin
from projections.leveling import noted
from projections.projection import ERASED_BODY
from projections.rebuild import update
from projections.sweeping import Target
from tests.world import World

SETTLE = 30_000
PACK = Pack("hour", "1 hour", 3600, 390, "eur")


class Killed(BaseException):
    """The process is gone, between two calls of its."""


class Fate:
    """Lets calls happen until the one that kills: before it took effect, or right after."""

    def __init__(self) -> None:
        self.calls = 0
        self.kill_at, self.after = -1, False

    def wrap(self, part: Any) -> Any:
        return Mortal(part, self)


class Mortal:
    """A part whose every call is an I/O call."""

    def __init__(self, part: Any, fate: Fate) -> None:
        self._part, self._fate = part, fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            fate = self._fate
            fate.calls += 1
            doomed = fate.calls == fate.kill_at
            if doomed and not fate.after:
                raise Killed
            answer = found(*args, **kwargs)
            if isinstance(answer, Iterator):
                answer = iter(list(answer))
            if doomed:
                raise Killed
            return answer

        return call


class Shelf:
    """Storage in memory."""

    def __init__(self) -> None:
        self.lying: list[Lying] = []

    def put(self, key: str) -> str:
        self.lying.append(Lying(key, 1, 0))
        return key

    def everything(self, prefix: str) -> Iterator[Lying]:
        return iter([each for each in self.lying if each.key.startswith(prefix)])

    def remove(self, found: Sequence[Lying]) -> int:
        self.lying = [each for each in self.lying if each not in found]
        return len(found)


class KeyRack:
    """Keys in memory."""

    def __init__(self) -> None:
        self.keys = {"u", "v"}

    def erase(self, user_id: str) -> None:
        self.keys.discard(user_id)


class Life:
    """Two people with everything that people have; the first one wants to be forgotten."""

    def __init__(self) -> None:
        self.world, self.shelf, self.rack = World(), Shelf(), KeyRack()
        for user in ("u", "v"):
            self._live(user)
        # Beside the generations that are read, some are being built.
        for projection in projections.ALL.values():
            noted(projection, self.world.reading)
        self._build(projections.JOBS_VIEW)
        self._build(projections.CREDITS_VIEW)
        self.level()
        self.world.do(EraseUser("u", "asked for it"))
        catch_up(projections.ERASURES_VIEW, "user-u", self.world.reading)

    def _live(self, user: str) -> None:
        world = self.world
        world.sign_up(user)
        world.ready_asset(user, f"{user}_song")
        world.do(
            InitializeUpload(user, f"{user}_half", "b.mp3", "audio/mpeg", 9, 8 << 20, "k", "up")
        )
        for job in ("done", "open"):
            world.queued_job(f"{user}_{job}", user, f"{user}_song")
            world.do(StartSeparation(f"{user}_{job}", "w"))
        key = self.shelf.put(f"user_{user}/jobs/{user}_done/output/1/vocals.flac")
        world.do(StoreStem(f"{user}_done", 1, StoredStem("vocals", key, 1, "audio/flac"), 0.0))
        files = (StemFile("vocals", key, 1, "audio/flac"),)
        world.do(CompleteSeparation(f"{user}_done", 1, files, 0.0))
        self.shelf.put(f"user_{user}/originals/{user}_song/original")
        self.shelf.put(f"user_{user}/jobs/nobodys/output/1/x.flac")
        world.do(OpenCheckout(user, f"{user}_buy", f"cs_{user}", PACK))
        world.do(
            RecordPayment(f"{user}_buy", Payment(f"cs_{user}", user, f"pi_{user}", 390, "eur"))
        )
        operations = DynamoDBOperations(world.table, world.clock)
        operations.report(f"{user}_open", Progress(1, "w", "separate", 0.5, 7))
        operations.note_rung(f"job-{user}_open")
        KeyUses(world.table).note(user, "key_a", 5)
        parked = Parked("jobs", 1, f"job-{user}_open", 2, 2, "x", "trace", 0, 0)
        world.parked.park(parked)

    def _build(self, projection: Any) -> None:
        world = self.world
        update(
            world.reading, projection,
            lambda c: begin(c, projection.version, "me", 0, 1),
        )  # fmt: skip

    def level(self) -> None:
        """A projector follows everything, in every generation."""
        reading = self.world.reading
        for projection in projections.ALL.values():
            catalogue = reading.generations.catalogue(projection.name)
            for commit in self.world.commits():
                if catalogue and projection.covers(commit.stream):
                    for each in catalogue.generations:
                        catch_up(projection, commit.stream, reading, number=each.number)

    def janitor(self, fate: Fate | None = None) -> Erasing:
        """A janitor's process. fate: what may kill it."""
        world, wrap = self.world, fate.wrap if fate else lambda part: part
        reading = Reading(wrap(world.store), wrap(world.rows), wrap(world.generations))
        context = type(world.context)(
            wrap(world.store), world.clock, world.context.ids, world.context.sealer,
            world.context.catalog, pause=lambda _: None,
        )  # fmt: skip
        return Erasing(
            context, reading, wrap(self.shelf), wrap(world.table), wrap(world.parked),
            wrap(self.rack), SETTLE, structlog.get_logger(),
        )  # fmt: skip

    def check(self) -> None:
        """Nothing of u is left, all of v is, and every proof still holds."""
        world = self.world
        assert {each.key for each in self.shelf.lying} == {
            "user_v/jobs/v_done/output/1/vocals.flac", "user_v/originals/v_song/original",
            "user_v/jobs/nobodys/output/1/x.flac",
        }  # fmt: skip
        assert self.rack.keys == {"v"}
        rows = list(world.rows.rows.values())
        assert not [row for row in rows if row.owner == "u"]
        theirs = [r for r in rows if r.stream.partition("-")[2].startswith("u_")]
        assert theirs
        assert {row.body for row in theirs} == {ERASED_BODY}
        assert not [row for row in rows if row.stream == "credits-u" and row.key != "head"]
        items = [key for key in world.table._items if "u_" in str(key) or key[0].endswith("#u")]
        assert items == []
        assert len([row for row in rows if row.owner == "v"]) == 13
        for stream in {commit.stream for commit in world.commits()}:
            verify_chain(world.store.read(stream))
        account = world.account("u")
        assert account.balanced
        assert account.left == account.reserved == 0
        world.clock.time += 10_000
        for projection in projections.ALL.values():
            check = Check(Target(projection, 1), world.reading, world.clock.now)
            assert not check.streams().differences + check.rows().differences


def test_a_person_is_forgotten_and_another_one_is_not() -> None:
    life = Life()
    janitor = life.janitor()
    (commit, *_) = life.world.store.newest_first("user-u")
    bell = {"messageId": "m", "body": envelope(ring(commit))}
    assert janitor({"Records": [bell]}) == {"batchItemFailures": []}
    assert life.rack.keys == {"v"}
    with pytest.raises(BeingErased):
        life.world.do(SignUp("u", "development", "u@example.com"))
    assert janitor.once() == 0
    life.world.clock.time += SETTLE
    assert janitor.once() == 1
    assert janitor.once() == 0
    (last,) = [e for c in life.world.store.newest_first("user-u") for e in USER.decode(c.events)][
        :1
    ]
    assert (type(last).__name__, last.removed) == ("UserErasureFinished", 3)  # type: ignore[attr-defined]
    life.check()


def _kill_everywhere(after: bool) -> int:
    """Kill the janitor at its first call, its second, ...; another one always ends the work."""
    at = 0
    while True:
        at += 1
        life, fate = Life(), Fate()
        fate.kill_at, fate.after = at, after
        life.world.clock.time += SETTLE
        try:
            life.janitor(fate).once()
        except Killed:
            life.janitor().once()
            life.check()
        else:
            return at


@pytest.mark.parametrize("after", [False, True])
def test_killed_before_or_after_any_call_another_janitor_goes_on(after: bool) -> None:
    assert _kill_everywhere(after) > 60


def test_projectors_and_workers_that_come_late_bring_nothing_back() -> None:
    life = Life()
    world, reading = life.world, life.world.reading
    old = [piece(c) for c in world.store.read("credits-u")]
    late = fold(projections.CREDITS_VIEW, "credits@1", "credits-u", old)
    assert late.head is not None
    life.janitor().once()
    assert not world.rows.write(late.head, late.lines, 0), "its lines are written, its head is not"
    life.shelf.put("user_u/jobs/u_open/output/1/late.flac")
    DynamoDBOperations(world.table, world.clock).report("u_open", Progress(1, "w", "s", 1.0, 8))
    world.ready_asset("u", "u_late")  # by a token that is still good
    world.do(AdjustCredits("u", 10, "by an operator who did not know"))
    world.queued_job("u_last", "u", "u_late")
    for view, stream in (
        (projections.JOBS_VIEW, "job-u_last"), (projections.LIBRARY_VIEW, "asset-u_late"),
    ):  # fmt: skip
        catch_up(view, stream, reading)
    world.clock.time += SETTLE
    assert life.janitor().once() == 1
    life.level()
    life.check()


def test_a_stranger_s_stream_under_the_prefix_stays_the_stranger_s() -> None:
    life = Life()
    life.shelf.put("user_u/jobs/v_done/output/1/planted.flac")
    life.world.clock.time += SETTLE
    assert life.janitor().once() == 1
    life.check()
    with pytest.raises(NotFound):
        life.world.do(EraseJob("u", "v_done"))


def test_who_comes_back_is_new_and_gets_no_second_gift() -> None:
    life = Life()
    world = life.world
    world.clock.time += SETTLE
    life.janitor().once()
    world.do(SignUp("u", "development", "u@example.com"))
    assert world.account("u").left == 0
    # What was bought was forfeited; when the money goes back all the same, nobody owes anything.
    world.do(RecordRefund("u_buy", 390))
    account = world.account("u")
    assert (account.left, account.debt, account.balanced) == (0, 0, True)
    world.do(EraseUser("u", "again"))
    world.clock.time += SETTLE
    life.level()
    assert life.janitor().once() == 1
    life.check()


def test_one_person_s_trouble_keeps_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life()
    life.world.do(EraseUser("v", "asked too"))
    life.level()
    life.world.clock.time += SETTLE
    real = MemoryStore.append

    def append(store: Any, appends: Any, meta: Meta) -> Any:
        if any(a.onto.tip.stream == "credits-u" for a in appends):
            raise Conflict("others keep writing")
        return real(store, appends, meta)

    monkeypatch.setattr(MemoryStore, "append", append)
    assert life.janitor().once() == 1
    monkeypatch.undo()
    assert life.janitor().once() == 1


def test_a_message_that_is_none_comes_back() -> None:
    record = {"messageId": "m", "body": "no doorbell"}
    failures = Life().janitor()({"Records": [record]})["batchItemFailures"]
    assert failures == [{"itemIdentifier": "m"}]

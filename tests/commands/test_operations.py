"""Operators pause, requeue, fail and refund; what has begun goes on whatever is paused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from commands import (
    AbandonSeparation,
    CancelSeparation,
    CompleteSeparation,
    CompleteUpload,
    FailSeparation,
    InitializeUpload,
    Pause,
    RecordStage,
    RefundSeparation,
    RequestSeparation,
    RequeueSeparation,
    Resume,
    StartSeparation,
)
from domain.controls import CONTROLS, STREAM, ControlsState
from domain.credits import CREDITS
from domain.errors import Invalid, KeyReused, Paused, UnknownModel
from domain.job import JOB
from domain.stems import StemFile
from infra.switchboard import CachedSwitchboard
from projections import CREDITS_VIEW, JOBS_VIEW
from projections.credits import AccountView, StatementLine
from projections.jobs import JobView
from projections.progress import overall
from tests.domain.golden.history import events
from tests.world import World

STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)
OPENING = ("u", "b", "song.mp3", "audio/mpeg", 1000, 8 << 20, "k", "up")


@pytest.fixture
def world() -> World:
    """A user with an asset and a queued job, behind a switchboard that is read each time."""
    made = World()
    switchboard = CachedSwitchboard(made.store, made.clock, 0)
    made.context = msgspec.structs.replace(made.context, switchboard=switchboard)
    made.sign_up()
    made.ready_asset()
    made.queued_job()
    return made


def view(world: World, job: str = "j") -> JobView:
    shown = JobView()
    for event in events(f"job-{job}", list(world.store.read(f"job-{job}"))):
        JOBS_VIEW.apply(shown, event)
    return shown


def test_a_pause_of_intake_lets_nothing_new_in_and_everything_begun_go_on(world: World) -> None:
    world.do(InitializeUpload(*OPENING))
    world.do(Pause("intake", "moving house"))
    with pytest.raises(Paused, match="moving house"):
        world.queued_job("k")
    with pytest.raises(Paused):
        world.do(InitializeUpload("u", "c", *OPENING[2:]))
    # The same requests as before are answered as before.
    assert world.queued_job() == "j"
    world.do(InitializeUpload(*OPENING))
    world.do(CompleteUpload("u", "b", 1000, "etag"))
    world.do(StartSeparation("j", "w"))
    world.do(CompleteSeparation("j", 1, STEMS, 0.0))
    world.do(Resume("intake", "moved"))
    world.queued_job("k")
    world.do(Pause("intake", "again"))
    world.do(CancelSeparation("u", "k"))
    assert world.account().reserved == 0


def test_a_paused_model_takes_no_new_jobs(world: World) -> None:
    world.do(Pause("model:two", "too slow"))
    with pytest.raises(Paused, match="The model two is paused"):
        world.queued_job("k")
    world.do(RequestSeparation("u", "k", "a", "four", "flac"))


def test_only_what_exists_is_paused(world: World) -> None:
    with pytest.raises(UnknownModel):
        world.do(Pause("model:six", "why"))
    with pytest.raises(Invalid):
        world.do(Pause("kitchen", "why"))
    world.do(Resume("model:six", "it is no longer offered, and may be open"))


def test_each_hand_on_the_wheel_is_an_event_with_its_actor(world: World) -> None:
    world.do(Pause("intake", "moving house"))
    world.do(Pause("intake", "moving house"))
    world.do(Pause("projection:jobs", "being looked at"))
    world.do(Resume("intake", "moved"))
    commits = list(world.store.read(STREAM))
    assert [c.types for c in commits] == [("Paused",), ("Paused",), ("Resumed",)]
    assert {c.actor for c in commits} == {"test"}
    state: ControlsState = world.store.load(CONTROLS, STREAM).state
    assert list(state.paused) == ["projection:jobs"]


def test_a_requeued_job_keeps_its_hold_and_is_charged_once(world: World) -> None:
    world.do(StartSeparation("j", "w"))
    world.do(RecordStage("j", 1, "download", 5))
    world.do(RequeueSeparation("j", "it hangs"))
    assert overall(view(world)) == 0
    assert world.account().reserved == 10
    world.do(StartSeparation("j", "w"))
    world.do(CompleteSeparation("j", 3, STEMS, 0.0))
    assert (world.account().reserved, world.account().captured) == (0, 10)


def test_a_failed_job_is_done_again_for_nothing(world: World) -> None:
    world.do(StartSeparation("j", "w"))
    world.do(FailSeparation("j", 1, "decode", "ffmpeg_failed", "It broke."))
    assert view(world).failure == "ffmpeg_failed"
    world.do(RequeueSeparation("j", "repaired"))
    shown = view(world)
    assert (shown.status, shown.ended, shown.failure, shown.detail) == ("queued", 0, "", "")
    assert (shown.free, shown.requeues) == (True, 1)
    assert JOBS_VIEW.index(shown).status == "queued"
    world.do(StartSeparation("j", "w"))
    world.do(CompleteSeparation("j", 3, STEMS, 0.0))
    assert view(world).status == "completed"
    assert (world.account().available(0), world.account().captured) == (600, 0)


@pytest.mark.parametrize(
    "end", [CancelSeparation("u", "j"), AbandonSeparation("j", "hopeless")]
)  # fmt: skip
def test_a_free_job_ends_without_touching_the_account(world: World, end: CancelSeparation) -> None:
    world.do(AbandonSeparation("j", "hopeless"))
    world.do(RequeueSeparation("j", "repaired"))
    before = world.store.load(CREDITS, "credits-u").version
    world.do(end)
    assert world.store.load(CREDITS, "credits-u").version == before
    assert view(world).ended > 0


def test_an_abandoned_job_gives_its_credits_back_and_says_why(world: World) -> None:
    world.do(AbandonSeparation("j", "nobody can read this file"))
    shown = view(world)
    assert (shown.status, shown.failure) == ("failed", "failed_by_operator")
    assert shown.detail == "nobody can read this file"
    assert world.account().available(0) == 600


def test_a_command_that_is_sent_again_acts_once_whatever_came_between(world: World) -> None:
    world.do(RequeueSeparation("j", "it hangs"), "cmd_1")
    world.do(StartSeparation("j", "w"))
    world.do(AbandonSeparation("j", "hopeless"), "cmd_2")
    version = world.store.load(JOB, "job-j").version
    for repeated, cmd in (
        (RequeueSeparation("j", " it hangs "), "cmd_1"),
        (AbandonSeparation("j", "hopeless"), "cmd_2"),
    ):
        (position, *_) = world.do(repeated, cmd)
        assert position.version == version
    world.do(RequeueSeparation("j", "repaired"), "cmd_3")
    world.do(AbandonSeparation("j", "hopeless"), "cmd_2")
    assert view(world).status == "queued"
    with pytest.raises(KeyReused):
        world.do(RequeueSeparation("j", "another reason"), "cmd_1")


def test_a_pause_that_is_sent_again_does_not_shut_what_was_opened_since(world: World) -> None:
    world.do(Pause("intake", "moving house"), "cmd_1")
    world.do(Resume("intake", "moved"), "cmd_2")
    world.do(Pause("intake", "moving house"), "cmd_1")
    assert world.store.load(CONTROLS, STREAM).version == 2
    world.do(Pause("intake", "again"))
    world.do(Resume("intake", "moved"), "cmd_2")
    assert world.store.load(CONTROLS, STREAM).version == 3
    with pytest.raises(KeyReused):
        world.do(Pause("model:two", "moving house"), "cmd_1")


def test_a_refund_is_granted_once_even_when_it_was_spent(world: World) -> None:
    world.do(StartSeparation("j", "w"))
    world.do(CompleteSeparation("j", 1, STEMS, 0.0))
    job_now, account_now = world.do(RefundSeparation("j", "it hisses"))
    assert (job_now.stream, account_now.stream) == ("job-j", "credits-u")
    world.do(RefundSeparation("j", "it hisses"))
    account = world.account()
    assert (account.granted, account.available(0), account.captured) == (610, 600, 10)
    assert view(world).refunded == 10
    assert tuple(s.file for s in view(world).stems) == STEMS
    last = statement(world)[-1]
    assert (last.kind, last.reason, last.job_id, last.change) == ("grant", "refund", "j", 10)


def statement(world: World) -> list[StatementLine]:
    shown = AccountView()
    lines: list[Any] = []
    for event in events("credits-u", list(world.store.read("credits-u"))):
        lines += CREDITS_VIEW.apply(shown, event)
    return lines

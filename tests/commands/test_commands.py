"""Commands end to end over the memory store: one transaction, charged once, never both."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from commands import (
    CancelSeparation,
    CompleteSeparation,
    CompleteUpload,
    FailSeparation,
    InitializeUpload,
    RecordStage,
    RequestSeparation,
    SignUp,
    StartSeparation,
)
from commands.dispatch import TRIES
from domain.commit import Commit, verify_chain
from domain.errors import (
    Conflict,
    Invalid,
    KeyReused,
    NotEnoughCredits,
    NotFound,
    StaleAttempt,
    UnknownModel,
    UnknownStem,
    UnsupportedFormat,
    UploadTooLarge,
)
from domain.stems import StemFile
from infra.event_store.memory import MemoryStore
from infra.event_store.store import StreamTaken
from tests.world import StillClock, World

STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


@pytest.fixture
def world() -> World:
    made = World()
    made.sign_up()
    made.ready_asset()
    return made


def test_signing_up_twice_grants_once(world: World) -> None:
    world.do(SignUp("u", "development", "u@example.com"))
    assert world.account().granted == 600


def test_a_job_reserves_its_price_in_the_same_transaction(world: World) -> None:
    world.queued_job()
    assert world.account().reserved == 10
    job, account = (list(world.store.read(s))[-1] for s in ("job-j", "credits-u"))
    assert [p.stream for p in job.peers] == ["credits-u"]
    assert account.peers[0].body == job.body().hex()


def test_the_same_request_makes_one_job(world: World) -> None:
    for _ in range(3):
        world.queued_job()
    assert world.account().reserved == 10
    with pytest.raises(KeyReused):
        world.do(RequestSeparation("u", "j", "a", "four", "flac"))


def test_completing_captures_once(world: World) -> None:
    world.queued_job()
    world.do(StartSeparation("j", "w"))
    for _ in range(2):
        world.do(CompleteSeparation("j", 1, STEMS, 0.0))
    account = world.account()
    assert (account.captured, account.reserved, account.available(0)) == (10, 0, 590)


@pytest.mark.parametrize("how", ["fail", "cancel", "sweep"])
def test_an_end_without_stems_costs_nothing(world: World, how: str) -> None:
    world.queued_job()
    world.do(StartSeparation("j", "w"))
    command = {
        "fail": FailSeparation("j", 1, "decode", "ffmpeg_failed", ""),
        "sweep": FailSeparation("j", None, "", "worker_gave_up", ""),
        "cancel": CancelSeparation("u", "j"),
    }[how]
    for _ in range(2):
        world.do(command)
    account = world.account()
    assert (account.captured, account.reserved, account.available(0)) == (0, 0, 600)
    with pytest.raises(StaleAttempt):
        world.do(CompleteSeparation("j", 1, STEMS, 0.0))


def test_a_worker_that_was_replaced_changes_nothing(world: World) -> None:
    world.queued_job()
    world.do(StartSeparation("j", "first"))
    world.do(StartSeparation("j", "second"))
    for command in (
        RecordStage("j", 1, "decode", 5),
        CompleteSeparation("j", 1, STEMS, 0.0),
        FailSeparation("j", 1, "decode", "ffmpeg_failed", ""),
    ):
        with pytest.raises(StaleAttempt):
            world.do(command)
    world.do(CompleteSeparation("j", 2, STEMS, 0.0))
    assert world.account().captured == 10


def test_bad_requests_are_refused_before_any_credit_moves(world: World) -> None:
    for wrong, error in (
        (RequestSeparation("u", "x", "missing", "two", "flac"), NotFound),
        (RequestSeparation("stranger", "x", "a", "two", "flac"), NotFound),
        (RequestSeparation("u", "x", "a", "nine", "flac"), UnknownModel),
        (RequestSeparation("u", "x", "a", "two", "flac", ("drums",)), UnknownStem),
        (RequestSeparation("u", "x", "a", "two", "ogg"), UnsupportedFormat),
        (RequestSeparation("u", "x", "a", "two", "flac", (), "no-such-job"), NotFound),
    ):
        with pytest.raises(error):
            world.do(wrong)
    assert world.account().reserved == 0


def test_a_retry_names_an_ended_job(world: World) -> None:
    world.queued_job()
    with pytest.raises(Invalid):
        world.do(RequestSeparation("u", "again", "a", "two", "flac", (), "j"))
    world.do(CancelSeparation("u", "j"))
    world.do(RequestSeparation("u", "again", "a", "two", "flac", (), "j"))
    assert world.job("again").asked.retry_of == "j"


def test_not_enough_credits_says_how_many() -> None:
    poor = World(grant=9)
    poor.sign_up()
    poor.ready_asset()
    with pytest.raises(NotEnoughCredits) as refused:
        poor.queued_job()
    assert refused.value.extra == {"required": 10, "available": 9, "debt": 0, "missing": 1}
    assert not list(poor.store.read("job-j"))


def test_uploads_have_a_size(world: World) -> None:
    for size, error in ((0, Invalid), (-1, Invalid), (1_000_001, UploadTooLarge)):
        with pytest.raises(error):
            world.do(InitializeUpload("u", "b", "x.wav", "audio/wav", size, 8 << 20, "k", "up"))


def test_a_foreign_upload_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.do(CompleteUpload("stranger", "a", 1000, "etag"))


def test_jobs_of_one_user_at_once_never_spend_the_same_credits_twice() -> None:
    world = World(grant=35)
    world.sign_up()
    world.ready_asset()
    refused: list[Exception] = []

    def ask(number: int) -> None:
        try:
            world.queued_job(f"j{number}")
        except (NotEnoughCredits, Conflict) as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = [n for n in range(8) if list(world.store.read(f"job-j{n}"))]
    assert len(jobs) <= 3
    assert world.account().reserved == 10 * len(jobs)
    assert len(jobs) + len(refused) == 8
    verify_chain(world.store.read("credits-u"))


class _Busy(MemoryStore):
    """Somebody else always wins."""

    def put(self, commits: Sequence[Commit]) -> list[Commit]:
        raise StreamTaken("busy")


def test_gives_up_after_a_bounded_number_of_tries() -> None:
    waits: list[float] = []
    clock = StillClock()
    world = World(clock=clock, store=_Busy(clock), pause=waits.append)
    with pytest.raises(Conflict):
        world.sign_up()
    assert len(waits) == TRIES - 1

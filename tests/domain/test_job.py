"""The fencing token, and ends that are final."""

from __future__ import annotations

import msgspec
import pytest

from domain import job
from domain.errors import KeyReused, NotFound, StaleAttempt
from domain.job import JOB, JobState, SeparationRequested, StemFile

ASKED = SeparationRequested(
    "u", "a", "key", "two", ("vocals",), "flac", 441000, 44100, 2, 10, "test"
)
STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


def running(attempts: int = 1) -> JobState:
    state = JOB.fold([ASKED])
    for number in range(attempts):
        state = JOB.fold(job.start(state, f"w{number}"), state)
    return state


def test_each_claim_is_a_new_attempt() -> None:
    assert running(3).attempt == 3


@pytest.mark.parametrize("attempt", [1, 3])
def test_only_the_current_attempt_may_act(attempt: int) -> None:
    state = running(2)
    with pytest.raises(StaleAttempt):
        job.record_stage(state, attempt, "decode", 5)
    with pytest.raises(StaleAttempt):
        job.complete(state, attempt, STEMS, 0.0)
    with pytest.raises(StaleAttempt):
        job.fail(state, attempt, "decode", "ffmpeg_failed", "")


def test_completing_again_by_the_same_attempt_is_harmless() -> None:
    state = running()
    state = JOB.fold(job.complete(state, 1, STEMS, 0.0), state)
    assert job.complete(state, 1, STEMS, 0.0) == []
    with pytest.raises(StaleAttempt):
        job.complete(state, 2, STEMS, 0.0)


@pytest.mark.parametrize(
    "end",
    [
        lambda s: job.complete(s, 1, STEMS, 0.0),
        lambda s: job.fail(s, 1, "decode", "ffmpeg_failed", ""),
        lambda s: job.cancel(s, "enough"),
    ],
)
def test_an_end_is_final(end) -> None:  # type: ignore[no-untyped-def]
    state = running()
    state = JOB.fold(end(state), state)
    status = state.status
    assert job.start(state, "w") == []
    assert job.cancel(state, "again") == []
    assert job.fail(state, None, "", "worker_gave_up", "") == []
    assert state.status == status


def test_the_sweeper_ends_a_job_whoever_holds_it() -> None:
    (failed,) = job.fail(running(2), None, "", "worker_gave_up", "")
    assert isinstance(failed, job.SeparationFailed)
    assert failed.attempt == 2


def test_the_same_request_acts_once_and_another_is_refused() -> None:
    state = JOB.fold([ASKED])
    assert job.request(state, ASKED) == []
    with pytest.raises(KeyReused):
        job.request(state, msgspec.structs.replace(ASKED, model="four"))


def test_a_job_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        job.start(JobState(), "w")

"""The fencing token, and ends that are final."""

from __future__ import annotations

import msgspec
import pytest

from domain import attempts, job, remedies
from domain.errors import Invalid, KeyReused, NotFound, Refused, StaleAttempt
from domain.job import JOB, JobState, SeparationRequested
from domain.stems import StemFile

ASKED = SeparationRequested(
    "u", "a", "key", "two", ("vocals",), "flac", 441000, 44100, 2, 10, "test"
)
STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


def running(times: int = 1) -> JobState:
    state = JOB.fold([ASKED])
    for number in range(times):
        state = JOB.fold(attempts.start(state, f"w{number}"), state)
    return state


def test_each_claim_is_a_new_attempt() -> None:
    assert running(3).attempt == 3


@pytest.mark.parametrize("attempt", [1, 3])
def test_only_the_current_attempt_may_act(attempt: int) -> None:
    state = running(2)
    with pytest.raises(StaleAttempt):
        attempts.record_stage(state, attempt, "decode", 5)
    with pytest.raises(StaleAttempt):
        attempts.complete(state, attempt, STEMS, 0.0)
    with pytest.raises(StaleAttempt):
        job.fail(state, attempt, "decode", "ffmpeg_failed", "")


def test_completing_again_by_the_same_attempt_is_harmless() -> None:
    state = running()
    state = JOB.fold(attempts.complete(state, 1, STEMS, 0.0), state)
    assert attempts.complete(state, 1, STEMS, 0.0) == []
    with pytest.raises(StaleAttempt):
        attempts.complete(state, 2, STEMS, 0.0)


@pytest.mark.parametrize(
    "end",
    [
        lambda s: attempts.complete(s, 1, STEMS, 0.0),
        lambda s: job.fail(s, 1, "decode", "ffmpeg_failed", ""),
        lambda s: job.cancel(s, "enough"),
    ],
)
def test_an_end_is_final(end) -> None:  # type: ignore[no-untyped-def]
    state = running()
    state = JOB.fold(end(state), state)
    status = state.status
    assert attempts.start(state, "w") == []
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
        attempts.start(JobState(), "w")


def done(state: JobState) -> JobState:
    return JOB.fold(attempts.complete(state, state.attempt, STEMS, 0.0), state)


def requeued(state: JobState) -> JobState:
    return JOB.fold(remedies.requeue(state, "once more"), state)


def claimed(state: JobState) -> JobState:
    return JOB.fold(attempts.start(state, "w"), state)


def failed(state: JobState) -> JobState:
    return JOB.fold(job.fail(state, None, "", "ffmpeg_failed", "d"), state)


def test_whoever_held_a_requeued_job_is_stale() -> None:
    state = requeued(running(2))
    assert (state.status, state.free, state.charged) == ("queued", False, 10)
    with pytest.raises(StaleAttempt):
        attempts.record_stage(state, 2, "decode", 5)
    with pytest.raises(StaleAttempt):
        attempts.complete(state, 2, STEMS, 0.0)
    with pytest.raises(StaleAttempt):
        job.fail(state, 2, "decode", "ffmpeg_failed", "")
    again = claimed(state)
    assert again.attempt > 2
    assert done(again).charged == 10


def test_a_requeued_job_that_nobody_claims_can_be_judged_by_its_number() -> None:
    state = requeued(running())
    assert job.fail(state, state.attempt, "", "worker_gave_up", "") != []


def test_a_failed_job_runs_again_for_free_and_stays_free() -> None:
    state = requeued(failed(running()))
    assert (state.status, state.free, state.charged) == ("queued", True, 0)
    state = requeued(claimed(state))
    assert state.free
    assert done(claimed(state)).status == "completed"


def test_tries_are_counted_from_the_requeue() -> None:
    state = requeued(running(job.MAX_ATTEMPTS))
    for _ in range(job.MAX_ATTEMPTS):
        state = claimed(state)
        assert state.status == "running"
    assert claimed(state).status == "failed"


@pytest.mark.parametrize("end", [done, lambda s: JOB.fold(job.cancel(s, "enough"), s)])
def test_what_ended_well_or_by_its_user_is_neither_requeued_nor_failed(end) -> None:  # type: ignore[no-untyped-def]
    state = end(running())
    with pytest.raises(Refused):
        remedies.requeue(state, "once more")
    with pytest.raises(Refused):
        remedies.abandon(state, "hopeless")


def test_an_operator_fails_a_job_once_and_gives_the_reason() -> None:
    (event,) = remedies.abandon(running(), " hopeless ")
    assert isinstance(event, job.SeparationFailed)
    assert (event.code, event.detail) == ("failed_by_operator", "hopeless")
    assert remedies.abandon(failed(running()), "again") == []


def test_a_completed_job_is_refunded_once() -> None:
    state = done(running())
    (event,) = remedies.refund(state, "grt_1", "it hisses")
    assert event == job.SeparationRefunded("u", 10, "grt_1", "it hisses")
    assert remedies.refund(JOB.fold([event], state), "grt_1", "it hisses") == []


@pytest.mark.parametrize(
    "state", [running(), failed(running()), done(claimed(requeued(failed(running()))))]
)
def test_what_was_not_charged_is_not_refunded(state: JobState) -> None:
    with pytest.raises(Refused):
        remedies.refund(state, "grt_1", "it hisses")


@pytest.mark.parametrize("decide", [remedies.requeue, remedies.abandon])
def test_operators_give_a_reason_for_a_job_that_exists(decide) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Invalid):
        decide(running(), " ")
    with pytest.raises(NotFound):
        decide(JobState(), "why")


def test_an_attempt_that_was_handed_back_does_not_count() -> None:
    state = running()
    for _ in range(3 * job.MAX_ATTEMPTS):
        state = JOB.fold(attempts.hand_back(state, state.attempt), state)
        assert (state.status, state.worker) == ("queued", "")
        state = JOB.fold(attempts.start(state, "w"), state)
    assert state.status == "running"
    for _ in range(job.MAX_ATTEMPTS):
        state = JOB.fold(attempts.start(state, "w"), state)
    assert state.status == "failed"


def test_only_who_holds_a_job_hands_it_back() -> None:
    state = running(2)
    with pytest.raises(StaleAttempt):
        attempts.hand_back(state, 1)

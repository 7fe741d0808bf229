"""Which requests the same stems answer, and which keys in storage a job names."""

from __future__ import annotations

from functools import reduce

import msgspec
import pytest

from domain import attempts, job
from domain.aggregate import Event
from domain.errors import Refused
from domain.job import JobState, SeparationCompleted, SeparationRequested
from domain.remedies import refund, requeue
from domain.reuse import fingerprint, reuse
from domain.stems import StemFile, StoredStem, preview_key, waveform_key

ASKED = SeparationRequested(
    "usr", "ast", "key", "two", ("vocals", "rest"), "flac", 441_000, 44_100, 2, 10, "test",
    digest="d" * 64,
)  # fmt: skip
KEY = "user_usr/jobs/j/output/1/"
VOCALS = StoredStem("vocals", KEY + "vocals.flac", 4, "audio/flac", 0.5, 441_000, 1, 0.1, 9)
REST = StoredStem("rest", KEY + "rest.flac", 4, "audio/flac", 0.5, 441_000, 0, 0.2, 0)
ZIP = StemFile("bundle", KEY + "stems.zip", 8, "application/zip")


def fold(*events: Event) -> JobState:
    return reduce(job.evolve, events, JobState())


def completed(asked: SeparationRequested = ASKED, bundle: StemFile | None = None) -> JobState:
    state = fold(asked)
    for event in (
        *attempts.start(state, "w"),
        job.StemStored("usr", 1, VOCALS, -1.0, -120.0),
        job.StemStored("usr", 1, REST, -1.0, -120.0),
        SeparationCompleted("usr", 1, (VOCALS.file, REST.file), -1.0, bundle),
    ):
        state = job.evolve(state, event)
    return state


def test_what_is_given_again_is_what_was_made() -> None:
    made = completed(bundle=ZIP)
    events = reuse(ASKED, "j", made)
    again = fold(*events)
    assert isinstance(events[0], SeparationRequested)
    assert (events[0].price, again.status, again.charged, again.attempt) == (0, "completed", 0, 0)
    assert (again.stored, again.gain_db, again.residual_db) == (made.stored, -1.0, -120.0)
    assert (again.bundle, again.reused_from) == (ZIP, "j")
    twice = fold(*reuse(ASKED, "j2", again))
    assert twice.reused_from == "j"


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "e" * 64}, {"model": "four"}, {"model_version": "2"}, {"stems": ("vocals",)},
        {"format": "wav"}, {"prompt": "a dog"}, {"bundle": True}, {"user_id": "other"},
        {"digest": ""},
    ],
)  # fmt: skip
def test_other_requests_get_nothing(other: dict[str, object]) -> None:
    asked = msgspec.structs.replace(ASKED, **other)
    assert reuse(asked, "j", completed()) == []


@pytest.mark.parametrize(
    "same",
    [{"asset_id": "ast_2", "source_key": "k2"}, {"price": 99, "price_list": "b"}, {"lane": "long"}],
)
def test_where_the_bytes_lie_and_what_they_cost_makes_no_other_stems(
    same: dict[str, object],
) -> None:
    asked = msgspec.structs.replace(ASKED, **same)
    assert fingerprint(asked) == fingerprint(ASKED)
    assert reuse(asked, "j", completed())


def test_nothing_is_given_of_a_job_that_has_not_completed_or_was_paid_back() -> None:
    assert reuse(ASKED, "j", JobState()) == []
    assert reuse(ASKED, "j", fold(ASKED, *attempts.start(fold(ASKED), "w"))) == []
    made = completed()
    (given_back,) = refund(made, "grant", "it hisses")
    assert reuse(ASKED, "j", job.evolve(made, given_back)) == []


def test_a_completed_job_names_its_stems_their_companions_and_its_zip() -> None:
    whole = {VOCALS.key, preview_key(VOCALS.key), waveform_key(VOCALS.key), REST.key}
    assert completed().named == whole
    assert completed(bundle=ZIP).named == whole | {ZIP.key}
    # What was given again is named by the job that made it.
    assert fold(*reuse(ASKED, "j", completed())).named == frozenset()


def test_a_job_without_stems_names_nothing() -> None:
    running = fold(ASKED, *attempts.start(fold(ASKED), "w"))
    stored = job.evolve(running, job.StemStored("usr", 1, VOCALS, 0.0, None))
    assert stored.named == frozenset()
    (cancelled,) = job.cancel(stored, "no more")
    assert job.evolve(stored, cancelled).named == frozenset()


def test_tidied_is_said_once_after_the_end_and_anew_after_another_try() -> None:
    state = fold(ASKED, *attempts.start(fold(ASKED), "w"))
    with pytest.raises(Refused, match="still writes"):
        job.tidied(state, 0)
    for event in job.fail(state, 1, "encode", "ffmpeg_failed", "It broke."):
        state = job.evolve(state, event)
    (said,) = job.tidied(state, 3)
    state = job.evolve(state, said)
    assert job.tidied(state, 3) == []
    (again,) = requeue(state, "once more")
    assert not job.evolve(state, again).tidied

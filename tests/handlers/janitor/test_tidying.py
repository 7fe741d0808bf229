"""What interrupted attempts left behind goes, what a job names stays, whatever happens between."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import structlog

from commands import (
    CancelSeparation,
    FailSeparation,
    RequestSeparation,
    RequeueSeparation,
    StartSeparation,
    TidyMedia,
)
from domain.commit import Meta
from domain.errors import Refused, Unavailable
from domain.job import JOB, JobState
from handlers.janitor.__main__ import build_tidying
from handlers.janitor.tidying import Tidying
from handlers.operating.tidying import Tidied, media_bucket, tidy
from infra.bootstrap import Application
from infra.event_store.importer import Importer
from infra.media_bucket import Lying, MediaBucket
from infra.objects import stem_key
from projections import JOBS_VIEW
from projections.jobs import UNTIDY
from tests.handlers.lying import USER, Floor
from tests.world import World

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def floor(application: Application) -> Floor:
    made = Floor(application)
    made.song()
    return made


@pytest.fixture
def tidying(application: Application) -> Tidying:
    made = build_tidying(application, structlog.get_logger())
    object.__setattr__(made, "grace", 0)
    return made


def state(floor: Floor, job: str) -> JobState:
    found: JobState = floor.application.store.load(JOB, JOB.stream(job)).state
    return found


def swept(floor: Floor, tidying: Tidying) -> int:
    floor.level()
    return tidying.once()


def test_a_completed_job_keeps_what_it_names_and_nothing_else(
    floor: Floor, tidying: Tidying
) -> None:
    floor.ask("job_a")
    floor.claim("job_a")
    floor.leave("job_a", 1)
    floor.claim("job_a")
    named = floor.finish("job_a", 2)
    floor.begin_upload(floor.key("job_a", 2))  # a try whose answer was lost
    others = floor.put("user_usr_lying/jobs/job_ab/output/1/vocals.flac")
    assert swept(floor, tidying) == 1
    assert floor.keys == named | {others}
    assert floor.uploads == set()
    assert state(floor, "job_a").tidied
    assert swept(floor, tidying) == 0


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_of_a_job_without_stems_nothing_stays(floor: Floor, tidying: Tidying, ending: str) -> None:
    floor.ask("job_a")
    floor.claim("job_a")
    floor.leave("job_a", 1)
    if ending == "failed":
        floor.do(FailSeparation("job_a", 1, "encode", "ffmpeg_failed", "It broke."))
    else:
        floor.do(CancelSeparation(USER, "job_a"))
    assert swept(floor, tidying) == 1
    assert (floor.keys, floor.uploads) == (set(), set())
    (last,) = list(floor.application.store.read("job-job_a"))[-1:]
    assert msgspec.json.decode(last.events) == [
        {"type": "MediaTidied", "user_id": USER, "removed": 3}
    ]


def test_an_open_job_and_one_that_has_just_ended_are_left_alone(
    floor: Floor, application: Application
) -> None:
    for job in ("job_open", "job_ended"):
        floor.ask(job)
        floor.claim(job)
        floor.leave(job, 1)
    floor.do(CancelSeparation(USER, "job_ended"))
    before = floor.keys
    patient = build_tidying(application, structlog.get_logger())
    assert swept(floor, patient) == 0
    bucket = media_bucket(application)
    assert tidy(application.context, bucket, "job_open", Meta("c", "test")) is None
    assert tidy(application.context, bucket, "job_none", Meta("c", "test")) is None
    with pytest.raises(Refused):
        floor.do(TidyMedia("job_open", 0))
    assert floor.keys == before


def test_a_job_that_nobody_claimed_needs_no_look(floor: Floor, tidying: Tidying) -> None:
    floor.ask("job_a")
    floor.do(CancelSeparation(USER, "job_a"))
    assert swept(floor, tidying) == 0


class Crashing(MediaBucket):
    """Dies at its n-th call that changes something, or before the event."""

    calls = 0

    def __init__(self, application: Application, dies_at: int) -> None:
        made = media_bucket(application)
        super().__init__(made._client, made._bucket, page=2)
        self._dies_at = dies_at

    def _step(self) -> None:
        self.calls += 1
        if self.calls == self._dies_at:
            raise KeyboardInterrupt

    def _abort(self, upload: Lying) -> None:
        self._step()
        super()._abort(upload)

    def _delete(self, keys: Any) -> None:
        for key in keys:  # one by one, so that it dies with a part of them gone
            self._step()
            super()._delete([key])

    def remove(self, found: Any) -> int:
        removed = super().remove(found)
        self._step()
        return removed


def test_a_sweeper_that_dies_anywhere_leaves_it_to_the_next(
    floor: Floor, application: Application, tidying: Tidying
) -> None:
    for dies_at in range(1, 7):
        job = floor.ask(f"job_{dies_at}", reuse=False)
        floor.claim(job)
        floor.leave(job, 1)
        floor.claim(job)
        named = floor.finish(job, 2)
        floor.begin_upload(floor.key(job, 1, "more"))
        crashing = Crashing(application, dies_at)
        try:
            tidy(application.context, crashing, job, Meta(f"crash-{dies_at}", "test"))
        except KeyboardInterrupt:
            assert not state(floor, job).tidied
        else:
            assert crashing.calls < dies_at
        assert swept(floor, tidying) in (0, 1)
        assert {key for key in floor.keys if f"/{job}/" in key} == named
        assert state(floor, job).tidied
    assert floor.uploads == set()


def test_a_job_that_is_done_anew_meanwhile_keeps_its_new_stems(
    floor: Floor, application: Application
) -> None:
    floor.ask("job_a")
    floor.claim("job_a")
    floor.leave("job_a", 1)
    floor.do(FailSeparation("job_a", 1, "encode", "ffmpeg_failed", "It broke."))
    new: set[str] = set()

    class Late(MediaBucket):
        def objects(self, prefix: str = "") -> Any:
            # Between the look at the job and the listing.
            floor.do(RequeueSeparation("job_a", "once more"))
            floor.claim("job_a")
            new.update(floor.leave("job_a", 3))
            return super().objects(prefix)

    made = media_bucket(application)
    late = Late(made._client, made._bucket)
    assert tidy(application.context, late, "job_a", Meta("c", "test")) is None
    assert floor.keys == new
    assert not state(floor, "job_a").tidied


def test_one_job_s_trouble_does_not_stop_the_others(floor: Floor, tidying: Tidying) -> None:
    jobs = [floor.ask(f"job_{number}") for number in range(4)]
    for job in jobs:
        floor.claim(job)
        floor.leave(job, 1)
        floor.do(CancelSeparation(USER, job))

    class Refusing(MediaBucket):
        def objects(self, prefix: str = "") -> Any:
            if "/job_1/" in prefix:
                raise Unavailable("Storage is away.")
            return super().objects(prefix)

    made = tidying.bucket
    object.__setattr__(tidying, "bucket", Refusing(made._client, made._bucket))
    object.__setattr__(tidying, "most", 2)
    assert swept(floor, tidying) == 1  # two tries, one of them in vain
    assert swept(floor, tidying) == 2  # and no new try of that one yet
    assert [state(floor, job).tidied for job in jobs] == [True, False, True, True]


def test_a_row_that_is_behind_is_not_believed(floor: Floor, tidying: Tidying) -> None:
    floor.ask("job_a")
    floor.claim("job_a")
    floor.leave("job_a", 1)
    floor.do(FailSeparation("job_a", 1, "encode", "ffmpeg_failed", "It broke."))
    floor.level()
    floor.do(RequeueSeparation("job_a", "once more"))
    before = floor.keys
    assert tidying.once() == 0
    assert floor.keys == before


def test_what_was_imported_from_another_stage_is_left_alone(
    floor: Floor, application: Application, tidying: Tidying
) -> None:
    elsewhere = World()
    elsewhere.ready_asset(elsewhere.sign_up())
    elsewhere.queued_job()
    elsewhere.do(StartSeparation("j", "w"))
    elsewhere.do(CancelSeparation("u", "j"))
    importer = Importer(application.store, "import")
    for number, commit in enumerate(elsewhere.commits()):
        importer.add(commit, f"line {number}")
    importer.flush()
    key = floor.put(stem_key("u", "j", 1, "vocals", "flac"))
    assert swept(floor, tidying) == 0
    assert floor.keys == {key}
    assert not state(floor, "j").tidied


def test_a_job_given_by_reuse_leaves_the_first_one_s_stems(
    floor: Floor, application: Application, tidying: Tidying
) -> None:
    floor.ask("job_first")
    floor.claim("job_first")
    named = floor.finish("job_first", 1)
    floor.level()
    floor.do(RequestSeparation(USER, "job_again", "ast_song"))
    again = state(floor, "job_again")
    assert (again.reused_from, {s.key for s in again.stored.values()} <= named) == (
        "job_first", True,
    )  # fmt: skip
    rows = application.reading.rows
    live = JOBS_VIEW.generation(application.reading.generations.live("jobs"))
    floor.level()
    untidy = [row.stream for row in rows.with_status(live, UNTIDY)]
    assert untidy == ["job-job_first"]
    done = tidy(application.context, media_bucket(application), "job_again", Meta("c", "test"))
    assert done == Tidied()
    assert swept(floor, tidying) == 1
    assert floor.keys == named


def test_more_than_a_page_of_each(floor: Floor, application: Application) -> None:
    floor.ask("job_a")
    floor.claim("job_a")
    for number in range(5):
        floor.put(floor.key("job_a", 1, f"s{number}"))
        floor.begin_upload(floor.key("job_a", 1, f"u{number}"))
    floor.do(CancelSeparation(USER, "job_a"))
    made = media_bucket(application)
    small = MediaBucket(made._client, made._bucket, page=2)
    done = tidy(application.context, small, "job_a", Meta("c", "test"))
    assert done == Tidied(5, 20, 5)
    assert (floor.keys, floor.uploads) == (set(), set())

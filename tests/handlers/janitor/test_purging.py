"""What was deleted, or kept for a time, goes from a real bucket when its date has come."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from msgspec import Struct
from msgspec.structs import replace

from commands import DeleteAsset, DeleteJob, RestoreAsset, TidyMedia, execute
from commands.dispatch import Command
from domain.commit import Meta
from domain.errors import Unavailable
from domain.retention import DAY
from handlers.janitor import Purging
from handlers.janitor.__main__ import build_purging
from handlers.operating.strays import Comparing
from handlers.operating.tidying import media_bucket
from infra.bootstrap import Application
from infra.clock import SystemClock
from infra.media_bucket import Lying, MediaBucket
from infra.objects import original_key
from tests.handlers.lying import USER, Floor

pytestmark = pytest.mark.usefixtures("application")
LATER = 31 * DAY


@pytest.fixture
def floor(application: Application) -> Floor:
    made = Floor(application)
    made.song()
    return made


class Ahead(Struct, frozen=True):
    """A clock that is so many milliseconds ahead."""

    ms: int

    def now(self) -> int:
        """See Clock."""
        return SystemClock().now() + self.ms


def after(floor: Floor, ms: int, bucket: MediaBucket | None = None) -> int:
    """How much a janitor purges that looks so much later."""
    floor.level()
    made = build_purging(floor.application, structlog.get_logger())
    context = replace(made.context, clock=Ahead(ms))
    return Purging(context, made.reading, bucket or made.bucket, made.log, grace=0).once()


def do(floor: Floor, command: Command) -> None:
    execute(floor.application.context, command, Meta("cmd_" + repr(command)[:40], USER))


def there(floor: Floor) -> set[str]:
    pages = floor.s3.get_paginator("list_objects_v2").paginate(Bucket=floor.bucket)
    return {o["Key"] for page in pages for o in page.get("Contents", [])}


def test_a_deleted_upload_goes_with_all_that_was_made_of_it(floor: Floor) -> None:
    original = original_key(USER, "ast_song")
    other = floor.song("ast_other")
    kept = {original_key(USER, other)}
    for job, asset in (("job_a", "ast_song"), ("job_b", other)):
        floor.ask(job, asset, reuse=False)
        floor.claim(job)
        named = floor.finish(job, 1)
        kept |= named if asset == other else set()
    do(floor, DeleteAsset(USER, "ast_song"))
    assert after(floor, 29 * DAY) == 0
    assert original in there(floor)
    assert after(floor, LATER) == 1
    assert there(floor) == kept
    assert after(floor, LATER) == 0, "said once"
    compared = Comparing(
        floor.application.store, media_bucket(floor.application), floor.application.clock.now
    ).run()
    assert (compared.lost, compared.strays) == ([], [])


def test_what_is_restored_stays(floor: Floor) -> None:
    do(floor, DeleteAsset(USER, "ast_song"))
    do(floor, RestoreAsset(USER, "ast_song"))
    assert after(floor, LATER) == 0
    assert original_key(USER, "ast_song") in there(floor)


def test_stems_that_were_given_again_stay_until_the_last_job_goes(floor: Floor) -> None:
    floor.ask("job_a")
    floor.claim("job_a")
    named = floor.finish("job_a", 1)
    floor.level()
    floor.do(TidyMedia("job_a", 0))
    floor.ask("job_b")  # the same bytes and model: given again
    do(floor, DeleteJob(USER, "job_a"))
    assert after(floor, LATER) == 1
    assert named <= there(floor)
    do(floor, DeleteJob(USER, "job_b"))
    assert after(floor, LATER) == 1
    assert not named & there(floor)


class Refusing(MediaBucket):
    """Storage that does not answer for one key."""

    def __init__(self, bucket: Any, key: str) -> None:
        self.__dict__.update(bucket.__dict__)
        self._bad = key

    def remove(self, found: Any) -> int:
        whole: list[Lying] = list(found)
        if any(each.key == self._bad for each in whole):
            raise Unavailable("Storage did not answer.")
        return super().remove(whole)


def test_what_cannot_be_deleted_is_tried_again_and_keeps_nobody_waiting(floor: Floor) -> None:
    other = floor.song("ast_other")
    for asset in ("ast_song", other):
        do(floor, DeleteAsset(USER, asset))
    bad = original_key(USER, "ast_song")
    bucket = Refusing(media_bucket(floor.application), bad)
    assert after(floor, LATER, bucket) == 1
    assert there(floor) == {bad}
    assert after(floor, LATER) == 1
    assert there(floor) == set()

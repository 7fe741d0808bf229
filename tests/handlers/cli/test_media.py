"""The bucket against the histories: what nothing names, and what is named and lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog

from commands import AbortUpload, CancelSeparation, InitializeUpload
from handlers.janitor.__main__ import build_tidying
from handlers.janitor.tidying import DAY_MS
from handlers.operating.strays import Comparing
from handlers.operating.tidying import media_bucket
from infra.bootstrap import Application
from infra.objects import original_key
from tests.handlers.cli.operators import WHY, Done, splitsound
from tests.handlers.lying import USER, Floor
from tests.world import StillClock

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    return lambda *arguments: splitsound(capsys, "media", "strays", *arguments)


@pytest.fixture
def floor(application: Application) -> Floor:
    """A completed job, one given again by reuse, one at work, one that was cancelled."""
    made = Floor(application)
    made.song()
    made.ask("job_done")
    made.claim("job_done")
    made.finish("job_done", 1)
    made.level()
    made.ask("job_again")
    for job in ("job_open", "job_ended"):
        made.ask(job, format="wav")
        made.claim(job)
        made.leave(job, 1)
    made.do(CancelSeparation(USER, "job_ended"))
    made.level()
    return made


def test_everything_that_nothing_names_and_nothing_else(floor: Floor, shell: Shell) -> None:
    foreign = floor.put("user_nobody/jobs/job_unheard/output/1/vocals.flac", b"12345")
    strange = floor.put("user_usr_lying/notes.txt", b"hm")
    floor.put("weights/model.safetensors")  # no media at all
    aborted = original_key(USER, "ast_aborted")
    floor.do(InitializeUpload(USER, "ast_aborted", "a.mp3", "audio/mpeg", 4, 8 << 20, aborted, "u"))
    floor.do(AbortUpload(USER, "ast_aborted", "gave up"))
    floor.put(aborted)
    opened = original_key(USER, "ast_open")
    upload_id = floor.begin_upload(opened)
    floor.do(
        InitializeUpload(USER, "ast_open", "a.mp3", "audio/mpeg", 4, 8 << 20, opened, upload_id)
    )
    found = shell("--json").data
    ended = floor.key("job_ended", 1)
    assert {(s["found"]["key"], s["status"]) for s in found["strays"]} == {
        (ended, "cancelled"),
        (floor.key("job_ended", 1, "accompaniment"), "cancelled"),
        (floor.key("job_ended", 1, "unfinished"), "cancelled"),
        (foreign, "unknown"),
        (strange, "unknown"),
        (aborted, "aborted"),
    }
    assert (found["lost"], found["removed"]) == ([], 0)
    assert (found["uploads"], found["objects"]) == (3, 1 + 7 + 4 + 3)

    before = floor.keys
    told = shell("--delete", *WHY, "--older-than", "1h")
    assert told.code == 0
    assert "Deleted     0 strays; 6 too young" in told.out
    assert floor.keys == before

    done = shell("--delete", *WHY, "--older-than", "0s", "--json").data
    assert (done["removed"], len(done["strays"])) == (4, 6)
    assert floor.keys == before - {ended, floor.key("job_ended", 1, "accompaniment")}
    assert floor.uploads == {opened, floor.key("job_open", 1, "unfinished")}


def test_what_is_named_and_gone(floor: Floor, shell: Shell, application: Application) -> None:
    (vocals, song) = (floor.key("job_done", 1), original_key(USER, "ast_song"))
    lone = floor.ask("job_lone", format="wav16")
    floor.claim(lone)
    whole = floor.finish(lone, 1)
    for key in (vocals, song, *whole):
        floor.s3.delete_object(Bucket=floor.bucket, Key=key)
    told = shell("--json")
    assert told.code == 1
    assert {each["key"] for each in told.data["lost"]} == {vocals, song, *whole}
    printed = shell()
    assert printed.code == 1
    assert "9 keys named and not there" in printed.out


def test_a_clean_bucket_says_so_and_an_age_is_checked(shell: Shell, floor: Floor) -> None:
    floor.do(CancelSeparation(USER, "job_open"))
    assert shell("--delete", *WHY, "--older-than", "0s").code == 0
    assert "none: a history names everything in storage" in shell().out
    assert shell("--older-than", "soon").code == 2


def test_a_key_that_comes_between_the_listing_and_the_look_is_not_lost(
    floor: Floor, application: Application
) -> None:
    key = floor.key("job_done", 1)
    bucket = media_bucket(application)
    listed = [each for each in bucket.objects() if each.key != key]
    bucket.objects = lambda prefix="": iter(listed)  # type: ignore[method-assign]
    found = Comparing(application.store, bucket, application.clock.now).run()
    assert found.lost == []


def test_every_night_yesterday_s_strays_go(floor: Floor, application: Application) -> None:
    tidying = build_tidying(application, structlog.get_logger())
    assert tidying.nightly() is None
    now = application.clock.now()
    application.operations.note_swept("media", now - DAY_MS)
    young = tidying.nightly()
    assert young is not None
    assert (len(young.strays), young.removed) == (3, 0)
    assert tidying.nightly() is None
    assert application.operations.swept("media") >= now
    clock = StillClock(application.clock.now() + DAY_MS + 60_000)
    context = msgspec.structs.replace(application.context, clock=clock)
    old = dataclasses.replace(tidying, context=context).nightly()
    assert old is not None
    assert (len(old.strays), old.removed) == (3, 3)
    assert {key for key in floor.keys if "/job_ended/" in key} == set()
    assert floor.uploads == {floor.key("job_open", 1, "unfinished")}

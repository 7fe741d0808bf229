"""Deleting, having back, and the end: a date decides, in any order of wishes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import (
    CompleteSeparation,
    DeleteAsset,
    DeleteJob,
    PurgeAsset,
    PurgeJob,
    RenameAsset,
    RequestSeparation,
    RestoreAsset,
    RestoreJob,
    StartSeparation,
    TagAsset,
    TidyMedia,
)
from commands.dispatch import Command
from domain.asset import ASSET, AssetDeleted, AssetState, UploadInitialized
from domain.errors import AssetGone, Invalid, NotFound, Refused
from domain.retention import DAY
from domain.stems import StemFile
from domain.tags import normalised
from projections import JOBS_VIEW, LIBRARY_VIEW
from projections.catch_up import catch_up
from projections.retention import due_assets, due_jobs
from tests.world import World

STEMS = (StemFile("vocals", "vocals.flac", 1, "audio/flac"),)
WISHES = ("delete", "restore", "purge", "wait")


@pytest.fixture
def world() -> World:
    made = World()
    made.sign_up()
    made.ready_asset()
    return made


def state(world: World) -> AssetState:
    found: AssetState = world.store.load(ASSET, ASSET.stream("a")).state
    return found


def finished(world: World) -> None:
    world.queued_job()
    world.do(StartSeparation("j", "w"))
    world.do(CompleteSeparation("j", 1, STEMS, 0.0))
    world.do(TidyMedia("j", 0))


@given(st.lists(st.sampled_from(WISHES), max_size=12))
def test_whatever_is_asked_a_purged_upload_stays_purged_and_none_goes_early(
    wishes: list[str],
) -> None:
    world = World()
    world.sign_up()
    world.ready_asset()
    gone_at = None
    for wish in wishes:
        if wish == "wait":
            world.clock.time += 16 * DAY
            continue
        command: dict[str, Command] = {
            "delete": DeleteAsset("u", "a"),
            "restore": RestoreAsset("u", "a"),
            "purge": PurgeAsset("a", 1),
        }
        before = state(world)
        with suppress(Refused):
            world.do(command[wish])
        after = state(world)
        if after.purged and not before.purged:
            assert 0 < before.deleted_until <= world.clock.now()
            gone_at = after.deleted_until
        if gone_at is not None:
            assert after.purged
            assert after.deleted_until == gone_at


def test_a_deleted_upload_cannot_be_separated_renamed_or_tagged(world: World) -> None:
    world.do(DeleteAsset("u", "a"))
    for command in (
        RequestSeparation("u", "j", "a", "two"),
        RenameAsset("u", "a", "b.mp3"),
        TagAsset("u", "a", ("x",)),
    ):
        with pytest.raises(AssetGone):
            world.do(command)
    world.do(RestoreAsset("u", "a"))
    world.queued_job()


def test_strangers_are_told_nothing(world: World) -> None:
    for command in (DeleteAsset("v", "a"), RestoreAsset("v", "a"), RenameAsset("v", "a", "b")):
        with pytest.raises(NotFound):
            world.do(command)


def test_a_job_is_deleted_once_it_has_ended_and_comes_back_in_time(world: World) -> None:
    world.queued_job()
    with pytest.raises(Refused):
        world.do(DeleteJob("u", "j"))
    world.do(StartSeparation("j", "w"))
    world.do(DeleteAsset("u", "a"))  # the job goes on, and ends as it would have
    world.do(CompleteSeparation("j", 1, STEMS, 0.0))
    world.do(DeleteJob("u", "j"))
    world.do(RestoreJob("u", "j"))
    with pytest.raises(Refused):
        world.do(PurgeJob("j", 1))
    world.do(DeleteJob("u", "j"))
    world.clock.time += 30 * DAY
    with pytest.raises(Refused):
        world.do(RestoreJob("u", "j"))
    world.do(PurgeJob("j", 1))
    assert world.job().purged


def test_the_janitor_finds_what_is_due_and_nothing_else(world: World) -> None:
    finished(world)
    world.do(DeleteAsset("u", "a"))
    for view, stream in ((LIBRARY_VIEW, "asset-a"), (JOBS_VIEW, "job-j")):
        catch_up(view, stream, world.reading)
    assert not list(due_assets(world.reading, world.clock.now()))
    world.clock.time += 31 * DAY
    (due,) = due_assets(world.reading, world.clock.now())
    assert (due.asset_id, due.keys) == ("a", ("k",))
    assert [(job.job_id, job.keys) for job in due.jobs] == [("j", ("vocals.flac",))]
    world.do(PurgeJob("j", 1))
    world.do(PurgeAsset("a", 1))
    assert not list(due_assets(world.reading, world.clock.now()))
    assert not list(due_jobs(world.reading, world.clock.now()))


def test_names_and_tags_are_sealed_in_events(world: World) -> None:
    world.do(RenameAsset("u", "a", "geheim.mp3"))
    world.do(TagAsset("u", "a", ("still",)))
    kept = state(world)
    assert kept.name is not None
    assert kept.tags is not None
    assert (kept.filename, kept.name.text, kept.name.version) == ("", "sealed:geheim.mp3", 4)
    assert kept.tags.text == 'sealed:["still"]'


def test_an_opening_of_before_names_were_sealed_still_folds() -> None:
    old = UploadInitialized("u", "song.mp3", "audio/mpeg", 1, 8, "k", "up")
    folded = ASSET.fold([old, AssetDeleted("u", 5)])
    assert (folded.filename, folded.name, folded.deleted_until) == ("song.mp3", None, 5)


def test_tags_are_normalised() -> None:
    assert normalised([" Cafe\u0301 ", "caf\u00e9", "b"]) == ("Caf\u00e9", "b")
    for wrong in ([""], ["x" * 51], [str(n) for n in range(21)]):
        with pytest.raises(Invalid):
            normalised(wrong)

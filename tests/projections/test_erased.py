"""After a person was erased no row says anything of what came before, whoever comes late."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import projections
from commands import (
    AdjustCredits,
    CompleteSeparation,
    EraseAccount,
    EraseAsset,
    EraseJob,
    RequestSeparation,
    StartSeparation,
)
from domain.errors import KeyReused, NotFound, Refused
from domain.job import CANCELLED
from domain.stems import StemFile
from projections import CREDITS_VIEW, JOBS_VIEW, LIBRARY_VIEW, RESULTS_VIEW, USAGE_VIEW
from projections.catch_up import anew, catch_up
from projections.checking import Check, lines_of
from projections.doorbell import ring
from projections.folding import fold, piece
from projections.heads import Heads
from projections.projection import ERASED_BODY, Projection
from projections.query import at_least, latest, own
from projections.sweeping import Target
from tests.world import World

STEMS = (StemFile("vocals", "k", 1, "audio/flac"),)


@pytest.fixture
def world() -> World:
    made = World()
    made.sign_up()
    made.ready_asset()
    made.queued_job("done")
    made.do(StartSeparation("done", "w"))
    made.do(CompleteSeparation("done", 1, STEMS, 0.0))
    made.queued_job("open")
    return made


def erased(world: World) -> None:
    for job in ("done", "open"):
        world.do(EraseJob("u", job))
    world.do(EraseAsset("u", "a"))
    world.do(EraseAccount("u"))


def test_an_open_job_is_cancelled_and_what_is_left_is_forfeited(world: World) -> None:
    with pytest.raises(Refused):
        world.do(EraseAccount("u"))
    erased(world)
    assert world.job("open").status == CANCELLED
    account = world.account()
    assert account.balanced
    assert (account.granted, account.left, account.reserved) == (0, 0, 0)
    before = len(world.commits())
    erased(world)
    assert len(world.commits()) == before, "each is said once"


def test_only_blank_heads_are_left_and_the_statement_begins_anew(world: World) -> None:
    catch_up(JOBS_VIEW, "job-done", world.reading)
    catch_up(LIBRARY_VIEW, "asset-a", world.reading)
    erased(world)
    of_jobs: tuple[Projection[Any], ...] = (JOBS_VIEW, USAGE_VIEW, RESULTS_VIEW)
    for view in of_jobs:
        for job in ("job-done", "job-open"):
            catch_up(view, job, world.reading)
            head = world.rows.head(view.generation(1), job)
            assert head is not None
            assert (head.body, head.owner, head.sort, head.status) == (ERASED_BODY, "", "", None)
            assert at_least(view, job, world.reading) is None
    catch_up(LIBRARY_VIEW, "asset-a", world.reading)
    with pytest.raises(NotFound):
        own(LIBRARY_VIEW, "asset-a", "u", world.reading)
    account = latest(CREDITS_VIEW, "credits-u", world.reading)
    assert account is not None
    assert CREDITS_VIEW.index(account.view).owner == ""
    assert not lines_of(world.reading, "credits@1", "credits-u")
    world.do(AdjustCredits("u", 5, "welcome back"))
    account = latest(CREDITS_VIEW, "credits-u", world.reading)
    assert account is not None
    assert (account.view.account.granted, CREDITS_VIEW.index(account.view).owner) == (5, "u")
    (line,) = lines_of(world.reading, "credits@1", "credits-u")
    assert "welcome back" in line.body


def test_a_projector_that_comes_late_brings_nothing_back(world: World) -> None:
    late = [piece(c) for c in world.store.read("job-done")]
    old = fold(JOBS_VIEW, "jobs@1", "job-done", late)
    erased(world)
    catch_up(JOBS_VIEW, "job-done", world.reading)
    assert old.head is not None
    assert not world.rows.write(old.head, old.lines, 0)
    assert anew(JOBS_VIEW, "job-done", world.reading, 1) == len(late) + 1
    head = world.rows.head("jobs@1", "job-done")
    assert head is not None
    assert head.body == ERASED_BODY


def test_a_doorbell_that_comes_late_leaves_no_line_behind(world: World) -> None:
    """Lines are put before the head, by whoever remembers the stream's beginning."""
    first = next(iter(world.store.read("credits-u")))
    erased(world)
    catch_up(CREDITS_VIEW, "credits-u", world.reading)
    assert not lines_of(world.reading, "credits@1", "credits-u")
    catch_up(CREDITS_VIEW, "credits-u", world.reading, [ring(first)], heads=Heads())
    assert not lines_of(world.reading, "credits@1", "credits-u")


def test_checks_find_nothing_wrong(world: World) -> None:
    erased(world)
    streams = {commit.stream for commit in world.commits()}
    for projection in projections.ALL.values():
        for stream in filter(projection.covers, streams):
            catch_up(projection, stream, world.reading)
        world.clock.time += 10_000
        check = Check(Target(projection, 1), world.reading, world.clock.now)
        assert not check.streams().differences + check.rows().differences


def test_a_commit_that_the_code_rejects_does_not_keep_a_row(world: World) -> None:
    """What came before the end need not be read to know that nothing is shown."""
    erased(world)
    pieces = [piece(c) for c in world.store.read("job-done")]
    pieces[0] = type(pieces[0])("job-done", 1, 1, '[{"type":"Unheard"}]', 0, "")
    folded = fold(JOBS_VIEW, "jobs@1", "job-done", pieces)
    assert folded.stuck is None
    assert folded.head is not None
    assert folded.head.body == ERASED_BODY


@pytest.mark.parametrize("indent", [None, 1])
def test_the_end_is_seen_however_a_bus_writes_it(world: World, indent: int | None) -> None:
    catch_up(JOBS_VIEW, "job-open", world.reading)
    erased(world)
    (commit, *_) = world.store.newest_first("job-open")
    events = [dict(reversed(e.items())) for e in msgspec.json.decode(commit.events)]
    text = msgspec.Raw(json.dumps(events, indent=indent).encode())
    catch_up(JOBS_VIEW, "job-open", world.reading, [replace(ring(commit), events=text)])
    head = world.rows.head("jobs@1", "job-open")
    assert head is not None
    assert (head.version, head.body) == (commit.last, ERASED_BODY)


def test_a_name_in_somebodys_text_erases_nothing(world: World) -> None:
    world.do(AdjustCredits("u", 1, '[{"type":"Erased","user_id":"u"}]'))
    assert not any(piece(c).erases for c in world.commits())


def test_ids_of_before_are_not_given_again(world: World) -> None:
    erased(world)
    world.ready_asset(asset="b")
    with pytest.raises(KeyReused):
        world.do(RequestSeparation("u", "done", "b", "two"))

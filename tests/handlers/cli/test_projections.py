"""Operators rebuild, verify, go back and drop, by the real commands on the emulator."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

import projections
from commands import RecordStage, StartSeparation
from domain.aggregate import Recorded
from handlers.operating import rebuilding
from infra.bootstrap import Application
from projections import JOBS_VIEW
from projections.catch_up import catch_up
from projections.folding import ReadModelStuck
from projections.generations import Build, Generation
from projections.jobs import JobView, apply
from projections.leveling import level
from projections.sweeping import Stuck, Target
from tests.handlers.cli.operators import WHY, Done, do, some_work, splitsound

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Three users with a job each, nobody's caches to wait for."""
    some_work(application)
    monkeypatch.setattr(rebuilding, "settle", lambda: None)
    return lambda *arguments: splitsound(capsys, *arguments)


def tables(application: Application) -> dict[str, list[str]]:
    """Every item of every table but the events."""
    client = application.client("dynamodb")
    names = (application.settings.read_models_table, application.settings.operations_table)
    return {name: sorted(map(str, client.scan(TableName=name)["Items"])) for name in names}


def louder(view: JobView, recorded: Recorded) -> list[msgspec.Struct]:
    """A next version of the jobs: the model in capitals."""
    lines = apply(view, recorded)
    view.model = view.model.upper()
    return lines


def deploy(monkeypatch: pytest.MonkeyPatch, *declared: str) -> None:
    """The jobs read model changes."""
    version = JOBS_VIEW.version + 1
    changes = {**JOBS_VIEW.changes, version: declared}
    changed = replace(JOBS_VIEW, version=version, apply=louder, changes=changes)
    monkeypatch.setitem(projections.ALL, "jobs", changed)


def test_the_list_says_what_is_live_and_what_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = shell("projections", "list")
    assert listed.code == 0
    assert f"jobs         v{JOBS_VIEW.version}  jobs@1" in listed.out
    assert "The projector does not answer" in listed.out
    deploy(monkeypatch)
    changed = shell("projections", "list")
    assert "rebuild needed" in changed.out
    assert "projections rebuild jobs --dry-run` says what would change" in changed.out
    rows = {each["name"]: each for each in shell("projections", "list", "--json").data}
    assert rows["jobs"]["needs_rebuild"]
    assert not rows["credits"]["needs_rebuild"]


def test_a_rebuild_proves_and_switches_and_can_be_undone(shell: Shell) -> None:
    done = shell("projections", "rebuild", "credits", *WHY)
    assert done.code == 0
    assert "3 rows compared with credits@1; they say the same" in done.out
    assert "credits@2, from now on" in done.out
    assert "read and" in done.out
    assert "rollback credits --reason TEXT` goes back to it" in done.out

    back = shell("projections", "rollback", "credits", *WHY, "--json").data
    assert (back["before"], back["after"], back["behind"]) == (2, 1, 0)
    forth = shell("projections", "rollback", "credits", *WHY)
    assert "all rows were up to date" in forth.out
    dropped = shell("projections", "drop", "credits", *WHY)
    assert "credits@1 (kept)" in dropped.out
    assert (
        "credits has no generation but credits@2"
        in shell("projections", "drop", "credits", *WHY).out
    )
    refused = shell("projections", "drop", "credits", *WHY, "--generation", "2")
    assert (refused.code, "is live" in refused.err) == (1, True)


def park(application: Application, number: int) -> None:
    """A stream of the jobs waits in that generation."""
    error = ReadModelStuck("jobs", "job-job_1", 2, KeyError("grant"))
    stuck = Stuck(Target(JOBS_VIEW, number), "job-job_1", error)
    application.parked.park_stuck(stuck, application.clock.now())


def test_a_dropped_generation_leaves_no_parked_streams(
    shell: Shell, application: Application
) -> None:
    shell("projections", "rebuild", "jobs", *WHY)
    for number in (1, 2):
        park(application, number)
    dropped = shell("projections", "drop", "jobs", *WHY)
    assert "jobs@1 (kept): 3 rows, 1 parked stream" in dropped.out
    assert [p.number for p in application.parked.list("jobs")] == [2]


def test_rows_that_came_late_into_a_generation_that_is_gone_can_go_too(
    shell: Shell, application: Application
) -> None:
    shell("projections", "rebuild", "jobs", *WHY)
    shell("projections", "drop", "jobs", *WHY)
    catch_up(JOBS_VIEW, "job-job_1", application.operating, number=1)
    park(application, 1)
    told = shell("projections", "drop", "jobs", *WHY, "--generation", "1", "--json").data
    assert told["dropped"] == [{"generation": 1, "state": "gone", "rows": 1, "parked": 1}]
    again = shell("projections", "drop", "jobs", *WHY, "--generation", "1")
    assert (again.code, "jobs@1 (gone): 0 rows" in again.out) == (0, True)
    never = shell("projections", "drop", "jobs", *WHY, "--generation", "3")
    assert (never.code, "There is no generation 3" in never.err) == (1, True)
    assert shell("projections", "drop", "jobs", *WHY, "--generation", "0").code == 2
    assert shell("projections", "verify", "jobs").code == 0


def test_a_dry_run_writes_nothing_and_says_what_would_change(
    shell: Shell, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch, "body.model")
    before = tables(application)
    intended = shell("projections", "rebuild", "jobs", "--dry-run")
    assert intended.code == 0
    assert "3 differences in 3 streams: body.model 3" in intended.out
    assert "nothing else would change" in intended.out
    assert "3 rows of 3 streams" in intended.out
    deploy(monkeypatch)
    unexpected = shell("projections", "rebuild", "jobs", "--dry-run", "--json")
    assert unexpected.code == 1
    found = unexpected.data
    assert [d["expected"] for d in found["unexpected"]] == ["SPLEETER-2STEMS"] * 3
    assert found["units"]["writes"] >= 3
    assert found["units"]["reads"] > 0
    assert tables(application) == before


def test_an_undeclared_change_waits_for_the_operator(
    shell: Shell, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch)
    done = shell("projections", "rebuild", "jobs", *WHY)
    assert done.code == 1
    assert "jobs@2: SPLEETER-2STEMS, jobs@1: spleeter-2stems" in done.out
    assert "Not switched: queries still read jobs@1" in done.out
    assert application.operating.generations.live("jobs") == 1
    accepted = shell("projections", "rebuild", "jobs", *WHY, "--accept")
    assert accepted.code == 0
    assert "Going on    jobs@2: 32 of 32 parts" in accepted.out
    assert application.operating.generations.live("jobs") == 2


def test_an_undeclared_change_can_be_given_up(
    shell: Shell, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch)
    assert shell("projections", "rebuild", "jobs", *WHY).code == 1
    dropped = shell("projections", "drop", "jobs", *WHY, "--generation", "2")
    assert "jobs@2 (building): 3 rows" in dropped.out
    catalogue = application.operating.generations.catalogue("jobs")
    assert catalogue is not None
    assert (catalogue.build, [g.number for g in catalogue.generations]) == (None, [1])


def test_a_second_rebuild_is_refused_while_another_machine_works(
    shell: Shell, application: Application
) -> None:
    generations = application.operating.generations
    catalogue = generations.catalogue("jobs")
    assert catalogue is not None
    now = application.clock.now()
    building = Generation(2, JOBS_VIEW.version, "building")
    build = Build("elsewhere:1:abc", 2, 32, now - 60_000, now, (1, 2, 3))
    changed = msgspec.structs.replace(
        catalogue, generations=(*catalogue.generations, building), last=2, build=build
    )
    assert generations.replace("jobs", changed)
    refused = shell("projections", "rebuild", "jobs", *WHY)
    assert refused.code == 1
    assert re.search(r"by elsewhere:1:abc since 6\d s \(3 of 32 segments done\)", refused.err)


def change_by_hand(application: Application, stream: str) -> None:
    rows = application.rows
    row = rows.head("jobs@1", stream)
    assert row is not None
    body = row.body.replace("spleeter-2stems", "forged")
    assert rows.write(msgspec.structs.replace(row, body=body), [], row.version)


def test_verify_finds_a_row_changed_by_hand_and_repairs_it(
    shell: Shell, application: Application
) -> None:
    assert shell("projections", "verify", "jobs").code == 0
    change_by_hand(application, "job-job_1")
    found = shell("projections", "verify", "jobs")
    assert found.code == 1
    assert "events: spleeter-2stems, row: forged" in found.out
    assert "1 difference in 1 stream (body.model 1)" in found.out
    assert "verify jobs --repair --reason TEXT` folds these streams anew" in found.out
    repaired = shell("projections", "verify", "jobs", "--repair", *WHY)
    assert (repaired.code, "all put right" in repaired.out) == (0, True)
    assert shell("projections", "verify", "jobs").code == 0


def test_verify_removes_a_row_that_no_event_explains(
    shell: Shell, application: Application
) -> None:
    row = application.rows.head("jobs@1", "job-job_1")
    assert row is not None
    application.rows.write(msgspec.structs.replace(row, stream="job-job_x"), [], 0)
    assert shell("projections", "verify", "jobs", "--json").data["right"] is False
    repaired = shell("projections", "verify", "jobs", "--repair", *WHY, "--json").data
    assert (repaired["right"], repaired["repaired"]) == (True, 1)
    assert application.rows.head("jobs@1", "job-job_x") is None


def test_a_row_that_no_event_had_to_move_is_right(shell: Shell, application: Application) -> None:
    """The usage row stays behind stages, which it does not show."""
    do(application, StartSeparation("job_1", "host:1:a"))
    level(application.operating, application.clock.now)
    do(application, RecordStage("job_1", 1, "download", 12))
    time.sleep(2.1)  # a commit is missing once it is older than a projector needs
    assert shell("projections", "verify", "usage").code == 0
    missing = shell("projections", "verify", "jobs")
    assert (missing.code, "events: 3, row: 2" in missing.out) == (1, True)


def test_a_sample_says_how_much_it_was(shell: Shell) -> None:
    done = shell("projections", "verify", "jobs", "--sample", "50")
    assert done.code == 0
    assert "a sample of 50%" in done.out
    with_all = shell("projections", "verify", "jobs", "--sample", "100", "--json").data
    assert with_all["streams"] == 3


def test_wrong_names_and_paces_are_refused(shell: Shell) -> None:
    wrong = shell("projections", "rebuild", "nosuch")
    known = "there are jobs, credits, library, purchases, results, usage"
    assert (wrong.code, known in wrong.err) == (2, True)
    pace = shell("projections", "rebuild", "jobs", *WHY, "--throttle", "fast")
    assert (pace.code, "write 500,200" in pace.err) == (2, True)


def test_a_pace_is_kept(shell: Shell) -> None:
    """Without one the same takes a fraction of a second."""
    unlimited = shell("projections", "rebuild", "jobs", *WHY, "--json").data
    units = unlimited["units"]["reads"]
    shell("projections", "drop", "jobs", *WHY)
    slow = shell(
        "projections", "rebuild", "jobs", *WHY, "--throttle", f"{units / 2},0", "--json"
    ).data
    assert slow["seconds"] > 1.5

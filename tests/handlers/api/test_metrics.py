"""What Prometheus reads, as it reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import projections
from commands import FailSeparation, Pause, Resume, StartSeparation
from domain.errors import Unavailable
from handlers.operating import metrics as scraping
from infra.operations import Pulse
from infra.operations.pulses import PROJECTOR
from tests.handlers.api import calling
from tests.handlers.api.conftest import Served, note_projector
from tests.handlers.api.operated import deliver, park
from tests.handlers.api.people import Person, assert_problem
from tests.handlers.switches import settle

Samples = dict[tuple[str, str], float]


def scrape(admin: Person) -> Samples:
    """Each sample by its name without the prefix and the value of its one label."""
    answer = admin.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        if family.name.startswith("splitsound_api_"):
            continue  # of the process, see below
        assert family.type == "gauge"
        assert f"# HELP {family.name} " in answer.text
        for sample in family.samples:
            assert len(sample.labels) <= 1
            found[sample.name.removeprefix("splitsound_"), "".join(sample.labels.values())] = (
                sample.value
            )
    return found


@pytest.fixture
def uncached(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scraping, "FAILURES_SECONDS", 0.0)
    yield
    note_projector(served.application)


def test_a_scrape_tells_what_happened(
    admin: Person, person: Person, served: Served, uncached: None
) -> None:
    before = scrape(admin)
    application = served.application
    job = person.job()
    person.worker.run(StartSeparation(job["job_id"], "test"))
    deliver(application, f"job-{job['job_id']}")
    park(application)
    person.worker.run(Pause("projection:library", "metrics"))
    settle(application)
    try:
        now = scrape(admin)
    finally:
        person.worker.run(Resume("projection:library", "metrics"))
        settle(application)
    for name in projections.ALL:
        for metric in ("live_generation", "needs_rebuild", "parked_streams", "paused"):
            assert (f"projection_{metric}", name) in now
    assert now["projection_parked_streams", "credits"] == (
        before["projection_parked_streams", "credits"] + 1
    )
    assert now["jobs_open", "running"] == before["jobs_open", "running"] + 1
    assert now["projection_paused", "library"] == now["paused", "projection:library"] == 1
    assert now["projection_lag_seconds", "jobs"] >= 0
    assert now["projection_newest_commit_age_seconds", "jobs"] >= 0
    assert now["jobs_oldest_wait_seconds", ""] > 0
    assert now["queue_messages", "gpu-long"] >= 0
    assert now["queue_dead_letters", "projections"] >= 0
    assert now["lane_running", "short"] == now["jobs_open", "running"]
    assert now["lane_workers", "gpu-long"] == 0
    assert ("lane_free_seconds", "gpu-long") not in now
    person.worker.run(FailSeparation(job["job_id"], 1, "decode", "ffmpeg_broke_here", "It broke."))
    deliver(application, f"job-{job['job_id']}")
    assert scrape(admin)["jobs_failed_today", "ffmpeg_broke_here"] == 1


def test_a_dead_projector_is_down_and_silent(admin: Person, served: Served, uncached: None) -> None:
    assert scrape(admin)["projector_up", ""] == 1
    then = served.application.clock.now() - 120_000
    served.application.pulses.note(PROJECTOR, Pulse("test", then, then))
    now = scrape(admin)
    assert now["projector_up", ""] == 0
    assert now["projector_silence_seconds", ""] >= 120


def test_a_scrape_that_fails_is_an_error_and_the_next_one_is_none(
    admin: Person, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any) -> Any:
        raise Unavailable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(served.application.parked, "list", silent)
        failed = admin.http.get("/metrics")
        assert_problem(failed, 503, "unavailable")
        assert failed.headers["cache-control"] == "no-store"
    assert scrape(admin)


def test_failures_are_counted_once_a_minute_and_never_over_midnight(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[list[str]] = []
    seconds = [0.0]

    def count(_: object, days: list[str]) -> dict[str, int]:
        counted.append(days)
        return {}

    monkeypatch.setattr(scraping, "failures", count)
    day = ["2026-11-23"]
    monkeypatch.setattr(scraping, "day_of", lambda _: day[0])
    scrapes = scraping.Scrapes(served.application, timer=lambda: seconds[0])
    scrapes.text()
    scrapes.text()
    assert counted == [["2026-11-23"]]
    day[0] = "2026-11-24"
    scrapes.text()
    seconds[0] = 61
    scrapes.text()
    assert counted == [["2026-11-23"], ["2026-11-24"], ["2026-11-24"]]


def test_a_scrape_costs_few_calls(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    scrapes = scraping.Scrapes(served.application)
    scrapes.text()
    running = scrapes.text().decode().split('jobs_open{status="running"} ')[1].partition("\n")[0]
    calls = calling.counted(monkeypatch)
    scrapes.text()
    # As the module says, and now and then the switches and a catalogue that is no longer fresh.
    assert 31 <= len(calls) - float(running) <= 44, calls


def test_requests_are_told_by_route_template_and_status(admin: Person, person: Person) -> None:
    for path in ("/v1/jobs/job_" + "0" * 26, "/v1/jobs/nonsense", "/v1/credits", "/nowhere/1"):
        person.http.get(path)
    text = admin.http.get("/metrics").text
    told = {
        tuple(sample.labels[name] for name in ("method", "route", "status")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "splitsound_api_request_seconds_count"
    }
    assert told["GET", "/v1/jobs/{job_id}", "404"] >= 2
    assert told["GET", "/v1/credits", "200"] >= 1
    assert told["GET", "none", "404"] >= 1
    assert "nonsense" not in text
    assert "splitsound_api_requests_under_way 1.0" in text

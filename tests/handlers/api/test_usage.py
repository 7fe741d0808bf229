"""Usage by day: from real rows, for users and for operators."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from commands import CancelSeparation, FailSeparation, RefundSeparation, StartSeparation
from projections import query
from tests.handlers.api.conftest import Served
from tests.handlers.api.documented import Document
from tests.handlers.api.operated import deliver
from tests.handlers.api.people import Person, assert_problem

NONE = {
    "jobs": 0, "completed": 0, "reused": 0, "failed": 0, "cancelled": 0, "open": 0,
    "audio_seconds": 0.0, "credits": 0, "failures": {},
}  # fmt: skip


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def watched(person: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(person.http)
    return person


@pytest.fixture
def jobs(watched: Person, served: Served) -> list[dict[str, Any]]:
    """One completed, one refunded, one failed, one cancelled and one open job of ten seconds."""
    song, run = watched.song(), watched.worker.run
    made = [watched.ask(song).json() for _ in range(5)]
    for done in made[:2]:
        watched.worker.finish(done, watched.user_id)
    run(RefundSeparation(made[1]["job_id"], "it hisses"))
    run(StartSeparation(made[2]["job_id"], "test"))
    run(FailSeparation(made[2]["job_id"], 1, "decode", "ffmpeg_failed", "It broke."))
    run(CancelSeparation(watched.user_id, made[3]["job_id"]))
    deliver(served.application, *(job["stream"] for job in made))
    return made


EXPECTED = {
    "jobs": 5, "completed": 2, "reused": 0, "failed": 1, "cancelled": 1, "open": 1,
    "audio_seconds": 20.0, "credits": 10, "failures": {"ffmpeg_failed": 1},
}  # fmt: skip


def test_a_day_adds_up_whatever_the_pages(
    watched: Person, jobs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "_PAGE", 2)
    answer = watched.http.get("/v1/usage")
    told = answer.json()
    assert told["total"] == EXPECTED
    assert told["days"] == [{"day": today().isoformat(), **EXPECTED}]
    assert told["to"] == today().isoformat()
    assert told["from"] == (today() - timedelta(days=30)).isoformat()
    same = watched.http.get("/v1/usage", headers={"If-None-Match": answer.headers["etag"]})
    assert same.status_code == 304
    before = {"from": "2020-01-01", "to": "2020-03-01"}
    assert watched.http.get("/v1/usage", params=before).json()["total"] == NONE


def test_a_user_s_usage_is_nobody_else_s_and_operators_see_both(
    watched: Person, jobs: list[dict[str, Any]], admin: Person, anyone: httpx.Client
) -> None:
    Document(anyone).watch(admin.http)
    assert admin.http.get("/v1/usage").json()["days"] == []
    mine = admin.http.get(f"/v1/admin/usage/{watched.user_id}")
    assert mine.json() == watched.http.get("/v1/usage").json()
    day = admin.http.get("/v1/admin/usage").json()
    assert day["day"] == today().isoformat()
    (of_mine,) = [u for u in day["users"] if u["user_id"] == watched.user_id]
    assert of_mine == {"user_id": watched.user_id, **EXPECTED}
    assert day["total"]["jobs"] == sum(u["jobs"] for u in day["users"])
    quiet = admin.http.get("/v1/admin/usage", params={"day": "2020-01-01"}).json()
    assert quiet == {"day": "2020-01-01", "users": [], "total": NONE}
    assert_problem(admin.http.get("/v1/admin/usage/nobody"), 404, "not_found")


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"from": "2026-11-24", "to": "2026-11-23"}, "from"),
        ({"from": "2026-01-01", "to": "2026-04-03"}, "from"),  # 93 days
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "20261123"}, "to"),
        ({"to": "2026-11-23T00:00:00Z"}, "to"),
        ({"from": ""}, "from"),
    ],
)
def test_days_that_are_none(watched: Person, params: dict[str, str], parameter: str) -> None:
    problem = assert_problem(watched.http.get("/v1/usage", params=params), 422, "invalid_request")
    assert problem["errors"][0]["parameter"] == parameter


def test_the_longest_span_and_the_ends_of_the_calendar(watched: Person) -> None:
    longest = {"from": "2026-01-01", "to": "2026-04-02"}
    assert watched.http.get("/v1/usage", params=longest).is_success
    assert watched.http.get("/v1/usage", params={"to": "0001-01-02"}).is_success
    ahead = {"from": "9999-12-31"}
    assert watched.http.get("/v1/usage", params=ahead).json()["to"] == "9999-12-31"
    recent = (today() - timedelta(days=3)).isoformat()
    told = watched.http.get("/v1/usage", params={"from": recent}).json()
    assert (told["from"], told["to"]) == (recent, today().isoformat())

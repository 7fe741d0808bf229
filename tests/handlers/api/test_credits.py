from __future__ import annotations

from commands.dispatch import Context
from domain.commit import Append, Meta
from domain.credits import CREDITS, CreditsGranted
from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person, Worker


def test_the_balance_is_never_stale(person: Person) -> None:
    assert person.http.get("/v1/credits").json()["version"] == 1
    job = person.job()
    account = person.http.get("/v1/credits").json()
    assert (account["available"], account["reserved"], account["version"]) == (90, 10, 2)
    assert account["grants"] == [
        {**account["grants"][0], "left": 90, "held": 10, "expires_at": None, "priority": 100}
    ]
    person.http.post(f"/v1/jobs/{job['job_id']}/cancel")
    assert person.http.get("/v1/credits").json()["available"] == 100


def test_the_statement_tells_every_movement(person: Person, worker: Worker) -> None:
    job = person.job()
    worker.finish(job, person.user_id)
    person.http.post(f"/v1/jobs/{person.job()['job_id']}/cancel")
    first = person.http.get("/v1/credits/history", params={"limit": 2}).json()
    rest = person.http.get("/v1/credits/history", params={"cursor": first["cursor"]}).json()
    lines = first["items"] + rest["items"]
    assert [(i["kind"], i["change"], i["balance"]) for i in lines] == [
        ("release", 10, 90),
        ("reserve", -10, 80),
        ("capture", 0, 90),
        ("reserve", -10, 90),
        ("grant", 100, 100),
    ]
    assert [i["version"] for i in lines] == [5, 4, 3, 2, 1]
    assert lines[2]["job_id"] == job["job_id"]
    assert lines[0]["time"].endswith("Z")
    assert rest["cursor"] is None


def test_credits_that_ran_out_show_at_once(person: Person, served: Served) -> None:
    context: Context = served.application.context
    account = context.store.load(CREDITS, CREDITS.stream(person.user_id))
    gift = CreditsGranted(person.user_id, "grt_gone", "promotion", 7, expires=1)
    context.commit(Meta("cmd_gift", "operator"), Append(account, [gift]))
    body = person.http.get("/v1/credits").json()
    assert (body["granted"], body["available"], body["expired"]) == (107, 100, 7)
    assert len(body["grants"]) == 1

"""Who am I, everything about me, and forget me: end to end on real tables and a real bucket."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from msgspec.structs import replace

import projections
from commands import SignUp
from domain.commit import verify_chain
from domain.errors import BeingErased
from handlers.janitor.__main__ import build_erasing
from handlers.janitor.erasing import Erasing
from handlers.operating.auditing import Audit
from infra.bootstrap import Application
from infra.event_store.transfer import export_events
from infra.local.emulator import Emulator
from infra.local.provision import provision
from infra.operations import Progress
from infra.settings import Settings
from projections.catch_up import catch_up
from projections.checking import Check
from projections.leveling import level
from projections.rebuild import Rebuild
from projections.sweeping import Target
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import Person, Worker, assert_problem, client
from tests.handlers.api.till import Till, told_all

SECRETS = ("sehr.geheim@example.org", "Heimliches-Lied", "Verborgen-Etikett", "Spion-Skript")


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert all(line.keys() == {"kind", "data"} for line in told)
    return [line["data"] | {"line": line["kind"]} for line in told]


def janitor(application: Application, settle: int = 0) -> Erasing:
    made = build_erasing(application, structlog.get_logger())
    object.__setattr__(made, "settle", settle)
    return made


def test_who_am_i_by_token_and_by_key(person: Person, admin: Person, served: Served) -> None:
    me = person.http.get("/v1/me").json()
    assert (me["user_id"], me["issuer"], me["scopes"]) == (person.user_id, "development", None)
    assert me["email"].endswith("@example.org")
    assert (me["admin"], admin.http.get("/v1/me").json()["admin"]) == (False, True)
    key = person.http.post("/v1/api-keys", json={"name": "k", "scopes": ["read"]}).json()["key"]
    theirs = {"Authorization": f"Bearer {key}"}
    found = httpx.get(f"{served.url}/v1/me", headers=theirs, trust_env=False, verify=False)
    assert (found.json()["user_id"], found.json()["scopes"]) == (person.user_id, ["read"])
    for method, path in (("GET", "/v1/me/export"), ("DELETE", "/v1/me")):
        refused = httpx.request(
            method, served.url + path, headers=theirs, trust_env=False, verify=False
        )
        assert_problem(refused, 403, "person_required")
    again = person.http.get("/v1/me", headers={"If-None-Match": etag(person)})
    assert again.status_code == 304


def etag(person: Person) -> str:
    tag: str = person.http.get("/v1/me").headers["etag"]
    return tag


def full_life(person: Person, worker: Worker, anyone: httpx.Client, till: Till) -> None:
    """A person with everything that is kept about people."""
    http = person.http
    job = person.job()
    worker.deliver(job | {"bundle": False}, person.user_id)
    asset = f"/v1/library/{job['asset_id']}"
    http.patch(asset, json={"filename": "Heimliches-Lied.mp3", "tags": ["Verborgen-Etikett"]})
    person.begin(filename="Heimliches-Lied 2.mp3")
    open_job = person.job()
    beat = Progress(1, "w", "separate", 0.5, 7)
    worker.application.operations.report(open_job["job_id"], beat)
    http.post("/v1/api-keys", json={"name": "Spion-Skript", "scopes": ["read"]})
    pack = http.get("/v1/packs").json()["items"][0]["name"]
    made = http.post("/v1/checkout", json={"pack": pack}).json()
    told_all(anyone, till.events(till.pay(made["url"])["payment_intent"]))
    level(worker.application.operating, worker.application.clock.now)


def test_the_export_has_everything_and_no_secret(
    person: Person, worker: Worker, anyone: httpx.Client, till: Till
) -> None:
    full_life(person, worker, anyone, till)
    answer = person.http.get("/v1/me/export")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"].startswith("attachment;")
    lines = lines_of(answer)
    assert lines[-1] == {"line": "end", "lines": len(lines) - 1}
    kinds = {line["line"] for line in lines}
    assert kinds >= {
        "person", "api_key", "upload", "job", "purchase", "account", "statement_line", "event",
    }  # fmt: skip
    assert lines[0]["email"].endswith("@example.org")
    text = answer.text
    assert "Heimliches-Lied.mp3" in text
    assert "Verborgen-Etikett" in text
    streams = {line["stream"].partition("-")[0] for line in lines if line["line"] == "event"}
    assert streams == {"user", "credits", "asset", "job", "purchase"}
    sealed = [line for line in lines if line.get("type") == "UserSignedUp"]
    assert sealed[0]["fields"]["email"] == lines[0]["email"]
    (key,) = [line for line in lines if line.get("type") == "ApiKeyCreated"]
    assert (key["fields"]["digest"], key["fields"]["name"]) == ("(secret)", "Spion-Skript")
    uploads = [line for line in lines if line["line"] == "upload"]
    assert len(uploads) == 3
    url = next(line["url"] for line in uploads if line["url"])
    assert httpx.get(url, trust_env=False, verify=False).is_success
    stems = next(line for line in lines if line["line"] == "job" and line["stems"])["stems"]
    assert httpx.get(stems[0]["url"], trust_env=False, verify=False).is_success


def test_a_large_export_comes_in_pieces(person: Person, served: Served) -> None:
    for _ in range(8):
        person.begin()
    level(served.application.operating, served.application.clock.now)
    with person.http.stream("GET", "/v1/me/export") as answer:
        pieces = list(answer.iter_raw())
    assert "content-length" not in answer.headers
    assert len(b"".join(pieces).splitlines()) > 16


def test_only_who_confirms_is_forgotten(person: Person) -> None:
    for body in (None, {"confirm": "other@example.org"}, {"confirm": ""}):
        refused = person.http.request("DELETE", "/v1/me", json=body)
        assert_problem(refused, 403, "confirmation_required")
    address = person.http.get("/v1/me").json()["email"]
    done = person.http.request("DELETE", "/v1/me", json={"confirm": address.upper()})
    assert done.status_code == 202
    for path in ("/v1/me", "/v1/library", "/v1/jobs", "/v1/credits", "/v1/me/export"):
        assert_problem(person.http.get(path), 410, "account_erased")
    again = person.http.request("DELETE", "/v1/me", json={"confirm": address})
    assert_problem(again, 410, "account_erased")
    assert_problem(person.begin(), 410, "account_erased")


def test_an_administrator_forgets_a_person_and_says_why(
    person: Person, admin: Person, new_person: Callable[[], Person]
) -> None:
    path = f"/v1/admin/users/{person.user_id}/erase"
    assert_problem(new_person().http.post(path, json={"reason": "x"}), 403, "not_an_admin")
    assert_problem(admin.http.post(path, json={}), 422, "invalid_request")
    done = admin.http.post(path, json={"reason": "asked by letter"})
    assert done.status_code == 202
    assert admin.http.post(path, json={"reason": "asked by letter"}).status_code == 202
    own = admin.http.post(f"/v1/admin/users/{admin.user_id}/erase", json={"reason": "by accident"})
    assert_problem(own, 403, "confirmation_required")
    nobody = "/v1/admin/users/usr_" + "0" * 26 + "/erase"
    assert_problem(admin.http.post(nobody, json={"reason": "x"}), 404, "not_found")
    events = admin.http.get(f"/v1/admin/streams/user-{person.user_id}").json()["events"]
    assert "asked by letter" in str(events[-1])
    assert_problem(person.http.get("/v1/me"), 410, "account_erased")


def everything_stored(application: Application, *, events: bool = True) -> str:
    """All tables and keys of the bucket, as text."""
    settings, texts = application.settings, []
    client = application.client("dynamodb")
    tables = [settings.read_models_table, settings.operations_table]
    for table in [settings.events_table, *tables] if events else tables:
        texts += [str(page) for page in client.get_paginator("scan").paginate(TableName=table)]
    pages = application.client("s3").get_paginator("list_objects_v2")
    texts += [str(page) for page in pages.paginate(Bucket=settings.media_bucket)]
    return "".join(texts)


@pytest.fixture
def alone(settings: Settings, emulator: Emulator, tmp_path: Path) -> Iterator[Served]:
    """A stage that no other test leaves anything in."""
    resources = provision(emulator.access, {"Stage": f"t{uuid.uuid4().hex[:12]}"})
    names = msgspec.structs.asdict(resources)
    del names["events_stream_arn"]
    with serving(Application(replace(settings, **names, keys=tmp_path / "keys"))) as running:
        yield running


def test_a_forgotten_person_is_nowhere_and_every_proof_holds(
    alone: Served, till: Till, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        anyone = stack.enter_context(client(alone.url))
        worker = Worker(alone.application)

        def sign_up(address: str) -> Person:
            identity = alone.application.identity
            user_id = identity.user_id("development", address)
            worker.run(SignUp(user_id, "development", address))
            token = f"Bearer {identity.issue(user_id)}"
            http = stack.enter_context(client(alone.url, Authorization=token))
            return Person(http, worker, user_id)

        _forget_wholly(alone.application, sign_up, anyone, till, tmp_path, capfd)


def _forget_wholly(
    application: Application,
    new_person: Callable[[str], Person],
    anyone: httpx.Client,
    till: Till,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address = SECRETS[0]
    person = new_person(address)
    full_life(person, person.worker, anyone, till)
    user_id, prefix = person.user_id, f"user_{person.user_id}/"
    token = person.http.headers["Authorization"].split()[1]
    before = everything_stored(application)
    assert prefix in before
    assert not [secret for secret in SECRETS if secret in before], "sealed before, too"
    sealed = person.http.get("/v1/me").json()
    assert sealed["email"] == address

    done = person.http.request("DELETE", "/v1/me", json={"confirm": address})
    assert done.status_code == 202
    with pytest.raises(BeingErased):
        new_person(address)
    catch_up(projections.ERASURES_VIEW, f"user-{user_id}", application.operating)
    assert janitor(application, settle=3_600_000).once() == 0
    assert janitor(application).once() >= 1

    after = everything_stored(application)
    assert prefix not in everything_stored(application, events=False)
    assert not [secret for secret in SECRETS if secret in after]
    _no_rows(application, user_id)
    _no_items(application, user_id)
    level(application.operating, application.clock.now)
    _no_rows(application, user_id)
    _proofs(application)

    # Nobody opens what histories still have, and what is exported is the same ciphertext.
    place = (f"user-{user_id}", 1, "email")
    commit = next(iter(application.store.read(f"user-{user_id}")))
    with pytest.raises(Exception, match="erased"):
        application.personal.open(user_id, place, json.loads(commit.events)[0]["email"])
    target = tmp_path / "events.jsonl"
    with target.open("wb") as file:
        export_events(application.store, file)
    exported = target.read_text()
    assert commit.hash.hex() in exported
    kept = application.settings.keys
    assert kept is not None
    keys = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
    assert not [secret for secret in (*SECRETS, token) if secret in exported]
    assert not [key for key in keys if key and key.hex() in exported]
    assert not list(kept.rglob(f"*{user_id}*"))
    logged = "".join(capfd.readouterr())
    assert not [secret for secret in (*SECRETS, token) if secret in logged]

    # Who comes back is somebody new, and gets nothing a second time.
    back = new_person(address)
    assert back.user_id == user_id
    assert back.http.get("/v1/library").json()["items"] == []
    assert back.http.get("/v1/jobs").json()["items"] == []
    assert back.http.get("/v1/purchases").json()["items"] == []
    assert back.http.get("/v1/api-keys").json()["items"] == []
    assert back.http.get("/v1/credits").json()["available"] == 0
    assert back.http.get("/v1/credits/history").json()["items"] == []
    assert back.http.get("/v1/me").json()["email"] == address
    assert back.begin(filename="Neu.mp3").json()["filename"] == "Neu.mp3"


def _no_rows(application: Application, user_id: str) -> None:
    reading = application.operating
    for projection in projections.ALL.values():
        generation = projection.generation(reading.generations.live(projection.name))
        rows = list(reading.rows.scan(generation))
        assert not [row for row in rows if row.owner == user_id]
        lines = [row for row in rows if row.key != "head"]
        assert not [row for row in lines if row.stream == f"credits-{user_id}"]


def _no_items(application: Application, user_id: str) -> None:
    table = application.settings.operations_table
    pages = application.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    items = [item for page in pages for item in page["Items"] if user_id in str(item)]
    assert items == []


def _proofs(application: Application) -> None:
    reading, now = application.operating, application.clock.now
    for stream in {commit.stream for commit in application.store.scan()}:
        verify_chain(application.store.read(stream))
    assert Audit(application.store, thorough=True, segments=2).everything().findings == []
    for projection in projections.ALL.values():
        number = reading.generations.live(projection.name)
        check = Check(Target(projection, number), reading, now)
        assert not check.streams().differences + check.rows().differences
    report = Rebuild(
        projections.JOBS_VIEW, reading, "test", now, lambda: None, time.sleep, segments=2
    ).run()
    assert (report.flipped, report.proof.unexpected) == (True, [])

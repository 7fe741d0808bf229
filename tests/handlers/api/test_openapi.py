"""The document is true: real requests and answers of every route fit its schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from commands import FailSeparation, RejectAsset, StartSeparation
from infra.bootstrap import Application
from infra.operations import Progress
from tests.handlers.api.conftest import ORIGIN, Served
from tests.handlers.api.documented import Document, assert_schema
from tests.handlers.api.issuers import refresh, walked
from tests.handlers.api.operated import flip, park
from tests.handlers.api.people import FINISHED, SONG, Person, Worker, assert_problem, send
from tests.handlers.api.till import Till, tell, told_all


@pytest.fixture
def document(anyone: httpx.Client) -> Document:
    return Document(anyone)


@pytest.fixture
def watched(document: Document, person: Person) -> Person:
    """A person whose every request and answer is held to the document."""
    document.watch(person.http)
    return person


def test_real_bodies_fit_the_document(
    document: Document,
    anyone: httpx.Client,
    watched: Person,
    worker: Worker,
    admin: Person,
    served: Served,
    till: Till,
    new_person: Callable[[], Person],
) -> None:
    document.watch(anyone)
    document.watch(admin.http)
    for path in ("/healthz", "/readyz", "/v1/capabilities", "/.well-known/jwks.json"):
        assert anyone.get(path).is_success
    assert anyone.get("/v1/auth/providers").is_success
    assert walked(anyone, "ada@example.org").is_redirect
    signed_in = refresh(anyone).json()
    everywhere = {"Authorization": f"Bearer {signed_in['access_token']}"}
    assert anyone.post("/v1/auth/logout-everywhere", headers=everywhere).is_success
    assert anyone.post("/v1/auth/logout", headers={"Origin": ORIGIN}).is_success
    http, user_id = watched.http, watched.user_id

    session = watched.begin(key="once", content_type="audio/mpeg").json()
    path = f"/v1/uploads/{session['asset_id']}"
    assert http.get(path, params={"after": 0}).is_success
    etags = send(session, SONG)
    named = [{"number": n, "etag": etag} for n, etag in etags.items()]
    assert http.post(path + "/complete", json={"parts": named}).is_success
    assert http.post(path + "/complete", json={}).is_success
    assert http.post(path + "/complete").is_success
    gone = watched.begin().json()["asset_id"]
    assert http.delete(f"/v1/uploads/{gone}").is_success
    worker.run(RejectAsset(session["asset_id"], "media_unreadable", "This is no audio."))
    assert http.get(path).json()["failure"]
    rejected = http.get(f"/v1/library/{session['asset_id']}", params={"min_version": 3})
    assert rejected.json()["failure"]

    song = watched.song()
    assert http.get("/v1/library", params={"limit": 1}).json()["cursor"]
    wish: dict[str, Any] = {"model": "spleeter-2stems", "stems": ["vocals"], "format": "wav"}
    quoted = http.post("/v1/quotes", json={"asset_id": song, **wish})
    assert quoted.json()["stems"] == ["vocals"]
    done = watched.ask(song, key="again", **wish).json()
    worker.finish(done, user_id)
    params = {"stream": done["stream"], "min_version": done["version"] + 1}
    assert http.get("/v1/jobs", params=params).is_success
    finished = http.get(
        f"/v1/jobs/{done['job_id']}", params={"min_version": done["version"] + FINISHED}
    )
    assert finished.json()["stems"][0]["url"]
    failed = watched.ask(song).json()
    worker.run(StartSeparation(failed["job_id"], "test"))
    worker.run(FailSeparation(failed["job_id"], 1, "split", "ffmpeg_failed", "It broke."))
    ended = http.get(f"/v1/jobs/{failed['job_id']}", params={"min_version": 3}).json()
    assert ended["failure"]
    assert "event: end" in http.get(f"/v1/jobs/{failed['job_id']}/events").text
    had = {"Last-Event-ID": str(ended["version"])}
    assert http.get(f"/v1/jobs/{failed['job_id']}/events", headers=had).status_code == 204
    again = watched.ask(song, retry_of=failed["job_id"], model=None, stems=None).json()
    assert http.post(f"/v1/jobs/{again['job_id']}/cancel").json()["status"] == "cancelled"
    assert http.delete(f"/v1/jobs/{done['job_id']}").json()["deleted_until"]
    assert http.post(f"/v1/jobs/{done['job_id']}/restore").is_success
    change = {"filename": "Other.mp3", "tags": ["quiet"]}
    assert http.patch(f"/v1/library/{song}", json=change).json()["tags"] == ["quiet"]
    assert http.delete(f"/v1/library/{song}").json()["deleted_until"]
    assert http.post(f"/v1/library/{song}/restore").is_success
    assert http.get("/v1/credits").json()["grants"]
    assert http.get("/v1/credits/history", params={"limit": 2}).json()["items"]

    assert http.get("/v1/usage").is_success
    made = http.post("/v1/api-keys", json={"name": "robot", "scopes": ["read"]}).json()
    assert http.get("/v1/api-keys").json()["items"]
    assert http.delete(f"/v1/api-keys/{made['key_id']}").is_success
    file = {"filename": "a.mp3", "size": 1}
    assert http.post("/v1/uploads/batch", json={"uploads": [file]}).json()["items"][0]["upload"]
    some = {"jobs": [{"asset_id": song}, {"asset_id": "ast_" + "0" * 26}]}
    assert http.post("/v1/jobs/batch", json=some).json()["items"][1]["problem"]
    webhook_bodies(http)
    payment_bodies(anyone, http, till)
    operators_bodies(admin, served.application, done, ended)

    assert http.get("/v1/me").is_success
    assert http.get("/v1/me/export").is_success
    leaver = new_person()
    forget = f"/v1/admin/users/{leaver.user_id}/erase"
    assert admin.http.post(forget, json={"reason": "asked by letter"}).is_success
    mine = {"confirm": http.get("/v1/me").json()["email"]}
    assert http.request("DELETE", "/v1/me", json=mine).is_success

    succeeded = {name for name, status in document.seen if status < 304}
    # An endless answer: test_user_events holds its events to the document.
    assert succeeded == document.operations - {"followJobs"}


def payment_bodies(anyone: httpx.Client, http: httpx.Client, till: Till) -> None:
    """From the price list to a purchase that is paid."""
    packs = anyone.get("/v1/packs").json()["items"]
    made = http.post("/v1/checkout", json={"pack": packs[0]["name"]}).json()
    paid = till.pay(made["url"])
    told_all(anyone, till.events(paid["payment_intent"]))
    assert http.get("/v1/purchases").is_success
    assert http.get(f"/v1/purchases/{made['purchase_id']}").json()["status"]


def webhook_bodies(http: httpx.Client) -> None:
    """Every route of webhook endpoints; nobody delivers here."""
    made = http.post("/v1/webhook-endpoints", json={"url": "https://93.184.215.14/hook"})
    one = made.headers["location"]
    assert http.get("/v1/webhook-endpoints").json()["items"]
    assert http.get(one).is_success
    assert http.get(f"{one}/secret").json()["secret"] == made.json()["secret"]
    assert http.patch(one, json={"types": ["job.failed"]}).is_success
    assert http.post(f"{one}/rotate", json={"overlap_hours": 1}).json()["old_secret_until"]
    sent = http.post(f"{one}/test").headers["location"]
    assert http.get(f"{one}/deliveries").json()["items"]
    assert http.get(sent).json()["body"]
    assert http.post(f"{sent}/redeliver").is_success
    assert http.post(f"{one}/disable").json()["disabled"]
    assert http.post(f"{one}/enable").is_success
    assert http.delete(one).is_success


def operators_bodies(
    admin: Person, application: Application, done: dict[str, Any], failed: dict[str, Any]
) -> None:
    """Every route of operators, each with something to tell."""
    application.queue("probe").send("not ours")
    beat = Progress(1, "test", "separate", 0.5, application.clock.now())
    application.operations.report(failed["job_id"], beat)
    user_id = park(application)
    letter = f"credits/credits-{user_id}"
    flip(application, "library")
    http = admin.http
    for path in (
        "/metrics", "/v1/admin/operations", "/v1/admin/projections", "/v1/admin/dead-letters",
        f"/v1/admin/dead-letters/{letter}", f"/v1/admin/jobs/{failed['job_id']}",
        "/v1/admin/controls", "/v1/admin/usage", "/v1/admin/usage?day=2026-11-23",
        f"/v1/admin/usage/{user_id}", f"/v1/admin/streams/{done['stream']}?limit=2",
    ):  # fmt: skip
        assert http.get(path).is_success, path
    because = {"reason": "the document is being checked"}
    assert http.get(f"/v1/admin/credits/{admin.user_id}").is_success
    for path, wish in (
        (f"credits/{admin.user_id}/adjust", {"amount": 5, "source": "promotion"}),
        ("projections/library/rollback", {}),
        (f"dead-letters/{letter}/redrive", {}),
        (f"jobs/{failed['job_id']}/requeue", {}),
        (f"jobs/{failed['job_id']}/fail", {}),
        (f"jobs/{done['job_id']}/refund", {}),
        ("pause", {"subject": "projection:library", "retry_seconds": 5}),
        ("resume", {"subject": "projection:library"}),
    ):
        answer = http.post(f"/v1/admin/{path}", json={**because, **wish})
        assert answer.is_success, answer.text


def test_real_problems_fit_the_document(
    document: Document, watched: Person, new_person: Callable[[], Person]
) -> None:
    http = watched.http
    song = watched.song(seconds=101)
    short = assert_problem(watched.ask(song), 402, "not_enough_credits")
    assert (short["required"], short["available"]) == (101, 100)
    assert (short["missing"], short["pack"]) == (1, "hour")
    assert_problem(tell(http, {"id": "evt_x"}), 400, "webhook_refused")
    assert_problem(http.post("/v1/checkout", json={"pack": "none"}), 422, "unknown_pack")
    wish: dict[str, Any] = {"quote": {"price": 1, "price_list": "of old"}}
    changed = assert_problem(watched.ask(watched.song(), **wish), 409, "price_changed")
    assert changed["price"] == 10
    assert assert_problem(watched.begin(2**50), 413, "upload_too_large")["limit"] == 4 * 1024**3
    huge = {"filename": "x" * 100_000, "size": 1}
    assert_problem(http.post("/v1/uploads", json=huge), 413, "body_too_large")
    assert_problem(http.post("/v1/uploads", content=b"{"), 400, "malformed_request")
    assert_problem(http.post("/v1/uploads", json={"size": "x"}), 422, "invalid_request")
    assert_problem(http.post("/v1/uploads", data={"size": "1"}), 415, "unsupported_media_type")
    assert_problem(http.get("/v1/jobs", params={"limit": 0}), 422, "invalid_request")
    fresh = watched.upload()["asset_id"]
    assert_problem(watched.ask(fresh), 409, "asset_not_ready")
    assert_problem(new_person().http.get(f"/v1/library/{fresh}"), 404, "not_found")
    http.headers["Authorization"] = "Bearer x"
    assert_problem(http.get("/v1/credits"), 401, "unauthenticated")


def test_statuses_and_names_are_told(document: Document) -> None:
    schemas = document.text["components"]["schemas"]
    asset = ["uploading", "uploaded", "ready", "rejected", "aborted"]
    assert schemas["Asset"]["properties"]["status"]["enum"] == asset
    assert schemas["Upload"]["properties"]["status"]["enum"] == asset
    job = ["queued", "running", "completed", "failed", "cancelled"]
    assert schemas["Job"]["properties"]["status"]["enum"] == job
    assert {"startUpload", "completeUpload", "getJob", "createJob"} <= document.operations
    paths = document.text["paths"]
    assert not paths["/v1/uploads/{asset_id}/complete"]["post"]["requestBody"]["required"]
    assert paths["/v1/jobs"]["post"]["requestBody"]["required"]
    for schema in schemas.values():
        assert_schema(schema)
    told = {r["description"] for each in paths.values() for o in each.values()
            for r in o["responses"].values()}  # fmt: skip
    assert not any(text.startswith(("Request fulfilled", "Document created")) for text in told)


def test_no_stems_are_refused_and_not_taken_for_all(watched: Person) -> None:
    asset_id = watched.song()
    problem = assert_problem(watched.ask(asset_id, stems=[]), 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "#/stems"
    quoted = watched.http.post("/v1/quotes", json={"asset_id": asset_id, "stems": []})
    assert_problem(quoted, 422, "invalid_request")
    assert watched.http.get("/v1/credits").json()["reserved"] == 0


def test_a_running_api_names_what_it_offers(document: Document, anyone: httpx.Client) -> None:
    schemas = document.text["components"]["schemas"]
    sold = [pack["name"] for pack in anyone.get("/v1/packs").json()["items"]]
    assert schemas["Order"]["properties"]["pack"]["enum"] == sold
    offered = anyone.get("/v1/capabilities").json()
    asked = schemas["JobBody"]["properties"]
    assert named(asked["model"]) == [model["name"] for model in offered["models"]]
    assert named(asked["format"]) == [each["name"] for each in offered["formats"]]
    outputs = {name for model in offered["models"] for name in model["outputs"]}
    (listed,) = (way for way in asked["stems"]["anyOf"] if way["type"] == "array")
    assert set(named(listed["items"])) == outputs


def named(schema: dict[str, Any]) -> list[str]:
    """The texts that it allows."""
    (text,) = (way for way in schema.get("anyOf", [schema]) if way["type"] == "string")
    found: list[str] = text["enum"]
    return found

"""Webhooks as a person sees them: endpoints, what was delivered, and the messages themselves."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from domain.ids import derived
from handlers.deliverer.__main__ import build
from handlers.polling import consume
from infra.bootstrap import Application
from infra.settings import Settings
from projections import RESULTS_VIEW
from projections.catch_up import catch_up
from projections.doorbell import ring
from tests.handlers.api.buyers import bought
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import Person, Worker, assert_problem, client
from tests.handlers.api.till import Till
from tests.infra.webhooks.receivers import Got, Receiver, Reply, hang, receiving, talking

HOOKS = "/v1/webhook-endpoints"
UNKNOWN = derived("whk", "nobody's")


@pytest.fixture(scope="module")
def lenient(settings: Settings) -> Iterator[Served]:
    """An API that lets webhooks go to this machine, as a developer may tell the local stack."""
    allowed = replace(settings, webhook_private_networks="127.0.0.0/8")
    with serving(Application(allowed)) as running:
        yield running


@pytest.fixture(scope="module")
def delivering(lenient: Served) -> Iterator[Served]:
    """The same, with a deliverer."""
    application = Application(lenient.application.settings, "deliverer")
    stop, log = threading.Event(), structlog.get_logger()
    deliverer = build(application, log, stop)
    queue = application.queue("webhooks")
    work = [
        partial(consume, queue, deliverer.announcer, stop, 1, log),
        partial(deliverer.rounds.run, stop),
    ]
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    yield lenient
    stop.set()
    for thread in threads:
        thread.join(20)


@pytest.fixture
def owner(person: Person, lenient: Served) -> Iterator[Person]:
    """A person at the lenient API."""
    token = person.http.headers["Authorization"]
    with client(lenient.url, Authorization=token) as http:
        yield Person(http, Worker(lenient.application), person.user_id)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that thanks."""
    with receiving() as running:
        yield running


def add(person: Person, url: str, *types: str) -> dict[str, Any]:
    answer = person.http.post(HOOKS, json={"url": url, "types": types})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def path(endpoint: dict[str, Any], *more: str) -> str:
    return "/".join((HOOKS, endpoint["endpoint_id"], *more))


def relay(served: Served, *streams: str) -> None:
    """What the relay does with the streams' commits."""
    for stream in streams:
        served.application.bus.publish([ring(c) for c in served.application.store.read(stream)])


def settled(person: Person, endpoint: dict[str, Any], message: str) -> dict[str, Any]:
    """The delivery, once it was attempted."""
    deadline = time.monotonic() + 15
    while True:
        found: dict[str, Any] = person.http.get(path(endpoint, "deliveries", message)).json()
        if found["attempts"] and found["status"] != "pending":
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_an_endpoint_from_beginning_to_end(owner: Person, receiver: Receiver) -> None:
    answer = owner.http.post(HOOKS, json={"url": receiver.url, "types": ["job.failed"]})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == path(made)
    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["types"], made["disabled"]) == (receiver.url, ["job.failed"], None)
    shown = owner.http.get(path(made))
    assert shown.json() == {k: v for k, v in made.items() if k != "secret"}
    known = {"If-None-Match": shown.headers["etag"]}
    assert owner.http.get(path(made), headers=known).status_code == 304
    assert owner.http.get(HOOKS).json() == {"items": [shown.json()]}
    assert owner.http.get(path(made, "secret")).json()["secret"] == made["secret"]
    changed = owner.http.patch(path(made), json={"types": ["job.completed", "job.failed"]}).json()
    assert changed["types"] == ["job.completed", "job.failed"]
    assert changed["url"] == receiver.url
    assert owner.http.patch(path(made), json={"types": []}).json()["types"] == []
    moved = owner.http.patch(path(made), json={"url": receiver.url + "2"}).json()
    assert moved["url"] == receiver.url + "2"
    assert owner.http.post(path(made, "disable")).json()["disabled"] == "asked"
    assert owner.http.post(path(made, "disable")).json()["disabled"] == "asked"
    assert owner.http.post(path(made, "enable")).json()["disabled"] is None
    for _ in range(2):
        assert owner.http.delete(path(made)).status_code == 204
    assert_problem(owner.http.get(path(made)), 404, "not_found")
    assert owner.http.get(HOOKS).json() == {"items": []}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9000/", "private_address"), ("https://127.0.0.1/", "private_address"),
        ("https://[::1]/", "private_address"), ("https://localhost/", "private_address"),
        ("https://169.254.169.254/latest/meta-data/", "private_address"),
        ("https://[::ffff:127.0.0.1]/", "private_address"),
        ("https://10.0.0.1/", "private_address"),
        ("https://2130706433/", "malformed"), ("https://0177.0.0.1/", "malformed"),
        ("https://0x7f.1/", "malformed"), ("https://[fe80::1%25lo]/", "malformed"),
        ("http://93.184.215.14/", "insecure"), ("ftp://93.184.215.14/", "malformed"),
        ("https://u:p@93.184.215.14/", "credentials"), ("https://93.184.215.14:22/", "port"),
        ("https://no-such-host.invalid/", "unresolved"),
    ],
)  # fmt: skip
def test_addresses_that_are_refused(person: Person, url: str, reason: str) -> None:
    problem = assert_problem(
        person.http.post(HOOKS, json={"url": url}), 422, "webhook_address_refused"
    )
    assert (problem["reason"], problem["errors"][0]["pointer"]) == (reason, "#/url")
    assert person.http.get(HOOKS).json() == {"items": []}
    made = add(person, "https://93.184.215.14/hook")
    assert_problem(person.http.patch(path(made), json={"url": url}), 422, "webhook_address_refused")
    assert person.http.get(path(made)).json()["url"] == "https://93.184.215.14/hook"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": ""}, {"url": 1}, {"url": "https://93.184.215.14/", "types": ["job.exploded"]},
        {"url": "https://93.184.215.14/", "types": "job.failed"},
        {"url": "https://93.184.215.14/", "x": 1},
        {"url": "https://93.184.215.14/", "types": ["job.failed"] * 50},
    ],
)  # fmt: skip
def test_what_is_no_endpoint(person: Person, body: dict[str, Any]) -> None:
    assert_problem(person.http.post(HOOKS, json=body), 422, "invalid_request")
    assert person.http.get(HOOKS).json() == {"items": []}


def test_ten_are_enough(owner: Person, receiver: Receiver) -> None:
    made = [add(owner, receiver.url) for _ in range(10)]
    problem = assert_problem(
        owner.http.post(HOOKS, json={"url": receiver.url}), 409, "not_allowed_now"
    )
    assert "10 webhook endpoints" in problem["detail"]
    owner.http.delete(path(made[0]))
    add(owner, receiver.url)


def test_the_same_key_gives_the_same_endpoint_and_secret(owner: Person, receiver: Receiver) -> None:
    send = partial(
        owner.http.post, HOOKS, json={"url": receiver.url}, headers={"Idempotency-Key": "k"}
    )
    first, second = send().json(), send().json()
    assert first == second
    assert len(owner.http.get(HOOKS).json()["items"]) == 1


def test_nobody_elses(
    owner: Person, new_person: Callable[[], Person], delivering: Served, receiver: Receiver
) -> None:
    made, stranger = add(owner, receiver.url), new_person()
    sent = owner.http.post(path(made, "test")).json()
    http = stranger.http
    answers = [
        http.get(path(made)), http.get(path(made, "secret")), http.get(path(made, "deliveries")),
        http.get(path(made, "deliveries", sent["message_id"])),
        http.patch(path(made), json={"types": []}), http.post(path(made, "rotate"), json={}),
        http.post(path(made, "disable")), http.post(path(made, "enable")),
        http.post(path(made, "test")),
        http.post(path(made, "deliveries", sent["message_id"], "redeliver")),
    ]  # fmt: skip
    for answer in answers:
        assert_problem(answer, 404, "not_found")
    assert http.delete(path(made)).status_code == 204
    assert owner.http.get(path(made)).is_success
    for wrong in ("nonsense", UNKNOWN, "whk_1", "job_" + UNKNOWN[4:]):
        assert_problem(owner.http.get(f"{HOOKS}/{wrong}"), 404, "not_found")
        assert_problem(owner.http.get(f"{HOOKS}/{wrong}/deliveries"), 404, "not_found")
        assert_problem(owner.http.get(path(made, "deliveries", wrong)), 404, "not_found")
        assert_problem(
            owner.http.post(path(made, "deliveries", wrong, "redeliver")), 404, "not_found"
        )


def test_a_job_is_told_from_its_request_to_its_end(
    owner: Person, delivering: Served, receiver: Receiver
) -> None:
    made = add(owner, receiver.url)
    job = owner.job()
    owner.worker.finish(job, owner.user_id)
    relay(delivering, f"asset-{job['asset_id']}", job["stream"])
    relay(delivering, job["stream"])  # once more, as a bus may
    got = {json.loads(each.body)["type"]: each for each in receiver.wait(4)}
    assert got.keys() == {"asset.ready", "job.queued", "job.started", "job.completed"}
    for each in got.values():
        assert each.verified_by(made["secret"])
        assert each.headers["content-type"] == "application/json"
    bodies = {kind: json.loads(each.body)["data"] for kind, each in got.items()}
    told = bodies["job.completed"]
    # What a receiver was told of is there for whoever asks with that version.
    params = {"min_version": told["version"]}
    now = owner.http.get(f"/v1/jobs/{job['job_id']}", params=params).json()
    assert told.keys() == now.keys()
    assert (told["stream"], told["version"]) == (now["stream"], now["version"])
    assert told["status"] == "completed"
    assert [stem["name"] for stem in told["stems"]] == [stem["name"] for stem in now["stems"]]
    assert {stem["url"] for stem in told["stems"]} == {None}
    versions = [bodies[f"job.{name}"]["version"] for name in ("queued", "started", "completed")]
    assert versions == sorted(set(versions))
    log = owner.http.get(path(made, "deliveries")).json()
    assert log["cursor"] is None
    assert {each["message_id"] for each in log["items"]} == {g.message_id for g in got.values()}
    delivery = settled(owner, made, got["job.completed"].message_id)
    assert delivery["body"].encode() == got["job.completed"].body
    assert (delivery["status"], delivery["next_attempt_at"]) == ("delivered", None)
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["excerpt"], attempt["error"]) == (200, "thanks", "")
    assert len(receiver.got) == 4


def test_a_purchase_is_told_when_it_is_paid(
    owner: Person, delivering: Served, receiver: Receiver, till: Till
) -> None:
    made = add(owner, receiver.url, "purchase.paid")
    purchase = bought(owner, till)
    relay(delivering, purchase["stream"])
    (got,) = receiver.wait(1)
    body = json.loads(got.body)
    assert body["type"] == "purchase.paid"
    assert body["data"]["purchase_id"] == purchase["purchase_id"]
    assert body["data"]["status"] == "paid"
    assert got.verified_by(made["secret"])


def test_a_test_message_goes_the_way_of_all(
    owner: Person, delivering: Served, receiver: Receiver
) -> None:
    made = add(owner, receiver.url, "job.failed")
    answer = owner.http.post(path(made, "test"))
    sent = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == path(made, "deliveries", sent["message_id"])
    assert (sent["status"], sent["type"], sent["attempts"]) == ("pending", "webhook.test", [])
    (got,) = receiver.wait(1)
    assert got.message_id == sent["message_id"]
    assert got.verified_by(made["secret"])
    assert json.loads(got.body)["data"]["endpoint_id"] == made["endpoint_id"]
    assert settled(owner, made, sent["message_id"])["status"] == "delivered"


def test_redelivery_sends_the_same_message_again(
    owner: Person, delivering: Served, receiver: Receiver
) -> None:
    made = add(owner, receiver.url)
    sent = owner.http.post(path(made, "test")).json()["message_id"]
    settled(owner, made, sent)
    answer = owner.http.post(path(made, "deliveries", sent, "redeliver"))
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    first, second = receiver.wait(2)
    assert (first.message_id, first.body) == (second.message_id, second.body)
    assert second.verified_by(made["secret"])
    owner.http.post(path(made, "disable"))
    for refused in (path(made, "test"), path(made, "deliveries", sent, "redeliver")):
        assert_problem(owner.http.post(refused), 409, "not_allowed_now")


def test_while_a_secret_is_rotated_both_verify(
    owner: Person, delivering: Served, receiver: Receiver
) -> None:
    made = add(owner, receiver.url)
    rotated = owner.http.post(path(made, "rotate"), json={"overlap_hours": 1}).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] is not None
    owner.http.post(path(made, "test"))
    (got,) = receiver.wait(1)
    assert got.verified_by(made["secret"])
    assert got.verified_by(rotated["secret"])
    at_once = owner.http.post(path(made, "rotate"), json={"overlap_hours": 0}).json()
    assert at_once["old_secret_until"] is None
    owner.http.post(path(made, "test"))
    _, got = receiver.wait(2)
    assert not got.verified_by(rotated["secret"])
    assert got.verified_by(at_once["secret"])
    for hours in (-1, 169, 1.5, "1"):
        body = {"overlap_hours": hours}
        assert_problem(owner.http.post(path(made, "rotate"), json=body), 422, "invalid_request")


def test_dead_and_hanging_endpoints_hold_nobody_up(
    owner: Person, delivering: Served, receiver: Receiver
) -> None:
    moved = Reply(302, {"Location": receiver.url})
    with talking(hang) as hanging, receiving(lambda _: moved) as other:
        hangs = [add(owner, f"http://127.0.0.1:{hanging}/{n}") for n in range(5)]
        redirects, good = add(owner, other.url), add(owner, receiver.url)
        for each in (*hangs, redirects):
            owner.http.post(path(each, "test"))
        begun = time.monotonic()
        for _ in range(3):
            owner.http.post(path(good, "test"))
        assert len(receiver.wait(3, 10)) == 3
        assert time.monotonic() - begun < 10
        other.wait(1)
        deadline = time.monotonic() + 10
        while not owner.http.get(path(redirects)).json()["failures"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (failed,) = owner.http.get(path(redirects, "deliveries")).json()["items"]
        assert (failed["status"], failed["attempts"][0]["status"]) == ("pending", 302)
        assert failed["next_attempt_at"]
        assert owner.http.get(path(redirects)).json()["failing_since"]
        # Whoever goes no longer listens for the rest of this test run.
        for each in (*hangs, redirects):
            owner.http.delete(path(each))
    assert {got.path for got in receiver.got} == {"/hook"}
    assert len(receiver.got) == 3


def test_the_log_is_paged(owner: Person, delivering: Served, receiver: Receiver) -> None:
    made = add(owner, receiver.url)
    sent = []
    for _ in range(5):
        sent.append(owner.http.post(path(made, "test")).json()["message_id"])
        time.sleep(0.002)
    receiver.wait(5)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = owner.http.get(path(made, "deliveries"), params=params).json()
        seen += [each["message_id"] for each in page["items"]]
        assert "body" not in page["items"][0]
        cursor = page["cursor"]
        if cursor is None:
            break
        last = cursor
    assert seen == sent[::-1]
    other = add(owner, receiver.url)
    foreign = owner.http.get(path(other, "deliveries"), params={"cursor": last})
    assert_problem(foreign, 422, "invalid_request")


def test_who_answers_410_is_disabled(owner: Person, delivering: Served) -> None:
    def gone(_: Got) -> Reply:
        return Reply(410)

    with receiving(gone) as receiver:
        made = add(owner, receiver.url)
        sent = owner.http.post(path(made, "test")).json()["message_id"]
        assert settled(owner, made, sent)["status"] == "failed"
        assert owner.http.get(path(made)).json()["disabled"] == "gone"
        receiver.reply = lambda _: Reply(204, body=b"")
        assert owner.http.post(path(made, "enable")).json()["disabled"] is None
        owner.http.post(path(made, "deliveries", sent, "redeliver"))
        receiver.wait(2)
        assert settled(owner, made, sent)["status"] == "delivered"


def test_a_reused_result_is_queued_and_completed_by_one_commit(
    owner: Person, delivering: Served, receiver: Receiver
) -> None:
    song = owner.song(digest=uuid.uuid4().hex * 2)
    first = owner.ask(song).json()
    owner.worker.deliver(first, owner.user_id)
    catch_up(RESULTS_VIEW, first["stream"], delivering.application.reading)
    add(owner, receiver.url, "job.queued", "job.completed")
    again = owner.ask(song).json()
    assert again["reused_from"] == first["job_id"]
    relay(delivering, again["stream"])
    told = {(b := json.loads(each.body))["type"]: b["data"] for each in receiver.wait(2)}
    assert (told["job.queued"]["status"], told["job.queued"]["version"]) == ("queued", 1)
    assert told["job.completed"]["status"] == "completed"
    assert told["job.completed"]["version"] == again["version"]

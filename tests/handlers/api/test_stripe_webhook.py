"""Who may tell us of money, and how often."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from domain.purchase import PURCHASE
from infra.bootstrap import Application
from infra.local.ports import free_port
from infra.settings import Settings
from tests.handlers.api.buyers import account, opened, purchase
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.people import Person, assert_problem, client, sign_in
from tests.handlers.api.till import SECRET, WEBHOOK, Till, signed, standing_in, tell

EVENT = {"id": "evt_1", "object": "event", "type": "product.created", "data": {"object": {}}}
BODY = msgspec.json.encode(EVENT)


def post(http: httpx.Client, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return http.post(WEBHOOK, content=body, headers=headers)


def test_a_signature_is_all_the_access_it_takes(anyone: httpx.Client) -> None:
    assert post(anyone, *signed(BODY)).json() == {"received": True}
    assert_problem(anyone.get(WEBHOOK), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "header",
    [
        "", "t=1", "v1=abc", "t=1,v1=", "nonsense", "t=1,v1=\xff", "t=" + "9" * 5000 + ",v1=a",
        "t=-1,v1=ab", "t=1.5,v1=ab", "t=\xb2,v1=ab", ",,,=,=", "t=1,v0=abc",
    ],
)  # fmt: skip
def test_a_header_that_is_no_signature(anyone: httpx.Client, header: str) -> None:
    sent = {"Stripe-Signature": header.encode("latin-1")}
    answer = anyone.post(WEBHOOK, content=BODY, headers=sent)  # type: ignore[arg-type]
    assert_problem(answer, 400, "webhook_refused")


def test_forged_stale_and_changed_webhooks(anyone: httpx.Client) -> None:
    body, headers = signed(BODY)
    problem = assert_problem(post(anyone, BODY, {}), 400, "webhook_refused")
    assert "no Stripe-Signature" in problem["detail"]
    for forged in (signed(BODY, "whsec_other")[1], {**headers, "Stripe-Signature": "t=1,v1=ab"}):
        refused = assert_problem(post(anyone, body, forged), 400, "webhook_refused")
        assert "not by this endpoint's secret" in refused["detail"]
    for place in (0, len(body) // 2, len(body) - 1):
        changed = bytearray(body)
        changed[place] ^= 1
        assert_problem(post(anyone, bytes(changed), headers), 400, "webhook_refused")
    assert_problem(post(anyone, body + b" ", headers), 400, "webhook_refused")
    for age in (301, 86_400, -301):
        late = signed(BODY, at=time.time() - age)
        stale = assert_problem(post(anyone, *late), 400, "webhook_refused")
        assert "are tolerated" in stale["detail"]
    assert post(anyone, *signed(BODY, at=time.time() - 290)).is_success
    # Nobody is told what would have been right.
    assert SECRET not in refused["detail"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'"x"', b'{"id": 1}', b"[" * 100_000, b"\xff\xfe",
     b'{"id": "evt_1", "type": "charge.refunded", "data": null}',
     b'{"id": "evt_1", "type": "charge.refunded", "data": {"object": {}}}',
     b'{"id": "evt_1", "type": "charge.refunded", "data": {"object": {"id": "ch_1",'
     b' "amount_refunded": "1.5"}}}',
     b'{"id": "evt_1", "type": "refund.created", "data": {"object": {"id": []}}}'],
)  # fmt: skip
def test_garbage_with_a_valid_signature(anyone: httpx.Client, body: bytes) -> None:
    text = body.decode("latin-1").encode()
    assert_problem(post(anyone, *signed(text)), 400, "webhook_refused")


@pytest.mark.parametrize(
    ("kind", "told"),
    [("charge.dispute.created", {"amount": -100}), ("refund.created", {"amount": -(2**70)}),
     ("charge.refunded", {"amount_refunded": -1}), ("refund.created", {"amount": 0.5}),
     ("charge.dispute.created", {"amount": 10**30}), ("refund.created", {"id": ""}),
     ("refund.updated", {"id": "r" * 256}), ("charge.dispute.closed", {"status": "s" * 256}),
     ("charge.refunded", {"metadata": {"purchase_id": "p" * 501}})],
)  # fmt: skip
def test_signed_objects_that_no_account_at_stripe_has(
    anyone: httpx.Client, kind: str, told: dict[str, Any]
) -> None:
    about = {"id": "x_1", "status": "needs_response", **told}
    answer = tell(anyone, {**EVENT, "type": kind, "data": {"object": about}})
    assert_problem(answer, 400, "webhook_refused")


def test_bytes_that_are_no_text(anyone: httpx.Client) -> None:
    _, headers = signed(BODY)
    assert_problem(post(anyone, b"\xff" * 10, headers), 400, "webhook_refused")


def test_a_body_over_the_limit(anyone: httpx.Client) -> None:
    large = msgspec.json.encode({**EVENT, "padding": "x" * 200_000})
    assert post(anyone, *signed(large)).is_success
    huge = msgspec.json.encode({**EVENT, "padding": "x" * 300_000})
    assert_problem(post(anyone, *signed(huge)), 413, "body_too_large")


def test_two_secrets_while_they_are_rotated(settings: Settings) -> None:
    both = replace(settings, stripe_webhook_secrets=f" whsec_new , {SECRET},")
    with serving(Application(both)) as running, client(running.url) as http:
        assert post(http, *signed(BODY, "whsec_new")).is_success
        assert post(http, *signed(BODY, SECRET)).is_success
        assert_problem(post(http, *signed(BODY, "whsec_old")), 400, "webhook_refused")
        assert_problem(post(http, *signed(BODY, "")), 400, "webhook_refused")


def test_what_is_not_ours_is_acknowledged(anyone: httpx.Client, till: Till) -> None:
    session: dict[str, Any] = {"id": "cs_1", "status": "complete", "payment_status": "paid"}
    metadata: list[Any] = [None, {}, {"purchase_id": "42"}, {"order": "1"}]
    for told in metadata:
        event = {**EVENT, "type": "checkout.session.completed"}
        answer = tell(anyone, event | {"data": {"object": {**session, "metadata": told}}})
        assert answer.json() == {"received": True}
    for kind, about in (
        ("charge.refunded", {"id": "ch_1", "amount_refunded": 1}),
        ("refund.created", {"id": "re_1", "payment_intent": "pi_unknown"}),
        ("refund.created", {"id": "re_1", "payment_intent": None}),
        ("charge.dispute.created", {"id": "du_1", "payment_intent": {"id": "pi_expanded"}}),
        ("something.entirely.new", {"id": "x"}),
        ("", {}),
    ):
        event = {**EVENT, "type": kind, "data": {"object": about}}
        assert tell(anyone, event).json() == {"received": True}, kind


def test_a_purchase_that_is_not_on_record_is_sent_again(
    anyone: httpx.Client, served: Served
) -> None:
    purchase_id = served.application.ids.fresh("pur")
    session = {"id": "cs_1", "status": "complete", "payment_status": "paid",
               "metadata": {"purchase_id": purchase_id}}  # fmt: skip
    event = {**EVENT, "type": "checkout.session.completed", "data": {"object": session}}
    answer = tell(anyone, event)
    assert assert_problem(answer, 409, "purchase_unknown")["retryable"]
    assert answer.headers["retry-after"] == "5"


def test_an_event_for_another_users_session(
    person: Person, new_person: Any, till: Till, served: Served
) -> None:
    stranger = new_person()
    made = opened(person)
    paid = till.pay(made["url"])
    right = till.events(paid["payment_intent"])[-1]
    assert right["type"] == "checkout.session.completed"
    for change in (
        {"metadata": {**paid["metadata"], "user_id": stranger.user_id}},
        {"client_reference_id": stranger.user_id},
        {"id": "cs_test_other"},
        {"amount_total": 1},
        {"amount_total": None},
        {"currency": "jpy"},
    ):
        wrong = {**right, "id": f"evt_{len(str(change))}"}
        wrong["data"] = {"object": {**right["data"]["object"], **change}}
        assert tell(person.http, wrong).json() == {"received": True}
        assert account(person)["available"] == account(stranger)["available"] == 100
    shown = purchase(person, made)
    assert (shown["status"], shown["in_question"]) == ("open", True)
    questions = served.application.store.load(PURCHASE, made["stream"]).state.questions
    assert any(stranger.user_id in question for question in questions)
    # What was agreed still counts when it is told.
    assert tell(person.http, right).is_success
    assert account(person)["available"] == 3700


def test_the_same_webhook_fifty_times_at_once(person: Person, till: Till, served: Served) -> None:
    made = opened(person)
    event = till.events(till.pay(made["url"])["payment_intent"])[-1]
    with client(served.url) as http, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: tell(http, event), range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 409}
    assert all(a.is_success or a.json()["retryable"] for a in answers)
    assert statuses[200] > 0
    told = account(person)
    assert (told["available"], told["granted"]) == (3700, 3700)
    paid = served.application.store.load(PURCHASE, made["stream"])
    assert paid.version == 2
    commit = list(served.application.store.read(f"credits-{person.user_id}"))[-1]
    assert (commit.actor, commit.cause) == ("stripe", event["id"])


def test_stripe_delivers_by_itself(settings: Settings, tmp_path: Any) -> None:
    port = free_port(None)
    hook = f"http://127.0.0.1:{port}{WEBHOOK}"
    with standing_in(tmp_path, hook, settle_seconds=0) as till:
        own = replace(settings, **till.settings())
        with serving(Application(own), port) as running, client(running.url) as http:
            token, _ = sign_in(running.application, "buyer@example.org")
            http.headers["Authorization"] = f"Bearer {token}"
            made = http.post("/v1/checkout", json={"pack": "hour"}).json()
            till.pay(made["url"], "bank")
            deadline = time.monotonic() + 15
            while http.get("/v1/credits").json()["available"] < 3600:
                assert time.monotonic() < deadline, "nothing came"
                time.sleep(0.1)

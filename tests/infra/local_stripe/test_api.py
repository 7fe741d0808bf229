"""The API's manners: keys, idempotency, paging, errors; and who may press buttons."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
import stripe

from infra.local.stripe import control
from infra.local.stripe.errors import Refused
from infra.local.stripe.forms import nested
from infra.local.stripe.idempotency import Running
from infra.local.stripe.pages import minor_units, money
from tests.infra.local_stripe.conftest import Server, Shop


def test_a_wrong_key_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.AuthenticationError) as refused:
        shop.with_key("sk_test_wrong").v1.checkout.sessions.list()
    assert refused.value.http_status == 401
    assert httpx.get(f"{shop.server.url}/v1/charges", trust_env=False).status_code == 401


def test_an_idempotency_key_is_answered_once(shop: Shop) -> None:
    create = shop.client.v1.checkout.sessions.create
    first = create(params=shop.params(), options={"idempotency_key": "k-1"})
    again = create(params=shop.params(), options={"idempotency_key": "k-1"})
    assert again.id == first.id
    assert again.last_response
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert first.last_response
    assert "Idempotent-Replayed" not in first.last_response.headers
    with pytest.raises(stripe.IdempotencyError) as refused:
        create(params=shop.params(950), options={"idempotency_key": "k-1"})
    assert refused.value.http_status == 400


def test_a_refusal_of_the_state_is_kept_and_one_of_the_form_is_not(shop: Shop) -> None:
    create = shop.client.v1.checkout.sessions.create
    with pytest.raises(stripe.InvalidRequestError):
        create(params=shop.params(0), options={"idempotency_key": "k-2"})
    assert create(params=shop.params(), options={"idempotency_key": "k-2"}).id
    session = shop.session()
    expire = shop.client.v1.checkout.sessions.expire
    expire(session.id)
    for replayed in (None, "true"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            expire(session.id, options={"idempotency_key": "k-3"})
        assert (refused.value.headers or {}).get("Idempotent-Replayed") == replayed


def test_a_key_in_use_conflicts() -> None:
    running = Running()
    with running.only("k"), pytest.raises(Refused) as refused, running.only("k"):
        pass
    assert refused.value.status == 409
    with running.only("k"):
        pass


def test_lists_page_and_filter(shop: Shop) -> None:
    began = int(time.time())
    made = [shop.session(100 + n).id for n in range(5)]
    sessions = shop.client.v1.checkout.sessions
    page = sessions.list(params={"limit": 2, "created": {"gte": began}})
    assert page.has_more
    assert [s.id for s in page.data] == made[::-1][:2]
    walked = sessions.list(params={"limit": 2, "created": {"gte": began, "lte": began + 60}})
    assert [s.id for s in walked.auto_paging_iter()][:5] == made[::-1]
    older = sessions.list(params={"limit": 2, "starting_after": made[2]})
    assert [s.id for s in older.data] == [made[1], made[0]]
    newer = sessions.list(params={"limit": 2, "ending_before": made[1]})
    assert [s.id for s in newer.data] == [made[3], made[2]]
    assert newer.has_more
    assert not sessions.list(params={"created": {"lt": 1000}}).data

    control.pay(str(shop.get(made[0]).url))
    payment = shop.payment_of(made[0])
    assert [s.id for s in sessions.list(params={"payment_intent": payment}).data] == [made[0]]
    assert not sessions.list(params={"payment_intent": "pi_unknown"}).data
    events = shop.client.v1.events.list(
        params={"created": {"gt": began - 1}, "types": ["checkout.session.completed"], "limit": 1}
    )
    (event,) = events.data
    assert event.data.object["id"] == made[0]
    assert shop.client.v1.events.retrieve(event.id).type == "checkout.session.completed"


def wrong(**changed: Any) -> dict[str, Any]:
    return changed


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        (wrong(mode="subscription"), "mode"),
        (wrong(nonsense="1"), "nonsense"),
        (wrong(line_items=[]), "line_items"),
        (wrong(success_url="javascript:alert(1)"), "success_url"),
        (wrong(success_url="http://x/\nSet-Cookie: a"), "success_url"),
        (wrong(expires_at=1), "expires_at"),
        (wrong(metadata={"k": "v" * 501}), "metadata[k]"),
    ],
)
def test_what_is_wrong_is_named(shop: Shop, changed: dict[str, Any], param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.checkout.sessions.create(params=shop.params() | changed)
    assert (refused.value.http_status, refused.value.param) == (400, param)


@pytest.mark.parametrize("amount", [49, 0, -900, 100_000_000])
def test_amounts_have_limits(shop: Shop, amount: int) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        shop.session(amount)


@pytest.mark.parametrize("currency", ["EUR", "euro", "", "e1r"])
def test_currencies_have_three_letters(shop: Shop, currency: str) -> None:
    params = shop.params()
    params["line_items"][0]["price_data"]["currency"] = currency
    with pytest.raises(stripe.InvalidRequestError):
        shop.client.v1.checkout.sessions.create(params=params)


def test_what_is_not_there_is_404(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.get("cs_test_nothing")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.customers.list()
    assert refused.value.http_status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
def test_other_pages_press_no_buttons(shop: Shop, headers: dict[str, str]) -> None:
    session = shop.session()
    for url, form in (
        (str(session.url), {"how": "card"}),
        (f"{shop.server.url}/act/expire", {"id": session.id}),
    ):
        answer = httpx.post(url, data=form, headers=headers, trust_env=False)
        assert answer.status_code == 403
    assert shop.get(session.id).status == "open"


def test_our_own_pages_and_programs_do(shop: Shop) -> None:
    for headers in ({"Origin": shop.server.url, "Sec-Fetch-Site": "same-origin"}, {}):
        session = shop.session()
        form = {"id": session.id}
        answer = httpx.post(
            f"{shop.server.url}/act/expire", data=form, headers=headers, trust_env=False
        )
        assert answer.status_code == 303
        assert shop.get(session.id).status == "expired"


def test_a_button_that_fails_says_why(shop: Shop) -> None:
    session = shop.session()
    with pytest.raises(control.ButtonFailed, match="has not succeeded"):
        control.refund(shop.server.url, session.id)
    with pytest.raises(control.ButtonFailed, match="No such"):
        control.pay(f"{shop.server.url}/c/pay/cs_test_x")
    with pytest.raises(control.ButtonFailed, match="is the stack up"):
        control.pay("http://127.0.0.1:1/c/pay/cs_test_x")


def test_a_rebound_name_reads_nothing(server: Server) -> None:
    for path in ("/", "/v1/events", "/healthz"):
        answer = httpx.get(server.url + path, headers={"Host": "rebound.example"}, trust_env=False)
        assert answer.status_code == 403


def test_pages_show_names_as_text(shop: Shop) -> None:
    evil = '<script>alert("1")</script>'
    params = shop.params(customer_email='a"><img src=x>@example.org')
    params["line_items"][0]["price_data"]["product_data"] = {"name": evil, "description": evil}
    session = shop.client.v1.checkout.sessions.create(params=params)
    for path in (str(session.url), shop.server.url):
        answer = httpx.get(path, trust_env=False)
        assert answer.status_code == 200
        assert evil not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "<img" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "no real money" in answer.text.lower()


def test_a_page_says_how_it_ended(shop: Shop) -> None:
    session = shop.session()
    url = str(session.url)
    assert "Pay €9.00" in httpx.get(url, trust_env=False).text
    control.pay(url)
    assert "€9.00 paid" in httpx.get(url, trust_env=False).text
    result = f"{shop.server.url}/c/result"
    assert "€9.00 paid" in httpx.get(f"{result}?session_id={session.id}", trust_env=False).text
    assert "close this page" in httpx.get(result, trust_env=False).text
    unknown = httpx.get(f"{shop.server.url}/c/pay/cs_test_x", trust_env=False)
    assert unknown.status_code == 404
    wrong = httpx.post(
        f"{shop.server.url}/act/refund",
        data={"id": shop.payment_of(session.id), "amount": "9,999"},
        trust_env=False,
    )
    assert (wrong.status_code, "is not an amount" in wrong.text) == (400, True)


def test_amounts_as_people_write_them() -> None:
    assert money(123456, "eur") == "€1,234.56"
    assert money(900, "chf") == "9.00 CHF"
    assert money(900, "jpy") == "900 JPY"
    assert minor_units("", "eur") is None
    assert [minor_units(text, "eur") for text in ("4.50", "4,5", "4")] == [450, 450, 400]
    for text in ("4.505", "-1", "x", "1e3", "٤"):
        with pytest.raises(Refused):
            minor_units(text, "eur")
    with pytest.raises(Refused):
        minor_units("4.5", "jpy")


def test_forms_nest() -> None:
    assert nested("a[b][0][c]=1&a[b][1][c]=2&e[]=x&e[]=y&metadata[7]=z") == {
        "a": {"b": [{"c": "1"}, {"c": "2"}]},
        "e": ["x", "y"],
        "metadata": {"7": "z"},
    }
    for text in ("a=1&a[b]=2", "a[b][c][d][e][f][g]=1", "&".join("a=1" for _ in range(1000))):
        with pytest.raises(Refused):
            nested(text)

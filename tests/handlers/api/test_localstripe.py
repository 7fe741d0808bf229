"""An independent check: localstripe, a stand-in that others wrote, and our side of the wire.

It has payment intents, refunds and webhooks of its own making; it has no checkout sessions.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from commands import OpenCheckout, RecordPayment, execute
from domain.commit import Meta
from domain.errors import Unavailable
from domain.purchase import PURCHASE, Payment
from handlers.paying.buying import shop
from infra.bootstrap import Application
from infra.local.ports import free_port
from infra.settings import Settings
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.till import WEBHOOK, tell

pytest.importorskip("localstripe")
SECRET = "whsec_localstripe"
KEY = "sk_test_localstripe"


class Independent(msgspec.Struct, frozen=True):
    """A running localstripe, and what it logs."""

    url: str
    log: Path

    def post(self, path: str, **form: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx.post(
            self.url + path, data=form, headers=headers, trust_env=False, verify=False
        )
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json() if answer.content else {}
        return made

    def delivered(self, line: str) -> None:
        """Wait for its log to say so."""
        deadline = time.monotonic() + 20
        while line not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def independent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Independent]:
    """localstripe as a child process on a free port."""
    port, log = free_port(None), tmp_path_factory.mktemp("localstripe") / "log"
    url = f"http://localhost:{port}"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/js.stripe.com/v3/", trust_env=False, verify=False)
                break
            except httpx.HTTPError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield Independent(url, log)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def there(settings: Settings, independent: Independent) -> Iterator[Served]:
    """Our API with localstripe for Stripe."""
    own = replace(
        settings,
        stripe_api_base=independent.url,
        stripe_api_key=KEY,
        stripe_webhook_secrets=SECRET,
    )
    with serving(Application(own)) as running:
        yield running


def paid(independent: Independent, **metadata: str) -> str:
    """A payment intent that was paid."""
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    form = {f"card[{name}]": value for name, value in card.items()}
    method = independent.post("/v1/payment_methods", type="card", **form)["id"]
    form = {f"metadata[{name}]": value for name, value in metadata.items()}
    made = independent.post(
        "/v1/payment_intents", amount=390, currency="eur", payment_method=method, confirm="true",
        **form,
    )  # fmt: skip
    assert made["status"] == "succeeded"
    return str(made["id"])


def test_its_webhooks_are_verified_by_us(there: Served, independent: Independent) -> None:
    hook = {"url": there.url + WEBHOOK, "secret": SECRET}
    independent.post("/_config/webhooks/ours", **hook)
    paid(independent)
    independent.delivered('webhook "payment_intent.succeeded" successfully delivered')
    independent.post("/_config/webhooks/ours", **{**hook, "secret": "whsec_forged"})
    paid(independent)
    independent.delivered('webhook "payment_intent.succeeded" failed with response code 400')


def test_our_client_reads_its_payments_and_refunds(there: Served, independent: Independent) -> None:
    payments = shop(there.application)
    ours = there.application.ids.fresh("pur")
    payment_id = paid(independent, purchase_id=ours)
    payment = payments.payment(payment_id)
    assert payment is not None
    assert payment.status == "succeeded"
    assert payment.metadata == {"purchase_id": ours}
    made = independent.post("/v1/refunds", payment_intent=payment_id, amount=90)
    refund = payments.refund(made["id"])
    assert refund is not None
    assert (refund.amount, refund.status, refund.payment_intent) == (90, "succeeded", payment_id)
    assert payments.payment("pi_none") is None
    assert payments.refund("re_none") is None
    with pytest.raises(Unavailable, match="500"):
        next(payments.refunds(0))  # its lists take no times, and break in plain text


def test_a_refund_finds_its_purchase_by_its_payment(
    there: Served, independent: Independent
) -> None:
    application = there.application
    user_id, purchase_id = application.ids.fresh("usr"), application.ids.fresh("pur")
    pack = application.packs["hour"]
    payment_id = paid(independent, purchase_id=purchase_id)
    payment = Payment("cs_1", user_id, payment_id, pack.amount, pack.currency)
    for command in (
        OpenCheckout(user_id, purchase_id, "cs_1", pack), RecordPayment(purchase_id, payment),
    ):  # fmt: skip
        execute(application.context, command, Meta(application.ids.fresh("cmd"), "test"))
    made = independent.post("/v1/refunds", payment_intent=payment_id, amount=195)
    event = {"id": "evt_1", "type": "refund.created", "data": {"object": made}}
    with httpx.Client(base_url=there.url, trust_env=False, verify=False) as http:
        assert tell(http, event, secret=SECRET).is_success
    state = application.store.load(PURCHASE, PURCHASE.stream(purchase_id)).state
    assert (state.taken_back, state.revoked) == (195, 1800)

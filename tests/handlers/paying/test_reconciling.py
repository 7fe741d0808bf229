from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from commands import NoteDispute, NoteRefund, OpenCheckout, RecordPayment, execute
from domain.commit import Meta
from domain.errors import NothingForSale, Unavailable
from domain.purchase import Claim, Payment
from handlers.paying.buying import shop
from handlers.paying.reconciling import Report, reconcile
from infra.bootstrap import Application
from infra.local.stripe import control
from tests.handlers.paying.conftest import Shop

HOUR = 3600


def kinds(report: Report) -> list[str]:
    return sorted(finding.kind for finding in report.findings)


def repaired(buyer: Shop) -> Report:
    """All is repaired, and then nothing is left to find."""
    report = reconcile(buyer.application, 0, repair=True)
    assert all(finding.repaired for finding in report.findings), report.findings
    again = reconcile(buyer.application, 0, repair=True)
    assert again.findings == []
    assert all(sums.agree for sums in again.sums.values())
    return report


def test_nothing_differs_when_everything_arrived(buyer: Shop) -> None:
    paid, refunded = buyer.open(), buyer.open("album")
    buyer.open()
    buyer.tell(*buyer.till.events(buyer.pay(paid)))
    payment = buyer.pay(refunded)
    control.refund(buyer.till.url, payment, 490)
    buyer.tell(*buyer.till.events(payment))
    report = reconcile(buyer.application, 0)
    assert report.findings == []
    assert (report.sessions, report.here, report.refunds) == (3, 3, 1)
    sums = report.sums["eur"]
    assert (sums.paid_there, sums.paid_here) == (1880, 1880)
    assert (sums.taken_back_there, sums.taken_back_here) == (490, 490)


def test_webhooks_that_never_came(buyer: Shop) -> None:
    paid, taken, contested, late, failing, gone = (buyer.open() for _ in range(6))
    buyer.pay(paid)
    refunded, disputed = buyer.pay(taken), buyer.pay(contested)
    control.refund(buyer.till.url, refunded, 195)
    control.dispute(buyer.till.url, disputed)
    buyer.pay(late, "bank")
    control.fail_payment(buyer.till.url, buyer.pay(failing, "failing_bank"))
    control.expire(buyer.till.url, gone.state.agreed.session_id)

    dry = reconcile(buyer.application, 0)
    assert kinds(dry) == sorted(
        ["not_granted"] * 3 + ["refund_differs", "dispute_differs", "not_pending"]
        + ["not_lapsed"] * 2
    )  # fmt: skip
    assert (dry.sums["eur"].paid_there, dry.sums["eur"].paid_here) == (3 * 390, 0)
    assert buyer.account.granted == 600
    assert all(f.repairable and not f.repaired and f.user_id for f in dry.findings)

    report = repaired(buyer)
    assert report.sums["eur"].agree
    assert buyer.account.left == 600 + HOUR + HOUR // 2
    assert buyer.purchase(late).status == "pending"
    assert (buyer.purchase(failing).status, buyer.purchase(gone).status) == ("lapsed", "lapsed")
    # What arrives after all changes nothing.
    for payment in (refunded, disputed):
        buyer.tell(*buyer.till.events(payment))
    assert buyer.account.left == 600 + HOUR + HOUR // 2


def test_a_page_that_was_paid_and_never_recorded(buyer: Shop) -> None:
    application = buyer.application
    purchase_id = application.ids.fresh("pur")
    pack = replace(application.packs["hour"], expires_days=30)
    payments = shop(application)
    page = payments.open_checkout(purchase_id, buyer.user_id, pack)
    assert reconcile(application, 0).findings == []
    control.pay(str(page.url))
    assert kinds(repaired(buyer)) == ["unknown_here"]
    assert buyer.account.left == 600 + HOUR
    assert sorted(bool(grant.expires) for grant in buyer.account.grants.values()) == [False, True]


def test_credits_that_nobody_paid_for(buyer: Shop) -> None:
    agreed = buyer.open().state.agreed
    payment = Payment(agreed.session_id, agreed.user_id, "pi_1", agreed.amount, agreed.currency)
    _execute(buyer, RecordPayment(agreed.purchase_id, payment))
    report = reconcile(buyer.application, 0, repair=True)
    assert kinds(report) == ["granted_unpaid"]
    assert not report.agree
    assert (report.sums["eur"].paid_there, report.sums["eur"].paid_here) == (0, 390)


def test_what_happens_while_the_lists_are_read(
    buyer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = shop(buyer.application)
    disputed = buyer.pay(buyer.open())
    control.dispute(buyer.till.url, disputed, 100)
    unpaid = buyer.open()
    lists: tuple[list[Any], list[Any]] = (list(payments.sessions(0)), list(payments.disputes(0)))
    control.close_dispute(buyer.till.url, lists[1][0].id, won=True)
    later = buyer.pay(unpaid)
    for payment in (disputed, later):
        buyer.tell(*buyer.till.events(payment))
    monkeypatch.setattr(payments, "sessions", lambda _: iter(lists[0]))
    monkeypatch.setattr(payments, "disputes", lambda _: iter(lists[1]))
    report = reconcile(buyer.application, 0)
    assert report.findings == []
    assert report.sums["eur"].agree


def test_records_that_stripe_does_not_know(buyer: Shop) -> None:
    made = buyer.open()
    buyer.tell(*buyer.till.events(buyer.pay(made)))
    purchase_id = made.state.agreed.purchase_id
    _execute(buyer, NoteRefund(purchase_id, "re_none", Claim(10, "succeeded")))
    _execute(buyer, NoteDispute(purchase_id, "du_none", Claim(10, "lost")))
    ghost = buyer.application.ids.fresh("pur")
    pack = buyer.application.packs["hour"]
    _execute(buyer, OpenCheckout(buyer.user_id, ghost, "cs_none", pack))
    payment = Payment("cs_none", buyer.user_id, None, pack.amount, pack.currency)
    _execute(buyer, RecordPayment(ghost, payment))
    report = reconcile(buyer.application, 0, repair=True)
    assert kinds(report) == ["unknown_there"] * 3
    assert not any(finding.repairable for finding in report.findings)
    assert report.sums["eur"].paid_here == 780


def test_a_payment_that_is_not_what_was_agreed(buyer: Shop) -> None:
    application = buyer.application
    purchase_id = application.ids.fresh("pur")
    cheap, dear = application.packs["hour"], application.packs["studio"]
    page = shop(application).open_checkout(purchase_id, buyer.user_id, cheap)
    _execute(buyer, OpenCheckout(buyer.user_id, purchase_id, page.id, dear))
    control.pay(str(page.url))
    report = reconcile(application, 0, repair=True)
    assert kinds(report) == ["in_question"]
    assert buyer.account.left == 600


def test_many_pages_and_what_lies_before_the_period(
    buyer: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.payments.gateway._PAGE", 2)
    made = [buyer.open() for _ in range(5)]
    for each in made:
        buyer.pay(each)
    assert len(reconcile(buyer.application, 0).findings) == 5
    later = buyer.application.clock.now() + 7_200_000
    assert reconcile(buyer.application, later).findings == []
    assert kinds(repaired(buyer)) == ["not_granted"] * 5


def test_without_stripe(buyer: Shop) -> None:
    settings = buyer.application.settings
    with pytest.raises(NothingForSale):
        reconcile(Application(replace(settings, stripe_api_key="")), 0)
    wrong = Application(replace(settings, stripe_api_key="sk_test_wrong"))
    with pytest.raises(Unavailable, match="SPLITSOUND_STRIPE_API_KEY"):
        reconcile(wrong, 0)


def _execute(buyer: Shop, command: Any) -> None:
    execute(buyer.application.context, command, Meta(buyer.application.ids.fresh("cmd"), "test"))


def test_more_credits_on_record_than_were_sold(buyer: Shop) -> None:
    # A forger of both halves of a transaction: the chain holds, and Stripe knows better.
    application = buyer.application
    purchase_id = application.ids.fresh("pur")
    pack = application.packs["hour"]
    page = shop(application).open_checkout(purchase_id, buyer.user_id, pack)
    greedy = OpenCheckout(buyer.user_id, purchase_id, page.id, replace(pack, credits=3_600_000))
    execute(application.context, greedy, Meta("cmd_forged", "test"))
    buyer.tell(*buyer.till.events(buyer.till.pay(str(page.url))["payment_intent"]))
    (finding,) = reconcile(application, 0).findings
    assert finding.kind == "amount_differs"
    assert "3600 credits at Stripe" in finding.what

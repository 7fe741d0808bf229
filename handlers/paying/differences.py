"""How one purchase differs between Stripe and here, and which commands would make it right."""

from __future__ import annotations

from msgspec import Struct, field

from commands import NoteDispute, NoteRefund, RecordLapse, RecordPayment, RecordPending
from commands.dispatch import Command
from domain import purchase
from domain.money import Money
from domain.purchase import (
    LAPSED,
    OPEN,
    PAID,
    CheckoutOpened,
    Claim,
    PurchaseState,
)
from handlers.paying import notices
from handlers.paying.notices import Payments
from infra.payments.objects import Session

UNKNOWN_HERE = "unknown_here"
UNKNOWN_THERE = "unknown_there"
NOT_GRANTED = "not_granted"
GRANTED_UNPAID = "granted_unpaid"
NOT_PENDING = "not_pending"
NOT_LAPSED = "not_lapsed"
IN_QUESTION = "in_question"
AMOUNT_DIFFERS = "amount_differs"
REFUND_DIFFERS = "refund_differs"
DISPUTE_DIFFERS = "dispute_differs"
_FAILED = ("requires_payment_method", "canceled")


class Finding(Struct):
    """One difference. kind: for programs, one of the names above; what: for people."""

    purchase_id: str
    kind: str
    what: str
    user_id: str = ""
    repairable: bool = False
    repaired: bool = False


class Told(Struct):
    """What Stripe tells of one purchase. session: None where the lists do not reach it."""

    session: Session | None = None
    refunds: dict[str, Claim] = field(default_factory=dict)
    disputes: dict[str, Claim] = field(default_factory=dict)

    def as_state(self) -> PurchaseState | None:
        """The purchase as it would stand here, had everything arrived. None without a session."""
        session = self.session
        if session is None:
            return None
        amount, currency = session.amount_total or 0, session.currency or ""
        opened = CheckoutOpened("", "", session.id, "", 0, amount, currency)
        paid = isinstance(notices.of_session(session), RecordPayment)
        return PurchaseState(
            opened, PAID if paid else OPEN, session.payment_id, amount if paid else 0, 0,
            self.refunds, self.disputes,
        )  # fmt: skip


Found = list[tuple[Finding, list[Command]]]


def found(purchase_id: str, here: PurchaseState | None, told: Told, payments: Payments) -> Found:
    """Every difference with the commands that repair it: none where a person has to look."""
    if here is None:
        return _unknown(purchase_id, told)
    differences: Found = []
    if told.session is not None:
        differences += _of_payment(purchase_id, here, told.session, payments)
    differences += _of_claims(purchase_id, here, told)
    return differences or _of_sums(purchase_id, here, told)


def _unknown(purchase_id: str, told: Told) -> Found:
    session = told.session
    if session is None:
        what = "money went back, and its checkout is not on record: reconcile from earlier on"
        return [(Finding(purchase_id, UNKNOWN_HERE, what), [])]
    if session.status != "complete":
        return []
    opening, payment = notices.opening(session), notices.of_session(session)
    what = f"{_money(session)} {session.payment_status} in {session.id}, not on record here"
    user_id = (session.metadata or {}).get("user_id", "")
    commands: list[Command] = []
    if opening and payment:
        commands = [opening, payment, *_claims(purchase_id, told)]
    return [(Finding(purchase_id, UNKNOWN_HERE, what, user_id), commands)]


def _claims(purchase_id: str, told: Told) -> list[NoteRefund | NoteDispute]:
    refunds = [NoteRefund(purchase_id, i, claim) for i, claim in told.refunds.items()]
    return [*refunds, *(NoteDispute(purchase_id, i, claim) for i, claim in told.disputes.items())]


def _of_payment(
    purchase_id: str, here: PurchaseState, session: Session, payments: Payments
) -> Found:
    command = notices.of_session(session)
    if isinstance(command, RecordPayment):
        return _of_paid(purchase_id, here, session, command)
    if session.id != here.agreed.session_id:
        return []  # another page for it, which nobody paid
    if here.status == PAID:
        what = f"granted, and {session.id} is {session.status}, {session.payment_status} at Stripe"
        return [_finding(purchase_id, here, GRANTED_UNPAID, what)]
    if isinstance(command, RecordPending):
        return _of_pending(purchase_id, here, session, command, payments)
    if isinstance(command, RecordLapse) and here.status != LAPSED:
        return [_finding(purchase_id, here, NOT_LAPSED, f"{session.id} expired", command)]
    return []


def _of_paid(
    purchase_id: str, here: PurchaseState, session: Session, command: RecordPayment
) -> Found:
    told, paid = _money(session), Money(here.paid, here.agreed.currency)
    if here.status == PAID and session.id == here.agreed.session_id:
        opening = notices.opening(session)
        sold = opening.pack.credits if opening else here.agreed.credits
        if (str(told), sold) == (str(paid), here.agreed.credits):
            return []
        what = f"{told} paid for {sold} credits at Stripe, {paid} for {here.agreed.credits} here"
        return [_finding(purchase_id, here, AMOUNT_DIFFERS, what)]
    if here.status != PAID and not purchase.doubts(here, command.payment):
        what = f"{told} paid in {session.id}, nothing granted"
        return [_finding(purchase_id, here, NOT_GRANTED, what, command)]
    what = f"{told} paid in {session.id}, which is not what was agreed: refund it, or adjust"
    return [_finding(purchase_id, here, IN_QUESTION, what)]


def _of_pending(
    purchase_id: str,
    here: PurchaseState,
    session: Session,
    command: RecordPending,
    payments: Payments,
) -> Found:
    if here.status == LAPSED:
        return []
    payment = payments.payment(session.payment_id) if session.payment_id else None
    if payment and payment.status in _FAILED:
        lapse = RecordLapse(purchase_id, session.id, "payment_failed")
        return [_finding(purchase_id, here, NOT_LAPSED, f"the payment {payment.id} failed", lapse)]
    if here.status == OPEN:
        what = f"the money of {session.id} is on its way"
        return [_finding(purchase_id, here, NOT_PENDING, what, command)]
    return []


def _of_claims(purchase_id: str, here: PurchaseState, told: Told) -> Found:
    differences = []
    for command in _claims(purchase_id, told):
        claim = command.claim
        if isinstance(command, NoteRefund):
            kind, what = REFUND_DIFFERS, f"refund {command.refund_id}"
            news = purchase.note_refund(here, command.refund_id, claim)
        else:
            kind, what = DISPUTE_DIFFERS, f"dispute {command.dispute_id}"
            news = purchase.note_dispute(here, command.dispute_id, claim)
        if news:
            what += f" of {Money(claim.amount, here.agreed.currency)} ({claim.status}) at Stripe"
            differences.append(_finding(purchase_id, here, kind, what, command))
    gone = [f"refund {i}" for i in sorted(here.refunds.keys() - told.refunds.keys())]
    gone += [f"dispute {i}" for i in sorted(here.disputes.keys() - told.disputes.keys())]
    for each in gone:
        what = f"{each} is on record, and Stripe does not know it"
        differences.append(_finding(purchase_id, here, UNKNOWN_THERE, what))
    return differences


def _of_sums(purchase_id: str, here: PurchaseState, told: Told) -> Found:
    """Where each refund and dispute agrees, the sums have to."""
    there = told.as_state()
    if there is None or not there.paid or there.taken_back == here.taken_back:
        return []
    currency = here.agreed.currency
    told_sum, our_sum = Money(there.taken_back, currency), Money(here.taken_back, currency)
    what = f"{told_sum} went back at Stripe, {our_sum} here"
    return [_finding(purchase_id, here, REFUND_DIFFERS, what)]


def _finding(
    purchase_id: str, here: PurchaseState, kind: str, what: str, *commands: Command
) -> tuple[Finding, list[Command]]:
    return Finding(purchase_id, kind, what, here.agreed.user_id), list(commands)


def _money(session: Session) -> Money:
    return Money(session.amount_total or 0, session.currency or "")

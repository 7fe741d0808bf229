"""Money that goes back: refunds and disputes, as pure functions like those of ``paying``."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from infra.local.stripe.errors import Refused, conflict, missing
from infra.local.stripe.objects import Charge, Dispute, Metadata, Refund
from infra.local.stripe.parameters import check_metadata
from infra.local.stripe.paying import Change, Happening, Moment, Purchase

REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_ANSWER_SECONDS = 7 * 24 * 3600


def refund(
    purchase: Purchase, amount: int | None, reason: str | None, metadata: Metadata, at: Moment
) -> Change:
    """Give back ``amount`` minor units, or what is left."""
    charge = _paid(purchase)
    check_metadata(metadata, "metadata")
    if reason is not None and reason not in REFUND_REASONS:
        raise Refused(f"Invalid reason: must be one of {', '.join(REFUND_REASONS)}", param="reason")
    if amount is not None and amount < 1:
        raise Refused(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount",
        )
    if any(one.status != "won" for one in purchase.disputes):
        raise conflict(
            f"Charge {charge.id} has been charged back; cannot issue a refund.", "charge_disputed"
        )
    left = charge.amount - charge.amount_refunded
    if not left:
        raise conflict(f"Charge {charge.id} has already been refunded.", "charge_already_refunded")
    if amount is not None and amount > left:
        raise Refused(
            f"Refund amount ({amount} {charge.currency}) is greater than unrefunded amount on "
            f"charge ({left} {charge.currency})",
            param="amount",
            executed=True,
        )
    return _refunded(charge, left if amount is None else amount, reason, metadata, at)


def _refunded(
    charge: Charge, amount: int, reason: str | None, metadata: Metadata, at: Moment
) -> Change:
    made = Refund(
        id=at.new_id("re_"),
        created=at.now,
        amount=amount,
        charge=charge.id,
        currency=charge.currency,
        metadata=metadata,
        payment_intent=charge.payment_intent,
        reason=reason,
    )
    after, previous = _with_refunds(charge, charge.amount_refunded + amount)
    return Change(
        made,
        [after, made],
        [Happening("refund.created", made), Happening("charge.refunded", after, previous)],
    )


def _with_refunds(charge: Charge, total: int) -> tuple[Charge, dict[str, Any]]:
    previous = {"amount_refunded": charge.amount_refunded, "refunded": charge.refunded}
    return replace(charge, amount_refunded=total, refunded=total == charge.amount), previous


def fail_refund(purchase: Purchase, identifier: str) -> Change:
    """The buyer's bank sent a refund back: the money is the seller's again."""
    charge = _paid(purchase)
    made = next((one for one in purchase.refunds if one.id == identifier), None)
    if made is None:
        raise missing("refund", identifier, "refund")
    if made.status != "succeeded":
        raise conflict("This refund has failed already.")
    failed = replace(made, status="failed", failure_reason="expired_or_canceled_card")
    after, _ = _with_refunds(charge, charge.amount_refunded - made.amount)
    previous = {"status": made.status, "failure_reason": None}
    return Change(
        failed,
        [after, failed],
        [
            Happening("refund.updated", failed, previous),
            Happening("refund.failed", failed, previous),
        ],
    )


def dispute(purchase: Purchase, amount: int | None, reason: str, at: Moment) -> Change:
    """The buyer's bank takes ``amount`` back, by default what was not refunded."""
    charge = _paid(purchase)
    if any(one.status in {"needs_response", "under_review"} for one in purchase.disputes):
        raise conflict("This payment has an open dispute already.")
    # Banks do dispute what has been refunded; then it is about the whole.
    left = charge.amount - charge.amount_refunded or charge.amount
    wanted = left if amount is None else amount
    if not 1 <= wanted <= charge.amount:
        raise Refused(f"Dispute between 1 and {charge.amount} (minor units).", param="amount")
    opened = Dispute(
        id=at.new_id("du_"),
        created=at.now,
        amount=wanted,
        charge=charge.id,
        currency=charge.currency,
        evidence_details={
            "due_by": at.now + _ANSWER_SECONDS,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        payment_intent=charge.payment_intent,
        reason=reason,
    )
    return Change(
        opened,
        [replace(charge, disputed=True), opened],
        [
            Happening("charge.dispute.created", opened),
            Happening("charge.dispute.funds_withdrawn", opened),
        ],
    )


def contest(purchase: Purchase, identifier: str) -> Change:
    """The seller sent evidence; the bank looks at it."""
    opened = _open_dispute(purchase, identifier)
    if opened.status != "needs_response":
        raise conflict("Evidence has been sent already.")
    details = opened.evidence_details | {"has_evidence": True, "submission_count": 1}
    after = replace(opened, status="under_review", evidence_details=details)
    previous = {"status": opened.status}
    return Change(after, [after], [Happening("charge.dispute.updated", after, previous)])


def close_dispute(purchase: Purchase, identifier: str, won: bool) -> Change:
    """The bank decided: for the seller, who has the money back, or for the buyer."""
    opened = _open_dispute(purchase, identifier)
    after = replace(opened, status="won" if won else "lost", is_charge_refundable=won)
    told = [Happening("charge.dispute.closed", after, {"status": opened.status})]
    if won:
        told.append(Happening("charge.dispute.funds_reinstated", after))
    return Change(after, [after], told)


def _open_dispute(purchase: Purchase, identifier: str) -> Dispute:
    found = next((one for one in purchase.disputes if one.id == identifier), None)
    if found is None:
        raise missing("dispute", identifier, "dispute")
    if found.status in {"won", "lost"}:
        raise conflict("This dispute is already closed.")
    return found


def _paid(purchase: Purchase) -> Charge:
    if purchase.charge is None or purchase.charge.status != "succeeded":
        raise conflict("This payment has not succeeded.")
    return purchase.charge

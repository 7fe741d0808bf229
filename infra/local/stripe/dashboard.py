"""The dashboard: every payment with what a bank, a buyer or the seller may do to it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import islice
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, RawBody

from infra.local.pages import BRAND
from infra.local.stripe import paying, reversing
from infra.local.stripe.answering import Asked, TheDesk
from infra.local.stripe.desk import Desk
from infra.local.stripe.errors import Refused
from infra.local.stripe.forms import nested
from infra.local.stripe.objects import Dispute, Event, Refund
from infra.local.stripe.pages import minor_units, money, page, pill, when
from infra.local.stripe.paying import Change, Purchase
from infra.local.stripe.store import Delivery, Selection

ACT = "/act"
_PAYMENTS = 25
_DELIVERIES = 40
_TONES = {"succeeded": "good", "won": "good", "lost": "bad", "failed": "bad"}


@get("/", sync_to_thread=True)
def dashboard(request: Asked, desk: TheDesk) -> Response[str]:
    """Payments, newest first, and the webhooks that told of them."""
    after = request.query_params.get("after")
    with desk.store.transaction() as tx:
        chosen = Selection(kind="checkout.session", after=after)
        sessions = list(islice(tx.newest(chosen), _PAYMENTS + 1))
        purchases = [desk.purchase(tx, one.id) for one in sessions[:_PAYMENTS]]
        sent = Selection(kind="event", matches=lambda one: tx.delivery(one.id) is not None)
        events = [one for one in islice(tx.newest(sent), _DELIVERIES) if isinstance(one, Event)]
        deliveries = [(event, tx.delivery(event.id)) for event in events]
    older = ""
    if len(sessions) > _PAYMENTS:
        older = (
            f'<p class="older"><a href="/?after={escape(purchases[-1].session.id)}">Older</a></p>'
        )
    body = f"""<main class="board"><header>{BRAND}<a class="small" href="/">Refresh</a></header>
<h2>Payments</h2>{"".join(map(_payment, purchases)) or _NO_PAYMENTS}{older}
<h2>Webhooks</h2>{_deliveries(deliveries)}</main>"""
    return page("Payments (local stand-in for Stripe)", body)


_NO_PAYMENTS = """<p class="empty">Nothing here yet. A payment appears as soon as somebody starts to
 buy.</p>"""


@post(ACT + "/{action:str}", status_code=303, sync_to_thread=True)
def act(desk: TheDesk, body: RawBody, action: FromPath[str]) -> Response[Any]:
    """One of the buttons. ``id``: of what; ``amount`` as typed, or ``minor`` in minor units."""
    form = nested(body.decode(errors="replace"))
    identifier = str(form.get("id", ""))
    if action == "send_again":
        desk.send_again(identifier)
        return Response(None, status_code=303, headers={"Location": "/#webhooks"})
    decide = _decision(desk, action, identifier, form)
    session = desk.act(identifier, decide)
    return Response(None, status_code=303, headers={"Location": f"/#{session}"})


def _decision(
    desk: Desk, action: str, identifier: str, form: dict[str, Any]
) -> Callable[[Purchase], Change]:
    at = desk.moment()

    def amount(purchase: Purchase) -> int | None:
        if minor := str(form.get("minor", "")):
            if not minor.isdecimal():
                raise Refused("Give the amount in whole minor units.", param="minor")
            return int(minor)
        return minor_units(str(form.get("amount", "")), purchase.session.currency)

    reason = str(form.get("reason") or "")
    actions: dict[str, Callable[[Purchase], Change]] = {
        "refund": lambda p: reversing.refund(p, amount(p), reason or None, {}, at),
        "fail_refund": lambda p: reversing.fail_refund(p, identifier),
        "dispute": lambda p: reversing.dispute(p, amount(p), reason or "fraudulent", at),
        "contest": lambda p: reversing.contest(p, identifier),
        "win": lambda p: reversing.close_dispute(p, identifier, won=True),
        "lose": lambda p: reversing.close_dispute(p, identifier, won=False),
        "settle": paying.settle,
        "fail": paying.fail_payment,
        "expire": paying.expire,
    }
    if action not in actions:
        raise Refused("There is no such button.", status=404)
    return actions[action]


def _payment(purchase: Purchase) -> str:
    session = purchase.session
    names = ", ".join(item.description for item in purchase.order.line_items)
    who = session.customer_details.email if session.customer_details else session.customer_email
    ids = [session.id[:16] + "…", *([purchase.charge.id] if purchase.charge else [])]
    parts = [_refund(one) for one in purchase.refunds] + [
        _dispute(one) for one in purchase.disputes
    ]
    buttons = _buttons(purchase)
    return f"""<article class="payment" id="{escape(session.id)}"><div class="top">
<span class="amount number">{money(session.amount_total, session.currency)}</span>{_state(purchase)}
{when(session.created)}</div>
<p class="name">{escape(names)}{f' <span class="soft">· {escape(who)}</span>' if who else ""}</p>
<p class="ids">{"".join(f"<code>{escape(one)}</code>" for one in ids)}</p>
{"".join(parts)}{f'<div class="buttons actions">{buttons}</div>' if buttons else ""}</article>"""


def _state(purchase: Purchase) -> str:
    session, charge = purchase.session, purchase.charge
    if charge is None:
        return pill("Open", "wait") if session.status == "open" else pill("Expired")
    if charge.status != "succeeded":
        waits = charge.status == "pending"
        return pill("Waiting for the bank", "wait") if waits else pill("Failed", "bad")
    if any(one.status in {"needs_response", "under_review"} for one in purchase.disputes):
        return pill("Disputed", "bad")
    if any(one.status == "lost" for one in purchase.disputes):
        return pill("Charged back", "bad")
    if charge.refunded:
        return pill("Refunded")
    if charge.amount_refunded:
        return pill("Paid", "good") + pill(
            f"{money(charge.amount_refunded, charge.currency)} refunded"
        )
    return pill("Paid", "good")


def _buttons(purchase: Purchase) -> str:
    session, charge = purchase.session, purchase.charge
    if session.status == "open":
        link = f'<a class="small" href="/c/pay/{escape(session.id)}">Open the pay page</a>'
        return _button("expire", session.id, "Expire") + link
    if charge is None:
        return ""
    if charge.status == "pending":
        return _button("settle", charge.id, "Money arrives") + _button("fail", charge.id, "Fails")
    if charge.status != "succeeded":
        return ""
    found = ""
    disputed = [one for one in purchase.disputes if one.status != "won"]
    if not charge.refunded and not disputed:
        left = charge.amount - charge.amount_refunded
        found += _button("refund", charge.id, "Refund", left, charge.currency)
    if not any(one.status in {"needs_response", "under_review"} for one in disputed):
        left = charge.amount - charge.amount_refunded or charge.amount
        found += _button("dispute", charge.id, "Dispute", left, charge.currency)
    return found


def _refund(one: Refund) -> str:
    buttons = (
        _button("fail_refund", one.id, "Bank sends it back") if one.status == "succeeded" else ""
    )
    return _part(f"Refund of {money(one.amount, one.currency)}", one, buttons)


def _dispute(one: Dispute) -> str:
    buttons = ""
    if one.status == "needs_response":
        buttons += _button("contest", one.id, "Send evidence")
    if one.status in {"needs_response", "under_review"}:
        buttons += _button("win", one.id, "Win") + _button("lose", one.id, "Lose")
    return _part(f"Dispute of {money(one.amount, one.currency)}", one, buttons)


def _part(title: str, one: Refund | Dispute, buttons: str) -> str:
    state = pill(one.status.replace("_", " "), _TONES.get(one.status, "wait"))
    shown = f'<div class="buttons">{buttons}</div>' if buttons else ""
    return (
        f'<div class="part"><b class="small">{title}</b>{state}<code>{one.id}</code>{shown}</div>'
    )


def _button(action: str, identifier: str, text: str, rest: int = 0, currency: str = "") -> str:
    typed = ""
    if rest:
        label = f"{text}: the amount, everything when it is empty"
        typed = (
            f'<input type="text" name="amount" inputmode="decimal" aria-label="{label}" '
            f'placeholder="{money(rest, currency)}">'
        )
    return (
        f'<form method="post" action="{ACT}/{action}">'
        f'<input type="hidden" name="id" value="{escape(identifier)}">{typed}'
        f'<button type="submit">{text}</button></form>'
    )


def _deliveries(sent: list[tuple[Event, Delivery | None]]) -> str:
    if not sent:
        return '<p class="empty" id="webhooks">No webhook has been sent yet.</p>'
    rows = "".join(_delivery(event, how) for event, how in sent if how is not None)
    return f'<ul class="deliveries" id="webhooks">{rows}</ul>'


def _delivery(event: Event, how: Delivery) -> str:
    if how.next_at is None:
        state = pill("Delivered", "good")
    elif how.attempts:
        state = pill("Retrying", "bad")
    else:
        state = pill("Waiting", "wait")
    tries = f"{how.attempts} tries" if how.attempts != 1 else "1 try"
    why = " ".join(filter(None, [str(how.status or ""), how.error]))
    detail = f"{tries}, last: {why}" if why and how.next_at is not None else event.id
    return f"""<li>{state}<span><code>{escape(event.type)}</code>
<span class="why">{escape(detail)}</span></span>{when(event.created)}
{_button("send_again", event.id, "Send again")}</li>"""

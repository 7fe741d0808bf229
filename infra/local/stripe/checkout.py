"""The hosted pay page of a session, and the page that a browser comes back to."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from litestar import Response, get, post
from litestar.params import FromPath, RawBody

from infra.local.pages import BRAND
from infra.local.stripe.answering import Asked, TheDesk
from infra.local.stripe.desk import Desk
from infra.local.stripe.errors import Refused, missing
from infra.local.stripe.forms import nested
from infra.local.stripe.objects import CheckoutSession
from infra.local.stripe.pages import money, page, result
from infra.local.stripe.paying import Purchase

PAY = "/c/pay"
RESULT = "/c/result"
HOW = ("card", "bank", "failing_bank")
_NOWHERE = ("example.com", "example.org", "example.net", "example", "invalid", "test")
_WAYS = (
    ("card", "Card", "•••• 4242", "Paid at once."),
    (
        "bank",
        "Bank debit",
        "•••• 3000",
        "Submitted now; the money arrives {seconds:g}&nbsp;s later.",
    ),
    (
        "failing_bank",
        "Bank debit that fails",
        "•••• 3001",
        "Submitted now; the bank refuses {seconds:g}&nbsp;s later.",
    ),
)


@get(PAY + "/{session:str}", sync_to_thread=True)
def pay_page(desk: TheDesk, session: FromPath[str]) -> Response[str]:
    """What is bought, and the ways to pay; or how it ended."""
    purchase = _purchase(desk, session)
    if purchase is None:
        return result("No such page", "There is no checkout session of that id here.", status=404)
    if purchase.session.status != "open":
        return _ended(purchase)
    return page(f"Pay {purchase.session.id}", _pay_body(purchase, desk.place.settle_seconds))


@post(PAY + "/{session:str}", status_code=303, sync_to_thread=True)
def submit(desk: TheDesk, body: RawBody, session: FromPath[str]) -> Response[Any]:
    """Pay, or go back without paying; then on to the shop's page."""
    purchase = _purchase(desk, session)
    if purchase is None:
        raise missing("checkout.session", session[:100])
    form = nested(body.decode(errors="replace"))
    how = form.get("how")
    if how == "cancel":
        return _go(desk, purchase.session.cancel_url, session)
    if how not in HOW:
        raise Refused("Choose one of the ways to pay.", param="how")
    email = str(form.get("email", "")).strip()[:200] or None
    try:
        desk.pay(session, how, email)
    except Refused as refused:
        if not refused.executed:
            raise
        # Paid in another tab, or too late: the page says which.
        return _redirect(f"{PAY}/{session}")
    return _go(desk, purchase.session.success_url, session)


@get(RESULT, sync_to_thread=True)
def result_page(request: Asked, desk: TheDesk) -> Response[str]:
    """For shops without a page of their own: how it went."""
    session = request.query_params.get("session_id", "")
    purchase = _purchase(desk, session)
    if purchase is None:
        return result("You can close this page", "You are back from the pay page.")
    if purchase.session.status == "open":
        link = f'<a href="{PAY}/{escape(purchase.session.id)}">Back to the pay page</a>'
        return result("Not paid", "Nothing was charged. You can still pay.", links=link)
    return _ended(purchase)


def _purchase(desk: Desk, session: str) -> Purchase | None:
    with desk.store.transaction() as tx:
        if tx.get(session, CheckoutSession) is None:
            return None
        return desk.purchase(tx, session)


def _go(desk: Desk, url: str | None, session: str) -> Response[Any]:
    ours = f"{RESULT}?{urlencode({'session_id': session})}"
    host = (urlsplit(url).hostname or "") if url else ""
    if url is None or any(host == end or host.endswith(f".{end}") for end in _NOWHERE):
        return _redirect(ours)
    if url.partition("?")[0] == desk.place.url + RESULT:
        return _redirect(desk.place.url + ours)
    return _redirect(url.replace("{CHECKOUT_SESSION_ID}", session))


def _redirect(url: str) -> Response[Any]:
    return Response(None, status_code=303, headers={"Location": url})


def _ended(purchase: Purchase) -> Response[str]:
    session, charge = purchase.session, purchase.charge
    amount = money(session.amount_total, session.currency)
    link = f'<a href="/#{escape(session.id)}">See it on the dashboard</a>'
    if session.status == "expired":
        return result("This page has expired", "Nothing was charged.", links=link)
    if session.payment_status == "paid":
        return result(f"{amount} paid", _names(purchase), "good", link)
    if charge is not None and charge.status == "failed":
        said = charge.failure_message or "The bank refused the payment."
        return result("Not paid", said, "bad", link)
    said = f"{_names(purchase)}. The bank is still working on it."
    return result(f"{amount} on the way", said, "wait", link, reload=3)


def _names(purchase: Purchase) -> str:
    return ", ".join(item.description for item in purchase.order.line_items)


def _pay_body(purchase: Purchase, settle_seconds: float) -> str:
    session = purchase.session
    total = money(session.amount_total, session.currency)
    return f"""<main class="checkout"><div class="sheet">
<section class="what" aria-label="What you buy">{BRAND}
<p class="soft">To pay</p><p class="total number">{total}</p>
<ul>{_items(purchase)}</ul>
<p class="sum"><span>Total</span><span class="number">{total}</span></p></section>
<section class="pay"><h1>How do you want to pay?</h1>
<form method="post">{_email(session)}
<fieldset><legend>Payment method</legend><div class="ways">{_ways(settle_seconds)}</div></fieldset>
<button class="main" type="submit">Pay {total}</button></form>
<form method="post"><button class="bare" type="submit" name="how" value="cancel">Cancel and go back
</button></form>
<p class="note">Nothing is charged: this page only plays a bank on your machine.</p></section>
</div></main>"""


def _items(purchase: Purchase) -> str:
    return "".join(
        f"<li><span><b>{escape(item.description)}</b>"
        f'<span class="small soft">{escape(_details(item.quantity, detail))}</span></span>'
        f'<span class="number">{money(item.amount_total, item.currency)}</span></li>'
        for item, detail in zip(purchase.order.line_items, purchase.order.details, strict=True)
    )


def _details(quantity: int, detail: str) -> str:
    return " · ".join(filter(None, [f"Quantity {quantity}" if quantity > 1 else "", detail]))


def _email(session: CheckoutSession) -> str:
    if session.customer_email:
        known = escape(session.customer_email, quote=True)
        field = f'<input type="email" value="{known}" readonly>'
    else:
        field = '<input type="email" name="email" placeholder="optional" autocomplete="email">'
    return f'<label class="field">Email{field}</label>'


def _ways(seconds: float) -> str:
    return "".join(
        f'<label><input type="radio" name="how" value="{how}"{" checked" if how == "card" else ""}>'
        f'<b>{title}</b><span class="small soft number">{number}</span>'
        f"<i>{text.format(seconds=seconds)}</i></label>"
        for how, title, number, text in _WAYS
    )

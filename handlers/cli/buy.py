"""``splitsound buy``: credits for money, on a page of Stripe's or, locally, of its stand-in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.cli import terminal
from handlers.cli.outcome import BadInput, Ended, Interrupted
from handlers.cli.reach import api_options, api_url, caller_name, connect, json_option, whose
from handlers.cli.tables import Table
from handlers.cli.terminal import Display
from handlers.cli.words import command_line, counted
from handlers.client.bodies import CheckoutBody, Order, PackBody, Purchase
from handlers.client.client import Client

if TYPE_CHECKING:
    from infra.local.stripe.control import How

_POLL_SECONDS = 0.4
_HOW = ("card", "bank", "failing_bank")


@click.command("buy")
@click.argument("pack", required=False)
@click.option(
    "--pay",
    type=click.Choice(_HOW),
    help="Press that button of the local stand-in's page, instead of a browser.",
)
@click.option("--no-wait", is_flag=True, help="Print where to pay, and end.")
@api_options
@json_option
def command(
    pack: str | None,
    pay: How | None,
    no_wait: bool,
    api: str | None,
    email: str,
    api_key: str,
    data: Path,
    as_json: bool,
) -> None:
    """Buy PACK and wait until it is paid; without PACK, show what is sold.

    Every call opens a new purchase. The local stack has a stand-in for Stripe: no money moves.
    """
    display = terminal.display(as_json)
    with connect(api_url(api, data), email, api_key) as client:
        packs = client.list_packs().items
        if pack is None:
            if pay or no_wait:
                raise BadInput("Name the pack to buy; `buy` alone shows what is sold.")
            caller, who = caller_name(email, api_key), whose(api, email, data)
            _show(client, caller, packs, as_json, display, who)
            return
        _check(pack, packs)
        opened = client.check_out(Order(pack=pack))
        display.fact("Purchase", opened.purchase_id)
        display.fact("Pay at", str(opened.url))
        if pay:
            _press(opened, pay, data, display)
        bought = _read(client, opened) if no_wait else paid(client, opened, display)
        balance = client.get_credits()
    if as_json:
        terminal.emit({
            "purchase_id": bought.purchase_id, "status": bought.status, "url": opened.url,
            "credits": bought.credits, "available": balance.available, "debt": balance.debt,
        })  # fmt: skip
    elif bought.status == "paid":
        owed = f"; {balance.debt} still owed" if balance.debt else ""
        came = counted(bought.credits, "credit")
        display.fact("Paid", f"{came}; {balance.available} available now{owed}")


def _show(
    client: Client,
    caller: str,
    packs: list[PackBody],
    as_json: bool,
    display: Display,
    who: dict[str, object],
) -> None:
    balance = client.get_credits()
    if as_json:
        terminal.emit({"packs": packs, "available": balance.available, "debt": balance.debt})
        return
    if not packs:
        display.fact("Packs", "nothing is sold here")
        return
    table = Table("pack", "what", "credits", "price", "lasts", right=("credits", "price"))
    for pack in packs:
        lasts = f"{pack.expires_days} days" if pack.expires_days else "for ever"
        table.add_row(pack.name, pack.title, f"{pack.credits:,}", pack.price, lasts)
    table.draw(display.console)
    display.blank()
    owed = f", {balance.debt} owed" if balance.debt else ""
    display.fact("You have", f"{counted(balance.available, 'credit')}{owed} ({caller})")
    display.fact("Buy", command_line("buy", packs[0].name, **who))


def _check(name: str, packs: list[PackBody]) -> None:
    if name not in [pack.name for pack in packs]:
        sold = ", ".join(pack.name for pack in packs) or "nothing"
        raise BadInput(f"There is no pack {name!r}; what is sold: {sold}.")


def _press(opened: CheckoutBody, how: How, data: Path, display: Display) -> None:
    from infra.local.lock import running
    from infra.local.stripe.control import pay

    state = running(data)
    stand_in = state.urls.get("payments") if state else None
    if not opened.url or not stand_in or not opened.url.startswith(stand_in + "/"):
        raise BadInput(
            "--pay presses a button of the local stack's stand-in for Stripe, and this purchase is "
            "not paid there; open its page in a browser."
        )
    pay(opened.url, how)
    display.fact("Pressed", f"{how.replace('_', ' ')} (a stand-in for Stripe: no money moves)")


def paid(client: Client, opened: CheckoutBody, display: Display) -> Purchase:
    """The purchase once it is paid. Raises Ended when it lapsed."""
    try:
        with display.waiting("Waiting", "for the payment"):
            while (now := _read(client, opened)).status in ("open", "pending"):
                if now.in_question:
                    raise Ended(
                        "Stripe told of a payment that is not what was agreed; nothing was "
                        f"granted. `{command_line('events', 'show', opened.purchase_id)}` shows "
                        "what was told.",
                        purchase_id=opened.purchase_id,
                    )
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted(
            f"The purchase stays open until {opened.expires_at}: {opened.url}. The credits come "
            "when it is paid, whether anybody waits or not."
        ) from None
    if now.status == "lapsed":
        why = "nobody paid in time" if now.why == "expired" else "the payment failed"
        raise Ended(f"Nothing was bought: {why}.", purchase_id=opened.purchase_id)
    return now


def _read(client: Client, opened: CheckoutBody) -> Purchase:
    return client.get_purchase(opened.purchase_id)

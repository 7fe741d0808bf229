"""``splitsound adjust``: give an account credits, or take some of them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

from domain.credits import CREDITS, MAX_AMOUNT
from handlers.cli import terminal
from handlers.cli.asof import Moment
from handlers.cli.hands import give, reason_option
from handlers.cli.outcome import BadInput
from handlers.cli.reach import application, data_option, json_option, other_data
from handlers.cli.words import command_line
from infra.clock import stamp

_WHOLE = re.compile(r"([+-]?)([0-9]+)")


class Amount(click.ParamType[int]):
    """A whole number of credits with its sign, not 0."""

    name = "AMOUNT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        found = _WHOLE.fullmatch(str(value).strip())
        # int() refuses endless digits with an error of its own.
        if not found or len(found[2]) > len(str(MAX_AMOUNT)) or not 0 < int(found[2]) <= MAX_AMOUNT:
            self.fail(
                f"{value!r} is no whole number of credits from 1 to {MAX_AMOUNT:,}; write +100 to "
                "give a hundred, or -20 to take twenty.",
                param, ctx,
            )  # fmt: skip
        return int(found[2]) * (-1 if found[1] == "-" else 1)


# A number that begins with - is no option.
@click.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("user")
@click.argument("amount", type=Amount())
@reason_option
@click.option("--promotion", is_flag=True, help="A gift, and not a correction.")
@click.option(
    "--expires", type=Moment(), metavar="TIME",
    help="When they are over: 2027-01-31T12:00:00Z, or 2027-01-31 for the end of that day.",
)  # fmt: skip
@click.option(
    "--priority", type=click.IntRange(0, 1000), help="Grants of low priority are spent first [100]."
)
@json_option
@data_option
def command(
    user: str,
    amount: int,
    reason: str,
    promotion: bool,
    expires: int | None,
    priority: int | None,
    as_json: bool,
    data: Path,
) -> None:
    """Give the account of USER credits (+100), or take some of what it can spend (-20).

    USER is an id (usr_...) or an e-mail address. What is taken never makes a debt: more than can
    be spent is refused. It is a fact in the account's history, with who did it and why.
    """
    from commands import AdjustCredits
    from commands.ledger import ADJUSTMENT, PROMOTION
    from handlers.cli.statements import user_id_of

    if amount < 0 and (promotion or expires is not None or priority is not None):
        raise BadInput("What is taken has no --promotion, --expires or --priority; leave them out.")
    parts = application(data, writing=True)
    user_id = user_id_of(parts, user)
    source = PROMOTION if promotion else ADJUSTMENT
    importance = 100 if priority is None else priority
    give(parts, AdjustCredits(user_id, amount, reason, source, expires, importance))
    account = parts.store.load(CREDITS, CREDITS.stream(user_id))
    state, now = account.state, time.time_ns() // 1_000_000
    spendable = state.available(max(now, account.tip.t))
    if as_json:
        terminal.emit({
            "user_id": user_id, "changed": amount, "available": spendable,
            "reserved": state.reserved, "debt": state.debt, "version": account.version,
        })  # fmt: skip
        return
    display = terminal.display(as_json=False)
    verb = "Given" if amount > 0 else "Taken"
    until = f", until {stamp(expires)}" if expires is not None else ""
    display.fact(verb, f"{abs(amount):,} credits{until}: {reason.strip()}", "green")
    debt = f", debt {state.debt:,}" if state.debt else ""
    display.fact("Account", f"{user_id}: available {spendable:,}, held {state.reserved:,}{debt}")
    see = command_line("audit", "replay", user_id, data=other_data(data))
    display.fact("History", f"version {account.version}; `{see}` shows it")

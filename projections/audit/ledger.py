"""One account, event by event: its balances after each, and where they break the law.

The balances go along with the events instead of being summed over the grants each time, so an
account with many grants is followed as fast as one with a few. ``settled`` compares them with
the state in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain import credits
from domain.aggregate import Event
from domain.credits import (
    CreditsCaptured,
    CreditsExpired,
    CreditsGranted,
    CreditsReleased,
    CreditsReserved,
    CreditsRevoked,
    CreditState,
    DebtSettled,
)
from domain.draws import Draw, Draws
from domain.erased import Erased


class Ledger:
    """available: left in grants, expiry not applied; held: by open jobs.

    off: by how much the law does not hold. state: the account as ``domain.credits`` folds it.
    drawn: hears of each part of a grant that went somewhere: what it became, the grant, credits.
    What had expired and was then revoked is "lapsed".
    """

    __slots__ = ("_drawn", "available", "held", "off", "state")

    def __init__(self, drawn: Callable[[str, str, int], object] | None = None) -> None:
        self.state = CreditState()
        self.available = 0
        self.held = 0
        self.off = 0
        self._drawn = drawn

    def take(self, event: Event) -> str:
        """Fold the event. What is wrong with it, in words; empty where nothing is.

        Raises LookupError for an event that cannot be folded: it moves what is not there.
        """
        wrong = _TAKES[type(event)](self, event)
        state = self.state
        accounted = self.available + self.held + state.captured + state.expired + state.revoked
        self.off = state.granted + state.debt - accounted
        if not self.off:
            return wrong
        law = f"the law does not hold, by {self.off:+d}: {self.law()}"
        return f"{wrong}; {law}" if wrong else law

    def law(self) -> str:
        """``granted 600 = available 500 + held 100 + ...``, as the numbers stand."""
        state = self.state
        return (
            f"granted {state.granted} = available {self.available} + held {self.held} + "
            f"spent {state.captured} + expired {state.expired} + revoked {state.revoked} - "
            f"debt {state.debt}"
        )

    def owes_and_has(self, now: int) -> str:
        """What is wrong at the end of a commit made at ``now``: both a debt and credits to spend.

        Between two events of a commit both may stand: what came in settles the debt at once.
        """
        if self.state.debt and self.available:
            spendable = self.state.available(now)
            if spendable:
                return f"has a debt of {self.state.debt} and {spendable} credits to spend"
        return ""

    def settled(self) -> str:
        """What is wrong in the end: the grants do not add up to the balances. Or empty."""
        state = self.state
        held = sum(grant.held for grant in state.grants.values())
        if (state.left, state.reserved, held) == (self.available, self.held, self.held):
            return ""
        return (
            f"the grants have {state.left} left and {held} held, the events say "
            f"{self.available} and {self.held}"
        )

    def _granted(self, event: CreditsGranted) -> str:
        again = event.grant_id in self.state.grants
        credits.evolve(self.state, event)
        self.available += event.amount
        if not again:
            return ""
        # The earlier grant is overwritten; the balances show by how much.
        self._counted_anew()
        return f"grants {event.grant_id} again"

    def _reserved(self, event: CreditsReserved) -> str:
        again = event.job_id in self.state.reservations
        credits.evolve(self.state, event)
        self.held += event.amount
        wrong = self._moved(event.draws, -1)
        if not again:
            return wrong
        self._counted_anew()
        return f"holds for {event.job_id} again"

    def _captured(self, event: CreditsCaptured) -> str:
        self.held -= self.state.reservations[event.job_id].amount
        if self._drawn:
            self._tell("spent", event.draws)
        credits.evolve(self.state, event)
        wrong = self._moved(event.draws, 0)
        return self._moved(event.returned, 1) or wrong if event.returned else wrong

    def _released(self, event: CreditsReleased) -> str:
        self.held -= self.state.reservations[event.job_id].amount
        credits.evolve(self.state, event)
        return self._moved(event.draws, 1)

    def _expired(self, event: CreditsExpired) -> str:
        draws = (Draw(event.grant_id, event.amount),)
        if self._drawn:
            self._tell("expired", draws)
        credits.evolve(self.state, event)
        return self._moved(draws, -1)

    def _taken(self, event: CreditsRevoked | DebtSettled) -> str:
        if self._drawn:
            if isinstance(event, CreditsRevoked):
                self._tell("revoked", event.draws)
                self._tell("lapsed", event.lapsed)
            else:
                self._tell("settled", event.draws)
        credits.evolve(self.state, event)
        wrong = self._moved(event.draws, -1)
        if any(left < 0 for left in self.state.lapsed.values()):
            return "takes back more than had expired"
        return f"the debt is below zero, {self.state.debt}" if self.state.debt < 0 else wrong

    def _erased(self, event: Erased) -> str:
        left = self.available or self.held
        credits.evolve(self.state, event)
        return f"is erased with {self.available} left and {self.held} held" if left else ""

    def _moved(self, draws: Draws, sign: int) -> str:
        """Count what came to be available (sign 1) or went; what is wrong with those grants."""
        grants, wrong, amount = self.state.grants, "", 0
        for draw in draws:
            amount += draw.amount
            # An empty grant is gone from the state; what is below zero is not.
            grant = grants.get(draw.grant_id)
            if grant is not None and (grant.left < 0 or grant.held < 0):
                wrong = f"{draw.grant_id} is below zero ({grant.left} left, {grant.held} held)"
        self.available += sign * amount
        return wrong

    def _tell(self, what: str, draws: Draws) -> None:
        assert self._drawn
        for draw in draws:
            self._drawn(what, draw.grant_id, draw.amount)

    def _counted_anew(self) -> None:
        self.available, self.held = self.state.left, self.state.reserved


_TAKES: dict[type[Event], Callable[[Ledger, Any], str]] = {
    CreditsGranted: Ledger._granted,
    CreditsReserved: Ledger._reserved,
    CreditsCaptured: Ledger._captured,
    CreditsReleased: Ledger._released,
    CreditsExpired: Ledger._expired,
    CreditsRevoked: Ledger._taken,
    DebtSettled: Ledger._taken,
    Erased: Ledger._erased,
}

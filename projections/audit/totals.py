"""Sums over all accounts and purchases: where the credits are, and whether the money agrees."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import astuple

from domain.aggregate import Event
from domain.credits import CreditsGranted, CreditsRevoked
from domain.grants import BOUGHT
from domain.purchase import PurchaseState
from projections.audit.ledger import Ledger

SOURCES = ("signup", "purchase", "promotion", "adjustment", "refund", "reinstatement")


class Where(Struct):
    """Credits of one source; what was granted is in one of the other places.

    taken_back: by revocations, as far as it was there; settled: went to a debt.
    """

    granted: int = 0
    available: int = 0
    reserved: int = 0
    captured: int = 0
    expired: int = 0
    taken_back: int = 0
    settled: int = 0

    def add(self, other: Where, sign: int = 1) -> None:
        """Sum up, or (sign -1) take away."""
        self.granted += sign * other.granted
        self.available += sign * other.available
        self.reserved += sign * other.reserved
        self.captured += sign * other.captured
        self.expired += sign * other.expired
        self.taken_back += sign * other.taken_back
        self.settled += sign * other.settled

    @property
    def off(self) -> int:
        """Credits that are nowhere; 0 where it adds up."""
        granted, *places = astuple(self)
        difference: int = granted - sum(places)
        return difference


class Takings(Struct):
    """From purchases in one currency; in minor units."""

    purchases: int = 0
    paid: int = 0
    taken_back: int = 0

    @property
    def kept(self) -> int:
        """What we have of it."""
        return self.paid - self.taken_back


class Sold(Struct):
    """One purchase by its own events, and by those of the account that it is for; in credits.

    due: to have been revoked by now, says the purchase; revoked: less what was reinstated.
    version: of the purchase's stream, as far as it was read.
    """

    sold: int = 0
    granted: int = 0
    due: int = 0
    revoked: int = 0
    version: int = 0

    @property
    def agrees(self) -> bool:
        """Whether both say the same."""
        return self.sold == self.granted and self.due == self.revoked

    def add(self, other: Sold, sign: int) -> None:
        """Sum up, or take away."""
        self.sold += sign * other.sold
        self.granted += sign * other.granted
        self.due += sign * other.due
        self.revoked += sign * other.revoked
        self.version = max(self.version, other.version)


class Totals(Struct):
    """sources: by source; money: by currency; open: purchases that do not agree (yet).

    open is by purchase and user, so that credits of one who did not buy them stand out.
    """

    accounts: int = 0
    debt: int = 0
    sources: dict[str, Where] = field(default_factory=dict)
    money: dict[str, Takings] = field(default_factory=dict)
    open: dict[tuple[str, str], Sold] = field(default_factory=dict)
    sold: Sold = field(default_factory=Sold)

    def add(self, other: Totals, sign: int = 1) -> None:
        """Sum up, or (sign -1) take away what was counted before."""
        self.accounts += sign * other.accounts
        self.debt += sign * other.debt
        self.sold.add(other.sold, sign)
        for source, where in other.sources.items():
            self.sources.setdefault(source, Where()).add(where, sign)
        for currency, money in other.money.items():
            mine = self.money.setdefault(currency, Takings())
            mine.purchases += sign * money.purchases
            mine.paid += sign * money.paid
            mine.taken_back += sign * money.taken_back
        for key, sold in other.open.items():
            known = self.open.setdefault(key, Sold())
            known.add(sold, sign)
            if known.agrees:
                # Whatever else is said of it is said as a change.
                del self.open[key]

    @property
    def whole(self) -> Where:
        """All sources together."""
        total = Where()
        for where in self.sources.values():
            total.add(where)
        return total


class AccountTally:
    """What one account adds to the totals, as its events come."""

    def __init__(self) -> None:
        self.ledger = Ledger(self._drawn)
        self._source: dict[str, str] = {}
        self._sources: dict[str, Where] = {}
        self._sold: dict[str, Sold] = {}

    def take(self, event: Event) -> str:
        """See ``Ledger.take``."""
        # First, since the ledger tells what it draws on grants by their source.
        if type(event) is CreditsGranted:
            self._grant(event)
        elif type(event) is CreditsRevoked and event.purchase_id is not None:
            self._sold.setdefault(event.purchase_id, Sold()).revoked += event.amount
        return self.ledger.take(event)

    def _grant(self, event: CreditsGranted) -> None:
        self._source[event.grant_id] = event.source
        self._sources.setdefault(event.source, Where()).granted += event.amount
        if event.purchase_id is None:
            return
        sold = self._sold.setdefault(event.purchase_id, Sold())
        if event.source == BOUGHT:
            sold.granted += event.amount
        else:
            sold.revoked -= event.amount

    def _drawn(self, what: str, grant_id: str, amount: int) -> None:
        where = self._sources.setdefault(self._source.get(grant_id, "unknown"), Where())
        if what == "spent":
            where.captured += amount
        elif what == "expired":
            where.expired += amount
        elif what == "settled":
            where.settled += amount
        elif what == "lapsed":
            where.expired -= amount
            where.taken_back += amount
        else:
            where.taken_back += amount

    def totals(self) -> Totals:
        """As they stand now; a copy."""
        state = self.ledger.state
        made = Totals(1, state.debt)
        for source, where in self._sources.items():
            made.sources[source] = Where(*astuple(where))
        for grant in state.grants.values():
            where = made.sources.setdefault(grant.source, Where())
            where.available += grant.left
            where.reserved += grant.held
        for purchase, sold in self._sold.items():
            made.open[purchase, state.user_id] = Sold(*astuple(sold))
            made.sold.add(sold, 1)
        return made


def purchase_totals(state: PurchaseState, version: int) -> Totals:
    """What one purchase adds to the totals; nothing as long as nobody paid."""
    made = Totals()
    if state.opened is None or not state.paid:
        return made
    agreed = state.agreed
    made.money[agreed.currency] = Takings(1, state.paid, state.taken_back)
    sold = Sold(sold=agreed.credits, due=state.revoked)
    made.open[agreed.purchase_id, agreed.user_id] = sold
    made.sold.add(sold, 1)
    sold.version = version
    return made

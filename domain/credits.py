"""A credit account: grants come in; a job reserves, then captures or releases.

At every version: granted = available + reserved + captured + expired + revoked - debt. Credits
are integers; one credit is one second of audio at the standard model. The draws that are made
on grants are recorded, so that a release undoes exactly those.

A payment that is taken back takes its credits back. What was spent meanwhile is a debt, and
whatever comes in settles it first: nobody has both a debt and credits to spend.

Decisions take ``now`` in epoch milliseconds, which must not lie before the account's last commit
(see ``commands.ledger.moment``): no clock that was set back revives an expired grant.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from domain.aggregate import Aggregate, Event
from domain.draws import Draw, Draws, Reservation, split, taken, total
from domain.erased import Erased
from domain.errors import Invalid, NotEnoughCredits, Refused
from domain.grants import BOUGHT, Grant, burn_order, lasting

# --- events (these names are the storage format) ---------------------------------------


class CreditsGranted(Event, frozen=True):
    """source: signup, purchase, promotion, adjustment, refund (of a job) or reinstatement.

    The last is for a payment that was taken back and came again: a dispute won, a refund that
    failed. expires: epoch milliseconds. Grants of low priority are spent first.
    """

    user_id: str
    grant_id: str
    source: str
    amount: int
    expires: int | None = None
    priority: int = 100
    job_id: str | None = None
    purchase_id: str | None = None
    reason: str = ""


class CreditsReserved(Event, frozen=True):
    """Held for a job, out of these grants."""

    user_id: str
    job_id: str
    amount: int
    draws: Draws


class CreditsCaptured(Event, frozen=True):
    """Spent by a job: ``draws``; what was held beyond the amount goes back: ``returned``."""

    user_id: str
    job_id: str
    amount: int
    draws: Draws
    returned: Draws = ()


class CreditsReleased(Event, frozen=True):
    """A job ended without stems: the whole hold goes back to its grants."""

    user_id: str
    job_id: str
    amount: int
    draws: Draws
    reason: str


class CreditsExpired(Event, frozen=True):
    """What a grant still had when its time was over. reason: of one that ended before its time."""

    user_id: str
    grant_id: str
    amount: int
    reason: str = ""


class CreditsRevoked(Event, frozen=True):
    """Taken back: ``draws``, ``lapsed``, and ``debt``, which was not there any more.

    lapsed: of what had expired unspent; nobody owes what he never used. source: refund or
    dispute (of a purchase), or adjustment.
    """

    user_id: str
    source: str
    amount: int
    draws: Draws
    debt: int = 0
    purchase_id: str | None = None
    reason: str = ""
    lapsed: Draws = ()


class DebtSettled(Event, frozen=True):
    """Credits that came in, or came back, went to the debt."""

    user_id: str
    amount: int
    draws: Draws


# --- state ------------------------------------------------------------------------------

MAX_AMOUNT = 1_000_000_000
"""Of one movement: thirty years of audio. Sums stay exact in any client's numbers."""


class CreditState(Struct):
    """Grants that still have credits, open reservations, and the totals of the law.

    lapsed: of bought grants, what expired unspent.
    """

    user_id: str = ""
    grants: dict[str, Grant] = {}
    reservations: dict[str, Reservation] = {}
    grants_made: int = 0
    granted: int = 0
    captured: int = 0
    expired: int = 0
    revoked: int = 0
    debt: int = 0
    lapsed: dict[str, int] = {}

    @property
    def reserved(self) -> int:
        """Credits held by open jobs."""
        return sum(r.amount for r in self.reservations.values())

    @property
    def left(self) -> int:
        """Credits in grants, also in those whose time is over and that nobody wrote off yet."""
        return sum(grant.left for grant in self.grants.values())

    def available(self, now: int) -> int:
        """Credits that can be spent at ``now`` (epoch ms): expired grants do not count."""
        return sum(g.left for g in self.grants.values() if not g.is_over(now))

    @property
    def balanced(self) -> bool:
        """The law: granted = available + reserved + captured + expired + revoked - debt."""
        accounted = self.left + self.reserved + self.captured + self.expired + self.revoked
        return self.granted == accounted - self.debt


def evolve(state: CreditState, event: Event) -> CreditState:
    """Fold one event."""
    match event:
        case CreditsReserved():
            state.reservations[event.job_id] = Reservation(event.amount, event.draws)
            for draw in event.draws:
                grant = state.grants[draw.grant_id]
                grant.left -= draw.amount
                grant.held += draw.amount
        case CreditsCaptured():
            del state.reservations[event.job_id]
            state.captured += event.amount
            for draw in event.draws:
                _unhold(state, draw, back=0)
            for draw in event.returned:
                _unhold(state, draw, back=draw.amount)
        case CreditsReleased():
            del state.reservations[event.job_id]
            for draw in event.draws:
                _unhold(state, draw, back=draw.amount)
        case CreditsGranted():
            state.user_id = event.user_id
            state.grants[event.grant_id] = Grant(
                event.amount, 0, event.expires, event.priority, state.grants_made, event.source
            )
            state.grants_made += 1
            state.granted += event.amount
        case _:
            _evolve_rare(state, event)
    return state


def _evolve_rare(state: CreditState, event: Event) -> None:
    match event:
        case CreditsExpired():
            state.expired += event.amount
            lapsed = Draw(event.grant_id, event.amount)
            if state.grants[event.grant_id].source == BOUGHT:
                _lapse(state, lapsed, 1)
            _take(state, lapsed)
        case CreditsRevoked():
            state.user_id = event.user_id
            state.revoked += event.amount
            state.debt += event.debt
            state.expired -= total(event.lapsed)
            for draw in event.lapsed:
                _lapse(state, draw, -1)
            for draw in event.draws:
                _take(state, draw)
        case DebtSettled():
            state.debt -= event.amount
            for draw in event.draws:
                _take(state, draw)
        case Erased():
            _begin_anew(state)


def _begin_anew(state: CreditState) -> None:
    """Of the past only what is owed still counts, and what a refund may still ask for."""
    state.grants_made = state.captured = 0
    state.granted = state.expired = sum(state.lapsed.values())
    state.revoked = state.debt


def _lapse(state: CreditState, draw: Draw, sign: int) -> None:
    state.lapsed[draw.grant_id] = state.lapsed.get(draw.grant_id, 0) + sign * draw.amount
    if not state.lapsed[draw.grant_id]:
        del state.lapsed[draw.grant_id]


def _take(state: CreditState, draw: Draw) -> None:
    state.grants[draw.grant_id].left -= draw.amount
    _drop_if_empty(state, draw.grant_id)


def _unhold(state: CreditState, draw: Draw, back: int) -> None:
    grant = state.grants[draw.grant_id]
    grant.held -= draw.amount
    grant.left += back
    _drop_if_empty(state, draw.grant_id)


def _drop_if_empty(state: CreditState, grant_id: str) -> None:
    # Only live grants stay in the state, so that it does not grow with history.
    grant = state.grants[grant_id]
    if grant.left == 0 and grant.held == 0:
        del state.grants[grant_id]


EVENTS = (
    CreditsGranted, CreditsReserved, CreditsCaptured, CreditsReleased, CreditsExpired,
    CreditsRevoked, DebtSettled, Erased,
)  # fmt: skip
# An account never ends and is loaded for every job. With a snapshot every six commits a load reads
# 12 KB at most, also of thirty grants and ten holds, which take 5 KB themselves.
CREDITS = Aggregate("credits", EVENTS, CreditState, evolve, snapshot_commits=6)

# --- decisions --------------------------------------------------------------------------


def grant(state: CreditState, granted: CreditsGranted, now: int) -> list[Event]:
    """Add credits, and settle the debt with them; the same grant again changes nothing.

    (It is known while any of it is left; who grants remembers longer.) Raises Invalid.
    """
    checked(granted.amount)
    if granted.grant_id in state.grants:
        return []
    lasts = granted.expires is None or granted.expires > now
    came = (Draw(granted.grant_id, granted.amount),) if lasts else ()
    return [granted, *_settle(state, came)]


def expire(state: CreditState, now: int) -> list[Event]:
    """Write off what is left in grants whose time is over; holds stay with their jobs."""
    return [
        CreditsExpired(state.user_id, grant_id, grant.left)
        for grant_id, grant in state.grants.items()
        if grant.left and grant.is_over(now)
    ]


def reserve(state: CreditState, job_id: str, amount: int, now: int) -> list[Event]:
    """Hold ``amount`` for a job, burning by priority, then expiry, then age.

    A job holds once: again changes nothing. Raises NotEnoughCredits, Invalid.
    """
    checked(amount)
    if job_id in state.reservations:
        return []
    available = state.available(now)
    if amount > available:
        raise NotEnoughCredits(amount, available, state.debt)
    draws = taken(burn_order(state.grants, now), amount)
    return [*expire(state, now), CreditsReserved(state.user_id, job_id, amount, draws)]


def capture(state: CreditState, job_id: str, amount: int, now: int) -> list[Event]:
    """Spend at most what the job holds; the rest goes back. Nothing held: no events."""
    hold = state.reservations.get(job_id)
    if hold is None:
        return []
    if amount:
        checked(amount)
    spent, returned = split(hold.draws, min(amount, hold.amount))
    captured = CreditsCaptured(state.user_id, job_id, total(spent), spent, returned)
    return [captured, *_settle(state, lasting(state.grants, returned, now))]


def release(state: CreditState, job_id: str, reason: str, now: int) -> list[Event]:
    """Give the job's hold back to its grants. Nothing held: no events."""
    hold = state.reservations.get(job_id)
    if hold is None:
        return []
    released = CreditsReleased(state.user_id, job_id, hold.amount, hold.draws, reason)
    return [released, *_settle(state, lasting(state.grants, hold.draws, now))]


def revoke(state: CreditState, wanted: CreditsRevoked, first: str, now: int) -> list[Event]:
    """Take ``wanted.amount`` back: out of the grant ``first``, also of what it has lost to time,
    then out of the others, then as a debt.

    What open jobs hold stays theirs. ``wanted`` says why; its draws and debt are found here.
    Raises Invalid.
    """
    amount = checked(wanted.amount)
    over = expire(state, now)
    just = (e for e in over if isinstance(e, CreditsExpired) and e.grant_id == first)
    lost = state.lapsed.get(first, 0) + sum(e.amount for e in just)
    spendable = burn_order(state.grants, now)
    own = taken((draw for draw in spendable if draw.grant_id == first), amount)
    lapsed = taken((Draw(first, lost),), amount - total(own))
    owing = amount - total(own) - total(lapsed)
    others = taken((draw for draw in spendable if draw.grant_id != first), owing)
    debt = owing - total(others)
    return [*over, replace(wanted, draws=own + others, debt=debt, lapsed=lapsed)]


def take_away(state: CreditState, wanted: CreditsRevoked, now: int) -> list[Event]:
    """Revoke what is there to spend, and never make a debt. Raises Invalid, Refused."""
    available = state.available(now)
    if wanted.amount > available:
        raise Refused(f"The account has {available} credits to take, not {wanted.amount}.")
    return revoke(state, wanted, "", now)


def checked(amount: object) -> int:
    """The amount. Raises Invalid unless it is a whole number of credits, 1..MAX_AMOUNT."""
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= MAX_AMOUNT:
        raise Invalid(f"A movement of credits is a whole number from 1 to {MAX_AMOUNT}.")
    return amount


def _settle(state: CreditState, came: Draws) -> list[Event]:
    paid = taken(came, state.debt)
    return [DebtSettled(state.user_id, total(paid), paid)] if paid else []

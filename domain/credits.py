"""A credit account: grants come in; a job reserves, then captures or releases.

At every version: granted = available + reserved + captured + expired. Credits are
integers; one credit is one second of audio at the standard model. The draws that a
reservation makes on grants are recorded, so that a release undoes exactly those.
"""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Aggregate, Event
from domain.errors import NotEnoughCredits

# --- events (these names are the storage format) ---------------------------------------


class Draw(Struct, frozen=True, array_like=True):
    """So many credits out of one grant."""

    grant_id: str
    amount: int


class CreditsGranted(Event, frozen=True):
    """source: signup, purchase, promotion, adjustment or refund, which names its job.

    expires: epoch milliseconds. Grants of low priority are spent first.
    """

    user_id: str
    grant_id: str
    source: str
    amount: int
    expires: int | None = None
    priority: int = 100
    job_id: str | None = None


class CreditsReserved(Event, frozen=True):
    """Held for a job, out of these grants."""

    user_id: str
    job_id: str
    amount: int
    draws: tuple[Draw, ...]


class CreditsCaptured(Event, frozen=True):
    """Spent by a job: ``draws``; what was held beyond the amount goes back: ``returned``."""

    user_id: str
    job_id: str
    amount: int
    draws: tuple[Draw, ...]
    returned: tuple[Draw, ...] = ()


class CreditsReleased(Event, frozen=True):
    """A job ended without stems: the whole hold goes back to its grants."""

    user_id: str
    job_id: str
    amount: int
    draws: tuple[Draw, ...]
    reason: str


class CreditsExpired(Event, frozen=True):
    """What a grant still had when its time was over."""

    user_id: str
    grant_id: str
    amount: int


# --- state ------------------------------------------------------------------------------


class Grant(Struct):
    """left: spendable credits; held: in reservations. number: order of arrival."""

    left: int
    held: int
    expires: int | None
    priority: int
    number: int


class Reservation(Struct, frozen=True):
    """A job's hold."""

    amount: int
    draws: tuple[Draw, ...]


class CreditState(Struct):
    """Grants that still have credits, open reservations, and the totals of the invariant."""

    user_id: str = ""
    grants: dict[str, Grant] = {}
    reservations: dict[str, Reservation] = {}
    grants_made: int = 0
    granted: int = 0
    captured: int = 0
    expired: int = 0

    @property
    def reserved(self) -> int:
        """Credits held by open jobs."""
        return sum(r.amount for r in self.reservations.values())

    def available(self, now: int) -> int:
        """Credits that can be spent at ``now`` (epoch ms): expired grants do not count."""
        return sum(g.left for g in self.grants.values() if not _is_over(g, now))


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
                event.amount, 0, event.expires, event.priority, state.grants_made
            )
            state.grants_made += 1
            state.granted += event.amount
        case CreditsExpired():
            state.expired += event.amount
            state.grants[event.grant_id].left -= event.amount
            _drop_if_empty(state, event.grant_id)
    return state


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


EVENTS = (CreditsGranted, CreditsReserved, CreditsCaptured, CreditsReleased, CreditsExpired)
CREDITS = Aggregate("credits", EVENTS, CreditState, evolve)

# --- decisions --------------------------------------------------------------------------


def grant(state: CreditState, granted: CreditsGranted) -> list[Event]:
    """Add credits; the same grant again changes nothing while any of it is left."""
    return [] if granted.grant_id in state.grants else [granted]


def expire(state: CreditState, now: int) -> list[Event]:
    """Write off what is left in grants whose time is over; holds stay with their jobs."""
    return [
        CreditsExpired(state.user_id, grant_id, grant.left)
        for grant_id, grant in state.grants.items()
        if grant.left and _is_over(grant, now)
    ]


def reserve(state: CreditState, job_id: str, amount: int, now: int) -> list[Event]:
    """Hold ``amount`` for a job, burning by priority, then expiry, then age.

    A job holds once: again changes nothing. Raises NotEnoughCredits.
    """
    if job_id in state.reservations:
        return []
    available = state.available(now)
    if amount > available:
        raise NotEnoughCredits(amount, available)
    over = expire(state, now)
    draws = _draw(state, amount, now)
    return [*over, CreditsReserved(state.user_id, job_id, amount, draws)]


def capture(state: CreditState, job_id: str, amount: int) -> list[Event]:
    """Spend at most what the job holds; the rest goes back. Nothing held: no events."""
    hold = state.reservations.get(job_id)
    if hold is None:
        return []
    spent, returned = _split(hold.draws, min(amount, hold.amount))
    taken = sum(d.amount for d in spent)
    return [CreditsCaptured(state.user_id, job_id, taken, spent, returned)]


def release(state: CreditState, job_id: str, reason: str) -> list[Event]:
    """Give the job's hold back to its grants. Nothing held: no events."""
    hold = state.reservations.get(job_id)
    if hold is None:
        return []
    return [CreditsReleased(state.user_id, job_id, hold.amount, hold.draws, reason)]


def _is_over(grant: Grant, now: int) -> bool:
    return grant.expires is not None and grant.expires <= now


def _draw(state: CreditState, amount: int, now: int) -> tuple[Draw, ...]:
    live = [(i, g) for i, g in state.grants.items() if g.left and not _is_over(g, now)]
    live.sort(key=lambda item: (item[1].priority, item[1].expires or 1 << 62, item[1].number))
    draws = []
    for grant_id, grant in live:
        if not amount:
            break
        taken = min(amount, grant.left)
        draws.append(Draw(grant_id, taken))
        amount -= taken
    return tuple(draws)


def _split(draws: tuple[Draw, ...], amount: int) -> tuple[tuple[Draw, ...], tuple[Draw, ...]]:
    spent, returned = [], []
    for draw in draws:
        taken = min(amount, draw.amount)
        amount -= taken
        if taken:
            spent.append(Draw(draw.grant_id, taken))
        if taken < draw.amount:
            returned.append(Draw(draw.grant_id, draw.amount - taken))
    return tuple(spent), tuple(returned)

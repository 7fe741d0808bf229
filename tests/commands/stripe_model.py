"""What really happens to payments at the provider, and the messages that it sends about it.

A pure model in the provider's terms: a checkout is paid or not, refunds go out and may fail later,
banks contest and decide. Each telling carries what was true when it was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from commands import (
    NoteDispute,
    NoteRefund,
    OpenCheckout,
    RecordLapse,
    RecordPayment,
    RecordPending,
    RecordRefund,
)
from commands.dispatch import Command
from domain.packs import Pack
from domain.purchase import LAPSED, OPEN, PAID, PENDING, Claim, Payment

CHECKOUTS = ("paid", "paid later", "failed later", "expired", "left open", "on its way")
REFUNDS = {
    "at once": ("succeeded",),
    "slowly": ("pending", "succeeded"),
    "asking": ("requires_action", "pending", "succeeded"),
    "failing": ("pending", "failed"),
    "failing late": ("pending", "succeeded", "failed"),
    "canceled": ("requires_action", "canceled"),
    "going on": ("pending",),
}
DISPUTES = {
    "inquiry": ("warning_needs_response", "warning_under_review", "warning_closed"),
    "open": ("needs_response",),
    "won": ("needs_response", "under_review", "won"),
    "lost": ("needs_response", "under_review", "lost"),
    "escalated": ("warning_needs_response", "needs_response", "lost"),
    "prevented": ("warning_needs_response", "prevented"),
}
_GONE = ("pending", "requires_action", "succeeded")
_CONTESTED = ("needs_response", "under_review", "lost")


class Refund(Struct, frozen=True):
    """percent: of the price. restores: whether the charge's sum goes down again when it fails."""

    course: str
    percent: int
    restores: bool


class Dispute(Struct, frozen=True):
    """percent: of the price; usually all of it."""

    course: str
    percent: int


class Story(Struct, frozen=True):
    """One purchase as it really went. at: in what order its refunds and disputes moved."""

    user: int
    pack: Pack
    checkout: str
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    at: tuple[int, ...] = ()


class Truth(Struct, frozen=True):
    """How a purchase must stand in the end. taken_back: minor units; revoked: credits."""

    status: str
    taken_back: int
    revoked: int
    granted: int


class Provider:
    """Plays one story; ``messages`` are what it tells, in true order."""

    def __init__(self, number: int, story: Story) -> None:
        self.id, self.story = f"p{number}", story
        self.user = f"u{story.user}"
        self.messages: list[Command] = []
        self._status = OPEN
        self._refunds: dict[str, Claim] = {}
        self._disputes: dict[str, Claim] = {}
        self._refused: set[str] = set()
        self._charge_says = 0
        self._check_out()
        if self._status == PAID:
            self._reverse()

    @property
    def opening(self) -> Command:
        """The user's own command, which the provider's messages may outrun."""
        return OpenCheckout(self.user, self.id, f"cs_{self.id}", self.story.pack)

    def truth(self) -> Truth:
        """From what happened, not from what was told."""
        pack = self.story.pack
        gone = sum(c.amount for c in self._refunds.values() if c.status in _GONE)
        contested = sum(c.amount for c in self._disputes.values() if c.status in _CONTESTED)
        paid = self._status == PAID
        taken = min(pack.amount, gone + contested) if paid else 0
        granted = pack.credits if paid else 0
        return Truth(self._status, taken, granted * taken // pack.amount, granted)

    def _check_out(self) -> None:
        pack = self.story.pack
        payment = Payment(f"cs_{self.id}", self.user, f"pi_{self.id}", pack.amount, pack.currency)
        pending, paid = RecordPending(self.id, payment), RecordPayment(self.id, payment)
        match self.story.checkout:
            case "paid":
                self._tell(PAID, paid)
            case "paid later":
                self._tell(PAID, pending, paid)
            case "failed later":
                self._tell(LAPSED, pending, RecordLapse(self.id, f"cs_{self.id}", "payment_failed"))
            case "expired":
                self._tell(LAPSED, RecordLapse(self.id, f"cs_{self.id}", "expired"))
            case "on its way":
                self._tell(PENDING, pending)

    def _tell(self, status: str, *messages: Command) -> None:
        self._status = status
        self.messages += messages

    def _reverse(self) -> None:
        """Refunds and disputes move by turns, in the order that the story draws."""
        courses: list[list[Callable[[], None]]] = [
            *[self._refunding(f"re_{n}", refund) for n, refund in enumerate(self.story.refunds)],
            *[self._contesting(f"dp_{n}", d) for n, d in enumerate(self.story.disputes)],
        ]
        turns = iter(self.story.at)
        while courses := [course for course in courses if course]:
            courses[next(turns, 0) % len(courses)].pop(0)()

    def _refunding(self, name: str, refund: Refund) -> list[Callable[[], None]]:
        amount = self._share(refund.percent)

        def move(status: str) -> None:
            if name not in self._refunds and not self._begin(name, amount):
                return
            if status in ("failed", "canceled") and refund.restores:
                self._charge_says -= amount
                self.messages.append(RecordRefund(self.id, self._charge_says))
            self._refunds[name] = Claim(amount, status)
            self.messages.append(NoteRefund(self.id, name, Claim(amount, status)))

        return [partial(move, status) for status in REFUNDS[refund.course]]

    def _begin(self, name: str, amount: int) -> bool:
        """Whether there is so much to give back; asked once, at the refund's first move."""
        gone = sum(c.amount for c in self._refunds.values() if c.status in _GONE)
        if name in self._refused or gone + amount > self.story.pack.amount:
            self._refused.add(name)
            return False
        self._charge_says += amount
        self.messages.append(RecordRefund(self.id, self._charge_says))
        return True

    def _contesting(self, name: str, dispute: Dispute) -> list[Callable[[], None]]:
        amount = self._share(dispute.percent)

        def move(status: str) -> None:
            self._disputes[name] = Claim(amount, status)
            self.messages.append(NoteDispute(self.id, name, Claim(amount, status)))

        return [partial(move, status) for status in DISPUTES[dispute.course]]

    def _share(self, percent: int) -> int:
        return max(1, self.story.pack.amount * percent // 100)

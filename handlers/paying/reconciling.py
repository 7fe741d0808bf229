"""Compare Stripe's list with our purchases, in both directions, and repair what can be.

A webhook may be lost for good (an endpoint switched off, an outage of more than three days). What
it would have done is done here by the same commands, so running it twice changes nothing.

Memory grows with the refunds and disputes of the period and with one id for each purchase.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from commands import RecordPayment, execute
from commands.dispatch import Command
from domain.commit import Meta
from domain.errors import NotFound, SplitSoundError
from domain.purchase import PAID, PURCHASE, Claim, PurchaseState
from handlers.paying import notices
from handlers.paying.buying import shop
from handlers.paying.differences import UNKNOWN_THERE, Finding, Told, found
from infra.bootstrap import Application
from infra.payments.objects import Session
from projections.sweeping import streams

# A session is made at Stripe before it is on record here, and clocks differ.
SLACK_MS = 3_600_000


class Sums(Struct):
    """Money of one currency, in minor units, of the purchases of the period.

    there: as Stripe tells; here: as our events do. taken_back: refunded or contested.
    """

    paid_there: int = 0
    taken_back_there: int = 0
    paid_here: int = 0
    taken_back_here: int = 0

    @property
    def agree(self) -> bool:
        """Whether both tell the same."""
        return (self.paid_there, self.taken_back_there) == (self.paid_here, self.taken_back_here)


class Report(Struct):
    """since: epoch ms. sessions: of ours at Stripe; foreign: others'; here: purchases on record.

    refunds, disputes: of ours at Stripe. sums: by currency.
    """

    since: int
    sessions: int = 0
    foreign: int = 0
    here: int = 0
    refunds: int = 0
    disputes: int = 0
    sums: dict[str, Sums] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Nothing differs, or all that did was repaired."""
        return all(finding.repaired for finding in self.findings)


def reconcile(application: Application, since: int, *, repair: bool = False) -> Report:
    """Compare what was opened at ``since`` (epoch ms) or later, and what was taken back since.

    repair: execute what is missing here. Raises NothingForSale, Unavailable.
    """
    return _Reconciling(application, since, repair).run()


class _Reconciling:
    def __init__(self, application: Application, since: int, repair: bool) -> None:
        self._application = application
        self._payments = shop(application)
        self._since = since - SLACK_MS
        self._repair = repair
        self._report = Report(since)
        self._claims: dict[str, Told] = {}
        self._seen: set[str] = set()

    def run(self) -> Report:
        self._gather_claims()
        for session in self._payments.sessions(self._since):
            self._look_at(session)
        for purchase_id, told in self._claims.items():
            if purchase_id not in self._seen:  # of before the period
                self._compare(purchase_id, told, counts=False)
        for purchase_id, state in self._on_record():
            self._report.here += 1
            if purchase_id not in self._seen:
                self._ask_for(purchase_id, state)
        return self._report

    def _gather_claims(self) -> None:
        for refund in self._payments.refunds(self._since):
            if noted := notices.of_refund(refund, self._payments):
                self._report.refunds += 1
                self._told(noted.purchase_id).refunds[noted.refund_id] = noted.claim
        for dispute in self._payments.disputes(self._since):
            if known := notices.of_dispute(dispute, self._payments):
                self._report.disputes += 1
                self._told(known.purchase_id).disputes[known.dispute_id] = known.claim

    def _told(self, purchase_id: str) -> Told:
        return self._claims.setdefault(purchase_id, Told())

    def _look_at(self, session: Session) -> None:
        purchase_id = notices.purchase_of(session.metadata)
        if purchase_id is None:
            self._report.foreign += 1
            return
        self._report.sessions += 1
        self._seen.add(purchase_id)
        claims = self._claims.get(purchase_id) or Told()
        self._compare(purchase_id, Told(session, claims.refunds, claims.disputes))

    def _compare(self, purchase_id: str, told: Told, *, counts: bool = True) -> None:
        here = self._load(purchase_id)
        if here is not None:
            self._ask_for_session(here, told)
            self._ask_for_claims(here, told)
        findings = found(purchase_id, here, told, self._payments)
        for finding, commands in findings:
            self._note(finding, commands)
        if self._repair and any(commands for _, commands in findings):
            here = self._load(purchase_id)
        if counts:
            self._add_up(here, told)

    def _ask_for_session(self, here: PurchaseState, told: Told) -> None:
        """What was paid, and told here, after its page of the list was read, is not unpaid."""
        session = told.session
        if session is None or here.status != PAID or session.id != here.agreed.session_id:
            return
        if not isinstance(notices.of_session(session), RecordPayment):
            told.session = self._payments.session(session.id)

    def _ask_for_claims(self, here: PurchaseState, told: Told) -> None:
        """What came or moved on while the lists were read, or lies before them, is not news."""
        for refund_id in _differing(here.refunds, told.refunds):
            if refund := self._payments.refund(refund_id):
                told.refunds[refund_id] = Claim(refund.amount, refund.status or "pending")
        for dispute_id in _differing(here.disputes, told.disputes):
            if dispute := self._payments.dispute(dispute_id):
                told.disputes[dispute_id] = Claim(dispute.amount, dispute.status)

    def _on_record(self) -> Iterator[tuple[str, PurchaseState]]:
        """Every purchase that was opened in the period, as its events tell."""
        for stream in streams(self._application.store, lambda name: name.startswith("purchase-")):
            if stream.commits[0].t >= self._report.since:
                events = [e for c in stream.commits for e in PURCHASE.decode(str(c.events))]
                yield stream.name.partition("-")[2], PURCHASE.fold(events)

    def _ask_for(self, purchase_id: str, state: PurchaseState) -> None:
        """Of one that Stripe did not list: it may be new, or not be there at all."""
        try:
            session = self._payments.session(state.agreed.session_id)
        except NotFound:
            session = None
        if session is not None:
            self._compare(purchase_id, Told(session))
        elif state.status == PAID:
            what = f"granted for {state.agreed.session_id}, which Stripe does not know"
            self._note(Finding(purchase_id, UNKNOWN_THERE, what, state.agreed.user_id), [])
            self._add_up(state, Told())

    def _note(self, finding: Finding, commands: list[Command]) -> None:
        finding.repairable = bool(commands)
        if self._repair and commands:
            try:
                for command in commands:
                    self._execute(command)
                finding.repaired = True
            except SplitSoundError as error:
                finding.what += f"; it could not be repaired: {error.detail}"
        self._report.findings.append(finding)

    def _execute(self, command: Command) -> None:
        application = self._application
        meta = Meta(application.ids.fresh("cmd"), "reconciliation")
        execute(application.context, command, meta)

    def _load(self, purchase_id: str) -> PurchaseState | None:
        loaded = self._application.store.load(PURCHASE, PURCHASE.stream(purchase_id))
        return loaded.state if loaded.version else None

    def _add_up(self, here: PurchaseState | None, told: Told) -> None:
        there = told.as_state()
        if there and here and there.agreed.session_id != here.agreed.session_id:
            here = None  # it is added up with its own session
        for state, is_here in ((here, True), (there, False)):
            if state is None or not state.paid:
                continue
            sums = self._report.sums.setdefault(state.agreed.currency, Sums())
            if is_here:
                sums.paid_here += state.paid
                sums.taken_back_here += state.taken_back
            else:
                sums.paid_there += state.paid
                sums.taken_back_there += state.taken_back


def _differing(here: dict[str, Claim], told: dict[str, Claim]) -> list[str]:
    return [name for name, claim in here.items() if claim != told.get(name)]

"""What walks say of one stream, and what an audit says of a store that does not stand still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from commands import (
    AdjustCredits,
    CancelSeparation,
    NoteDispute,
    OpenCheckout,
    RecordPayment,
    RecordRefund,
)
from domain.commit import Chain, Commit
from domain.credits import CREDITS
from domain.errors import HistoryBroken
from domain.packs import Pack
from domain.purchase import Claim, Payment
from handlers.bench import ledger
from handlers.operating.auditing import Audit, disagreeing
from infra.event_store.memory import MemoryStore
from projections.audit.statement import statement
from projections.audit.totals import Totals
from projections.audit.walking import Walk, Walked
from tests.domain.golden.history import streams
from tests.world import StillClock, World

PACK = Pack("hour", "1 hour", 1000, 390, "eur", expires_days=1)


def buy(world: World, name: str, user: str = "u") -> None:
    world.do(OpenCheckout(user, f"pur_{name}", f"cs_{name}", PACK))
    world.do(RecordPayment(f"pur_{name}", Payment(f"cs_{name}", user, None, 390, "eur")))


class Live(MemoryStore):
    """Commands go on between the streams of a scan."""

    def __init__(self) -> None:
        super().__init__(StillClock())
        self.passing: Callable[[], object] = lambda: None

    def read_all(self) -> Iterator[Commit]:
        """Nothing passes meanwhile."""
        return super().scan()

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        for stream in sorted(self._streams):
            yield from self.read(stream)
            self.passing()


def audited(store: Any, *, thorough: bool = True) -> Walked:
    return Audit(store, thorough=thorough, segments=1, workers=1).everything()


def test_the_recorded_history_is_whole() -> None:
    found = Walked()
    for stream, commits in streams().items():
        found.add(Walk(stream).run(commits))
    assert found.findings == []
    assert found.pairs.unanswered == []
    assert disagreeing(found) == []
    assert found.totals.whole.off == 0
    assert not found.unknown


@pytest.mark.parametrize("thorough", [True, False])
def test_transactions_during_the_scan_are_taken_whole(thorough: bool) -> None:
    world = World(store=Live())
    store: Live = world.store
    for user in ("a", "u"):
        world.sign_up(user)
        world.ready_asset(user, f"{user}-asset")
    buy(world, "first")
    todo: list[Callable[[], object]] = [
        lambda: buy(world, "late"),
        lambda: world.do(RecordRefund("pur_first", 100)),
        lambda: world.queued_job("j", "u", "u-asset"),
        lambda: world.do(NoteDispute("pur_late", "dp_1", Claim(390, "needs_response"))),
        lambda: world.do(CancelSeparation("u", "j")),
        lambda: world.do(AdjustCredits("u", 5, "a gift")),
        lambda: buy(world, "last", "a"),
    ]
    store.passing = lambda: todo.pop(0)() if todo else None
    found = audited(store, thorough=thorough)
    assert not todo
    assert found.findings == []
    assert disagreeing(found) == []
    assert found.totals.whole.off == 0
    store.passing = lambda: None
    again = audited(store, thorough=thorough)
    assert disagreeing(again) == []
    if thorough:
        assert again.streams == len({commit.stream for commit in store.read_all()})


def test_a_walk_that_goes_on_adds_only_what_is_new() -> None:
    account = ledger.long_account()[:501]
    whole, first = Walk(account[0].stream).run(account), Walked()
    first.add(Walk(account[0].stream).run(account[:200]))
    first.add(Walk(account[0].stream, since=200).run(account))
    assert (first.streams, first.commits, first.events) == (1, 501, 501)
    assert first.totals == whole.totals
    nothing = Walk(account[0].stream, since=501).run(account)
    assert (nothing.streams, nothing.events, nothing.totals) == (0, 0, Totals())


def test_expired_purchases_that_are_refunded_are_taken_back_and_not_lost() -> None:
    world = World()
    world.sign_up()
    buy(world, "old")
    world.clock.time += 2 * 86_400_000
    world.do(AdjustCredits("u", 5, "so that the expiry is written"))
    world.ready_asset()
    world.queued_job()
    world.do(RecordRefund("pur_old", 390))
    found = audited(world.store)
    assert (found.findings, disagreeing(found)) == ([], [])
    bought = found.totals.sources["purchase"]
    assert (bought.granted, bought.taken_back, bought.expired, bought.off) == (1000, 1000, 0, 0)


def test_a_chain_is_followed_behind_a_break() -> None:
    account = ledger.long_account()[:10]
    account[3] = msgspec.structs.replace(account[3], actor="nobody")
    chain, broken = Chain(), []
    for commit in account:
        try:
            assert chain.follow(commit) == commit.body()
        except HistoryBroken:
            broken.append(commit.first)
    assert (broken, chain.version) == ([4], 10)


def test_a_long_account_is_told_in_full() -> None:
    account = ledger.long_account()
    done = statement(account, account[-1].t)
    state = CREDITS.fold(e for c in account for e in CREDITS.decode(str(c.events)))
    last = done.entries[-1]
    assert len(done.entries) == ledger.EVENTS
    assert done.wrong == []
    assert (last.available, last.held, last.spent) == (state.left, state.reserved, state.captured)
    for entry in done.entries[::97]:
        accounted = entry.available + entry.held + entry.spent + entry.expired + entry.revoked
        assert entry.granted == accounted - entry.debt

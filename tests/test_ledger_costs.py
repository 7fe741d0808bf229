"""What money costs in DynamoDB units, and what it costs to load an account of any length.

As in ``test_costs``: writes leave snapshots aside, reads include them where a test says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from commands import AdjustCredits, OpenCheckout, RecordPayment, RecordRefund
from domain import credits
from domain.aggregate import Event
from domain.commit import Append, Meta
from domain.credits import CREDITS, CreditsGranted, CreditState
from domain.packs import Pack
from domain.purchase import Payment
from infra.event_store.memory import MemoryStore
from infra.metering import Units
from tests.conftest import Cloud
from tests.test_costs import Client, metered, single_stream, with_snapshots_counted

ALBUM = Pack("album", "5 hours of audio", 18_000, 1490, "eur")
DAY = 86_400_000
# One transaction takes a hundred items.
TOGETHER = 100


@pytest.fixture
def client(cloud: Cloud) -> Client:
    return metered(cloud)


def checkout(client: Client) -> tuple[OpenCheckout, RecordPayment]:
    """With ids as long as the provider's."""
    purchase, session = client.ids.fresh("pur"), "cs_live_" + "a1" * 29
    payment = Payment(session, client.user, "pi_" + "3N" * 12, ALBUM.amount, ALBUM.currency)
    return OpenCheckout(client.user, purchase, session, ALBUM), RecordPayment(purchase, payment)


class Past:
    """An account's past: lived in memory by the ledger's own decisions, then written at once."""

    def __init__(self, client: Client) -> None:
        self.client, self.stream = client, CREDITS.stream(client.user)
        self.store = cast(Any, client.context.store)
        self.memory = MemoryStore(client.context.clock)
        commits = list(self.store.read(self.stream))
        for commit in commits:
            self.memory.put([commit])
        self.written = len(commits)

    @property
    def now(self) -> int:
        """Epoch ms."""
        return self.client.context.clock.now()

    @property
    def state(self) -> CreditState:
        """As it stands."""
        return self.memory.load(CREDITS, self.stream).state

    def append(self, events: Sequence[Event]) -> None:
        """A commit with ids as long as real ones."""
        ids, user = self.client.ids, self.client.user
        meta = Meta(ids.fresh("cmd"), user, ids.fresh("req"), ids.fresh("cmd"))
        self.memory.append([Append(self.memory.load(CREDITS, self.stream), events)], meta)

    def grant(self) -> None:
        """Some that last a few weeks."""
        number = self.state.grants_made
        given = CreditsGranted(
            self.client.user, self.client.ids.fresh("grt"), "purchase", ALBUM.credits,
            self.now + (30 + number) * DAY, purchase_id=self.client.ids.fresh("pur"),
        )  # fmt: skip
        self.append(credits.grant(self.state, given, self.now))

    def rush(self, jobs: int) -> None:
        """So many jobs held and released in one commit, to live long quickly."""
        state, events = self.state, list[Event]()
        for _ in range(jobs):
            job = self.client.ids.fresh("job")
            held = credits.reserve(state, job, 240, self.now)
            CREDITS.fold(held, state)
            released = credits.release(state, job, "worker_lost", self.now)
            CREDITS.fold(released, state)
            events += held + released
        self.append(events)

    def hold(self) -> str:
        """A job's hold."""
        job = self.client.ids.fresh("job")
        self.append(credits.reserve(self.state, job, 240, self.now))
        return job

    def release(self, job: str) -> None:
        """The job failed."""
        self.append(credits.release(self.state, job, "worker_lost", self.now))

    def write(self) -> int:
        """Put what is new; how many commits there are."""
        commits = list(self.memory.read(self.stream))
        for start in range(self.written, len(commits), TOGETHER):
            self.store.put(commits[start : start + TOGETHER])
        self.written = len(commits)
        return self.written


def loading(client: Client) -> float:
    """Read units of loading the account, snapshots included."""
    counted = with_snapshots_counted(client)
    counted.context.store.load(CREDITS, CREDITS.stream(client.user))
    return counted.meter.totals().reads


def test_buying_and_a_refund(client: Client) -> None:
    client.sign_up()
    opened, paid = checkout(client)
    assert client.run(opened) == Units(reads=1, writes=1)
    assert client.run(opened) == Units(reads=1, writes=0)
    # Two items in one transaction, which doubles them.
    assert client.run(paid) == Units(reads=2, writes=4)
    assert client.run(paid) == Units(reads=1, writes=0)
    refund = RecordRefund(opened.purchase_id, 745)
    assert client.run(refund) == Units(reads=2, writes=4)
    assert client.run(refund) == Units(reads=1, writes=0)


def test_an_adjustment_reads_back_to_see_whether_it_is_a_repetition(client: Client) -> None:
    client.sign_up()
    given = AdjustCredits(client.user, 100, "We broke your song.")
    assert client.run(given) == Units(reads=2, writes=1)
    assert client.run(AdjustCredits(client.user, -100, "That was too much.")).writes == 1
    past = Past(client)
    for _ in range(50):
        past.release(past.hold())
    past.write()
    cost = client.run(given)
    # Sixty-four commits: a few cents a month for whoever adjusts a thousand accounts a day.
    assert (cost.writes, cost.reads <= 10) == (1, True)


def test_the_hundred_and_first_commit_of_an_account_costs_what_the_second_does(
    client: Client,
) -> None:
    client.sign_up()
    past = Past(client)
    for _ in range(49):
        past.release(past.hold())
    past.grant()
    assert past.write() == 100
    opened, paid = checkout(client)
    client.run(opened)
    assert client.run(paid) == Units(reads=2, writes=4)
    assert single_stream(client.run(checkout(client)[0]))
    assert client.run(RecordRefund(opened.purchase_id, 1490)).reads <= 3


def test_loading_an_account_costs_three_read_units_whatever_its_length(client: Client) -> None:
    client.sign_up()
    past = Past(client)
    for _ in range(495):
        past.rush(jobs=10)
    for _ in range(50):
        past.release(past.hold())
    past.write()
    assert client.context.store.load(CREDITS, past.stream).version == 10_001
    for _ in range(8):
        past.hold()
        past.write()
        assert loading(client) <= 3


def test_nor_does_it_cost_more_with_thirty_grants_and_ten_holds(client: Client) -> None:
    client.sign_up()
    past = Past(client)
    for _ in range(29):
        past.grant()
    for _ in range(10):
        past.hold()
    reads = []
    for _ in range(18):
        job = past.hold()
        past.write()
        reads.append(loading(client))
        past.release(job)
    assert (len(past.state.grants), len(past.state.reservations)) == (30, 10)
    assert max(reads) <= 3

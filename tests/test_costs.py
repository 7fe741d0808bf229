"""What commands cost in DynamoDB units; a test fails when one costs more than it should.

Units are computed from item sizes, by AWS's rules (infra/metering.py). Writes leave snapshots
aside, which every sixteenth commit or so carries (of accounts: every sixth); reads include them.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from commands import (
    CompleteSeparation,
    CompleteUpload,
    Context,
    FailSeparation,
    InitializeUpload,
    Pause,
    RecordProbe,
    RecordStage,
    RefundSeparation,
    RequestSeparation,
    RequeueSeparation,
    SignUp,
    StartSeparation,
    execute,
)
from commands.dispatch import Command
from domain import ids
from domain.asset import ASSET, part_size
from domain.audio import Audio
from domain.catalog import Catalog, Limits, Model
from domain.commit import Meta
from domain.credits import CREDITS
from domain.job import STAGES
from domain.stems import StemFile
from infra.clock import SystemClock, SystemIds
from infra.event_store.dynamodb import DynamoDBStore
from infra.event_store.memory import MemoryStore
from infra.metering import Meter, Units
from infra.straight import StraightClient
from tests.conftest import Cloud

SONG = Audio(44_100 * 240, 44_100, 2)
CATALOG = Catalog(
    {"standard": Model("standard", "Standard", ("vocals", "drums", "bass", "other"))},
    "standard", Limits(), "2026-11",
)  # fmt: skip


class PaddedSealer:
    """As long as the real one's output: nonce, tag and base64."""

    def seal(self, user_id: str, place: tuple[str, int, str], text: str) -> str:
        """Not secret at all."""
        return "A" * (4 * (len(text) + 28) // 3)


@dataclass
class Client:
    """A user's commands, metered one by one."""

    meter: Meter
    context: Context
    user: str = field(default_factory=lambda: SystemIds().fresh("usr"))
    ids: SystemIds = field(default_factory=SystemIds)

    def run(self, command: Command) -> Units:
        """Execute and tell the cost."""
        self.meter.reset()
        # Actor, correlation, cause and trace as the API and the worker set them.
        meta = Meta(
            self.ids.fresh("cmd"), self.user, self.ids.fresh("req"), self.ids.fresh("cmd"),
            f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01",
        )  # fmt: skip
        execute(self.context, command, meta)
        return self.meter.totals()

    def sign_up(self) -> Units:
        """A new user."""
        issuer = "https://login.example.com/"
        return self.run(SignUp(self.user, issuer, "someone.with-a-name@example.com"))

    def upload(self) -> str:
        """An asset that is ready."""
        asset = self.ids.fresh("ast")
        key = f"user_{self.user}/originals/{asset}/source.flac"
        size = 31_457_280
        upload_id = ids.fresh("upl", 0, os.urandom(10)) * 3
        opening = InitializeUpload(
            self.user, asset, "A song with a long title (live).flac", "audio/flac", size,
            part_size(size), key, upload_id,
        )  # fmt: skip
        assert single_stream(self.run(opening))
        etag = '"0123456789abcdef0123456789abcdef-30"'
        assert single_stream(self.run(CompleteUpload(self.user, asset, size, etag)))
        assert single_stream(self.run(RecordProbe(asset, SONG, "flac", "flac")))
        return asset

    def request(self, asset: str) -> tuple[str, Units]:
        """An accepted job and its cost."""
        job = self.ids.fresh("job")
        cost = self.run(RequestSeparation(self.user, job, asset, "standard", "flac"))
        return job, cost

    def start(self, job: str) -> Units:
        """A worker's claim."""
        return self.run(StartSeparation(job, "worker-ip-10-0-31-204-7f3a"))

    def complete(self, job: str, attempt: int = 1) -> Units:
        """All stems are in storage."""
        prefix = f"user_{self.user}/jobs/{job}/output/{attempt}"
        stems = tuple(
            StemFile(s, f"{prefix}/{s}.flac", 23_456_789, "audio/flac", 0.98765)
            for s in CATALOG.models["standard"].stems
        )
        return self.run(CompleteSeparation(job, attempt, stems, -0.1234))


def single_stream(cost: Units) -> bool:
    """The budget of a command on one stream."""
    return cost.writes == 1 and cost.reads <= 3


@pytest.fixture
def client(cloud: Cloud) -> Client:
    return metered(cloud)


def metered(cloud: Cloud) -> Client:
    """A user who is not there yet."""
    meter = Meter(StraightClient(cloud.client("dynamodb")), snapshots=False)
    return Client(meter, _context(meter, cloud.resources.events_table))


def _context(meter: Any, table: str) -> Context:
    clock = SystemClock()
    store = DynamoDBStore(meter, table, clock)
    return Context(store, clock, SystemIds(), PaddedSealer(), CATALOG, signup_grant=10**9)


def with_snapshots_counted(client: Client) -> Client:
    """The same user with a meter that leaves nothing aside."""
    plain: Any = client.meter._client
    store: Any = client.context.store
    meter = Meter(plain)
    return Client(meter, _context(meter, store._table), client.user)


def test_an_accepted_job_costs_four_write_units_and_at_most_six_read_units(client: Client) -> None:
    assert client.sign_up() == Units(reads=2, writes=4)
    _, cost = client.request(client.upload())
    assert cost == Units(reads=3, writes=4)


def test_each_step_of_a_job(client: Client) -> None:
    client.sign_up()
    job, _ = client.request(client.upload())
    assert client.start(job) == Units(reads=1, writes=1)
    for stage in STAGES:
        assert client.run(RecordStage(job, 1, stage, 12_345)) == Units(reads=1, writes=1)
    # Four stems with their keys take more than a KB; both halves are doubled.
    assert client.complete(job) == Units(reads=2, writes=6)


def test_a_failed_job(client: Client) -> None:
    client.sign_up()
    job, _ = client.request(client.upload())
    client.start(job)
    failed = FailSeparation(job, 1, "decode", "media_unreadable", "The file ends in its middle.")
    assert client.run(failed) == Units(reads=2, writes=4)


def test_what_operators_do_to_a_job(client: Client) -> None:
    client.sign_up()
    job, _ = client.request(client.upload())
    client.start(job)
    assert single_stream(client.run(RequeueSeparation(job, "The worker hangs.")))
    client.start(job)
    client.complete(job, attempt=3)
    refund = RefundSeparation(job, "The stems hiss.")
    cost = client.run(refund)
    assert (cost.writes, cost.reads <= 5) == (4, True)
    assert client.run(refund).writes == 0
    assert single_stream(client.run(Pause("intake", "Moving house.")))


def test_a_refused_repetition_costs_no_write(client: Client) -> None:
    client.sign_up()
    job, _ = client.request(client.upload())
    client.start(job)
    client.complete(job)
    assert client.start(job).writes == 0
    assert client.complete(job).writes == 0


def test_a_job_with_sixty_stage_events_stays_cheap(client: Client) -> None:
    client.sign_up()
    job, _ = client.request(client.upload())
    counted = with_snapshots_counted(client)
    client.start(job)
    for number in range(60):
        stage = RecordStage(job, 1, STAGES[number % 6], 12_345)
        if number % 2:
            assert single_stream(client.run(stage))
        else:
            # What a load reads, snapshots included.
            assert counted.run(stage).reads <= 3


def test_an_account_with_five_hundred_jobs_stays_cheap(client: Client) -> None:
    client.sign_up()
    asset = client.upload()
    _live_through(500, client, asset)
    counted = with_snapshots_counted(client)
    assert client.context.store.load(CREDITS, CREDITS.stream(client.user)).version == 1001
    worst = Units()
    for number in range(36):
        # In turns with and without what snapshots cost, so that both meet every distance.
        runner = counted if number % 2 else client
        job, accepted = runner.request(asset)
        released = runner.run(FailSeparation(job, None, "queue", "worker_lost", "Nobody came."))
        worst.reads = max(worst.reads, accepted.reads, released.reads)
        if runner is client:
            assert (accepted.writes, released.writes) == (4, 4)
    assert worst.reads <= 4  # within the budget of 6: job, asset and account


def _live_through(jobs: int, client: Client, asset: str) -> None:
    """So many jobs of the past, lived in memory and written with their snapshots."""
    real: Any = client.context.store
    memory = MemoryStore(client.context.clock)
    for stream in (CREDITS.stream(client.user), ASSET.stream(asset)):
        for commit in real.read(stream):
            memory.put([commit])
    context = msgspec.structs.replace(client.context, store=memory)
    past = dataclasses.replace(client, context=context)
    for _ in range(jobs):
        job, _ = past.request(asset)
        past.run(FailSeparation(job, None, "queue", "worker_lost", "No worker finished it."))
    account = list(memory.read(CREDITS.stream(client.user)))[1:]
    for start in range(0, len(account), 50):
        real.put(account[start : start + 50])

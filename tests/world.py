"""The whole system in one process, in memory: for property tests and simulations."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

import projections
from commands import (
    CompleteUpload,
    Context,
    InitializeUpload,
    Position,
    RecordProbe,
    RequestSeparation,
    SignUp,
    execute,
)
from commands.dispatch import Command
from domain import ids
from domain.audio import Audio
from domain.catalog import Catalog, Limits, Model
from domain.commit import Commit, Meta
from domain.credits import CREDITS, CreditState
from domain.job import JOB, JobState
from handlers.projector import Projector
from handlers.projector.vitals import Vitals
from infra.event_store.memory import MemoryStore
from infra.memory_rows import MemoryRows
from infra.memory_table import MemoryTable
from infra.operations import ParkedStreams, Pulses, TableGenerations
from infra.switchboard import CachedSwitchboard
from projections.catch_up import Reading
from projections.projection import Projection
from projections.results import KnownResults

CATALOG = Catalog(
    models={
        "two": Model("two", "Two stems", ("vocals", "accompaniment")),
        "four": Model("four", "Four stems", ("vocals", "drums", "bass", "other"), "1.5", True),
    },
    default_model="two",
    limits=Limits(max_seconds=600, max_bytes=1_000_000),
    price_list="test",
)


class StillClock:
    """A clock that tests move by hand."""

    def __init__(self, time: int = 1_700_000_000_000) -> None:
        self.time = time

    def now(self) -> int:
        """See Clock."""
        return self.time


class SeededIds:
    """Ids that are the same in every run of a seed."""

    def __init__(self, clock: StillClock, seed: int) -> None:
        self._clock, self._random = clock, random.Random(seed)

    def fresh(self, prefix: str) -> str:
        """See Ids."""
        return ids.fresh(prefix, self._clock.now(), self._random.randbytes(10))


class PlainSealer:
    """Marks what would be sealed."""

    def seal(self, user_id: str, place: tuple[str, int, str], text: str) -> str:
        """See Sealer."""
        return f"sealed:{text}"


@dataclass
class World:
    """Commands and reads over one memory store."""

    seed: int = 0
    clock: StillClock = field(default_factory=StillClock)
    store: Any = None
    grant: int = 600
    pause: Callable[[float], Any] = lambda _: None

    def __post_init__(self) -> None:
        self.store = self.store or MemoryStore(self.clock)
        self.rows = MemoryRows()
        self.table = MemoryTable()
        self.generations = TableGenerations(self.table)
        # Nothing is remembered: in a test no time passes between a change and its reader.
        self.parked = ParkedStreams(self.table, cache_seconds=0)
        self.pulses = Pulses(self.table)
        self.switchboard = CachedSwitchboard(self.store, self.clock, seconds=0)
        self.context = Context(
            self.store,
            self.clock,
            SeededIds(self.clock, self.seed),
            PlainSealer(),
            CATALOG,
            self.grant,
            results=KnownResults(lambda: self.reading),
            pause=self.pause,
            random=random.Random(self.seed),
        )

    @property
    def reading(self) -> Reading:
        """Store, rows and generations."""
        return Reading(self.store, self.rows, self.generations)

    def projector(self, known: Mapping[str, Projection[Any]] = projections.ALL) -> Projector:
        """A projector process."""
        return Projector(
            known, self.reading, self.parked, self.switchboard,
            Vitals("test", self.pulses, self.clock), self.clock, structlog.get_logger(),
        )  # fmt: skip

    def do(self, command: Command, cmd: str | None = None) -> tuple[Position, ...]:
        """Execute a command under a fresh command id."""
        return execute(self.context, command, Meta(cmd or self.context.ids.fresh("cmd"), "test"))

    def sign_up(self, user: str = "u") -> str:
        """A user with the signup grant."""
        self.do(SignUp(user, "development", f"{user}@example.com"))
        return user

    def ready_asset(self, user: str = "u", asset: str = "a", seconds: int = 10) -> str:
        """An upload that was probed: stereo at 44.1 kHz."""
        self.do(InitializeUpload(user, asset, "song.mp3", "audio/mpeg", 1000, 8 << 20, "k", "up"))
        self.do(CompleteUpload(user, asset, 1000, "etag"))
        self.do(RecordProbe(asset, Audio(44100 * seconds, 44100, 2), "mp3", "mp3"))
        return asset

    def queued_job(self, job: str = "j", user: str = "u", asset: str = "a") -> str:
        """A job that no worker has claimed."""
        self.do(RequestSeparation(user, job, asset, "two", "flac"))
        return job

    def job(self, job: str = "j") -> JobState:
        """The job's state."""
        state: JobState = self.store.load(JOB, JOB.stream(job)).state
        return state

    def account(self, user: str = "u") -> CreditState:
        """The account's state."""
        state: CreditState = self.store.load(CREDITS, CREDITS.stream(user)).state
        return state

    def commits(self) -> list[Commit]:
        """Every commit."""
        return list(self.store.scan())

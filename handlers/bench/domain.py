"""Load, decide, append and fold in memory, beside the ``eventsourcing`` library's own way."""

from __future__ import annotations

from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.utils import get_topic
from msgspec import Struct

from commands import Context, RecordStage, execute
from domain import job
from domain.catalog import Catalog, Limits
from domain.commit import Append, Loaded, Meta, Tip
from domain.job import JOB
from handlers.bench import Figure
from handlers.bench.timing import quickest
from infra.clock import SystemClock, SystemIds
from infra.event_store.mapper import StructMapper
from infra.event_store.memory import MemoryStore

COMMANDS, RUNS = 20_000, 15
META = Meta("cmd_bench", "bench")


class _NoSealer:
    def seal(self, _user: str, _place: tuple[str, int, str], text: str) -> str:
        return text


def figures() -> list[Figure]:
    """Commands per second, and milliseconds to fold 1,000 events three ways."""
    ours, theirs = _commands_per_second(), _library_commands_per_second()
    return [
        Figure(
            "load 20 events, decide, append (in memory)", ours, "commands/s", ">= 20,000",
            f"eventsourcing's aggregate: {theirs:,.0f}",
        ),
        Figure(
            "fold 1,000 events", _fold(), "ms", "<= 0.5",
            f"eventsourcing's aggregate: {_library_fold():.2f}",
        ),
        Figure("decode and fold 1,000 events", _decode_and_fold(), "ms"),
        Figure(
            "the same through the library's event store and our mapper",
            _fold_through_library(), "ms", "", "1.27 was measured in FACTS",
        ),
    ]  # fmt: skip


def _context() -> Context:
    clock = SystemClock()
    catalog = Catalog({}, "", Limits(), "bench")
    return Context(MemoryStore(clock), clock, SystemIds(clock), _NoSealer(), catalog)


def _history(length: int) -> list[Any]:
    asked = job.SeparationRequested(
        "usr", "ast", "key", "two", ("vocals", "accompaniment"), "flac", 441000, 44100, 2, 10, "x"
    )
    stages = [job.StageRecorded("usr", 1, "decode", n) for n in range(length - 2)]
    return [asked, job.SeparationStarted("usr", 1, "worker"), *stages]


def _commands_per_second() -> float:
    context, history = _context(), _history(20)
    for number in range(COMMANDS):
        stream = JOB.stream(f"{number}")
        context.store.append([Append(Loaded(JOB, JOB.state(), Tip(stream)), history)], META)
    commands = [RecordStage(f"{number}", 1, "separate", 5) for number in range(COMMANDS)]

    def run() -> None:
        for command in commands:
            execute(context, command, META)

    return COMMANDS / quickest(run, 1)


def _fold() -> float:
    history = _history(1000)
    return 1000 * quickest(lambda: JOB.fold(history), RUNS)


def _decode_and_fold() -> float:
    context, history = _context(), _history(1000)
    (commit,) = context.store.append(
        [Append(Loaded(JOB, JOB.state(), Tip("job-x")), history)], META
    )
    text = str(commit.events)
    return 1000 * quickest(lambda: JOB.fold(JOB.decode(text)), RUNS)


class _LibraryJob(Aggregate):
    """The same job as the library would have it written."""

    @event("Requested")
    def __init__(self, user_id: str) -> None:
        self.user_id, self.attempt, self.stages = user_id, 1, 0

    @event("StageRecorded")
    def record(self, attempt: int, stage: str, milliseconds: int) -> None:  # noqa: ARG002
        self.stages += 1


def _library_commands_per_second(count: int = 1000) -> float:
    application: Application[Any] = Application()
    jobs = []
    for _ in range(count):
        made = _LibraryJob("usr")
        for n in range(19):
            made.record(1, "decode", n)
        application.save(made)
        jobs.append(made.id)

    def run() -> None:
        for identity in jobs:
            loaded: Any = application.repository.get(identity)
            loaded.record(1, "separate", 5)
            application.save(loaded)

    return count / quickest(run, 1)


def _library_fold() -> float:
    application: Application[Any] = Application()
    made = _LibraryJob("usr")
    for n in range(999):
        made.record(1, "decode", n)
    application.save(made)
    return 1000 * quickest(lambda: application.repository.get(made.id), 5)


class StageNoted(Struct, frozen=True):
    """A stage event in the shape that the library's event store keeps."""

    originator_id: str
    originator_version: int
    attempt: int
    stage: str
    milliseconds: int


def _fold_through_library() -> float:
    factory: InfrastructureFactory[Any] = InfrastructureFactory.construct(
        env={"PERSISTENCE_MODULE": "eventsourcing.popo", "MAPPER_TOPIC": get_topic(StructMapper)}
    )
    store: Any = factory.event_store()
    store.put([StageNoted("job-x", n, 1, "decode", n) for n in range(1, 1001)])

    def run() -> None:
        state = JOB.state()
        for noted in store.get("job-x"):
            stage = job.StageRecorded("usr", noted.attempt, noted.stage, noted.milliseconds)
            state = JOB.evolve(state, stage)

    return 1000 * quickest(run, 5)

"""How read models and work stand: for monitoring, for a terminal, and for readiness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

import projections
from domain import job
from domain.controls import of_projection
from domain.errors import SplitSoundError
from handlers.operating.lanes import LaneNow, take
from handlers.operating.redriving import waiting
from handlers.operating.sightings import Sightings
from infra.bootstrap import Application
from infra.operations import Pulse
from infra.operations.pulses import PROJECTOR
from infra.stage import LANE_QUEUES
from projections import USAGE_VIEW
from projections.generations import first
from projections.jobs import JobView
from projections.projection import Projection
from projections.usage import UsageView, day_of

QUEUES = (*LANE_QUEUES, "probe", "projections", "webhooks")
DEAD_LETTERS = ("separation", "probe", "projections", "webhooks")
DAY_MS = 24 * 3600 * 1000
# A pulse is asked for every ``pulse_seconds``; three may go astray.
_MISSED_PULSES, _LEAST_SECONDS = 3, 5


class GenerationNow(Struct, frozen=True):
    """code: the version of the projection's code that built it."""

    number: int
    state: str
    code: int


class BuildNow(Struct, frozen=True):
    """A rebuild that is under way. done: 0..1 of the event store is folded."""

    owner: str
    number: int
    done: float
    silent_ms: int


class ProjectionHealth(Struct, frozen=True):
    """One read model.

    version: of its code; newest: time of the newest commit applied, epoch ms, 0 when no projector
    that lives has applied any; lag_ms: from that commit to its row; age_ms: since that commit.
    """

    name: str
    version: int
    generation: int
    generations: list[GenerationNow]
    newest: int
    age_ms: int | None
    lag_ms: int | None
    parked: int
    paused: str | None
    rebuild: BuildNow | None
    needs_rebuild: bool


class ProjectorHealth(Struct, frozen=True):
    """alive: whether a pulse came through the queue lately. silent_ms: since the last one did."""

    alive: bool
    silent_ms: int | None
    processes: int
    backlog: int
    dead_letters: int


class Health(Struct, frozen=True):
    """Read models and what feeds them."""

    time: int
    projector: ProjectorHealth
    projections: list[ProjectionHealth]


class OpenJob(Struct, frozen=True):
    """An open job. waited_ms: since it was requested; silent_ms: since its last sign of life."""

    job_id: str
    user_id: str
    model: str
    status: str
    attempt: int
    waited_ms: int
    silent_ms: int


class Operations(Struct, frozen=True):
    """What an operator looks at first.

    queues: about how many messages wait or are in work in each, by lane for separations;
    dead_letters: how many died, of all lanes together; lanes: jobs and workers of each; queued,
    running: open jobs, of which oldest has waited longest; stuck: those silent for longer than a
    worker may be; failures: codes of the jobs requested in the last ``days`` days (UTC) that
    failed; paused: reasons by subject; webhooks_ms: for how long a webhook message that is due has
    waited, 0 while none does.
    """

    time: int
    queues: dict[str, int]
    dead_letters: dict[str, int]
    lanes: dict[str, LaneNow]
    queued: int
    running: int
    oldest: OpenJob | None
    stuck: list[OpenJob]
    failures: dict[str, int]
    paused: dict[str, str]
    health: Health
    webhooks_ms: int = 0


def health(application: Application) -> Health:
    """Of every read model. Raises Unavailable."""
    now = application.clock.now()
    pulses = application.pulses.of(PROJECTOR, now)
    return Health(
        now,
        projector(application, pulses, now),
        [_projection(application, p, pulses, now) for p in projections.ALL.values()],
    )


def projector(application: Application, pulses: list[Pulse], now: int) -> ProjectorHealth:
    """Whether somebody reads the projector's queue."""
    beat = max((p.beat for p in pulses if p.sent), default=None)
    return ProjectorHealth(
        is_alive(application, beat, now),
        None if beat is None else max(0, now - beat),
        len(pulses),
        application.queue("projections").depth(),
        application.queue("projections_dlq").depth(),
    )


def is_alive(application: Application, beat: int | None, now: int) -> bool:
    """Whether a pulse that went through the queue at ``beat`` is recent enough."""
    seconds = max(_LEAST_SECONDS, _MISSED_PULSES * application.settings.pulse_seconds)
    return beat is not None and now - beat < 1000 * seconds


def require_projector(application: Application) -> None:
    """For readiness. Raises ProjectorSilent when no pulse came through lately."""
    now = application.clock.now()
    beat = max((p.beat for p in application.pulses.of(PROJECTOR, now) if p.sent), default=None)
    if is_alive(application, beat, now):
        return
    silent = "never" if beat is None else f"{(now - beat) // 1000} s ago"
    raise ProjectorSilent(f"no pulse has come through the projector's queue; the last {silent}")


class ProjectorSilent(SplitSoundError):
    """The projector is dead, stuck, or cut off from its queue; or nobody sends pulses."""

    code = "projector_silent"
    status = 503
    retryable = True


def operations(
    application: Application, days: int = 2, sightings: Sightings | None = None
) -> Operations:
    """Work and read models. days: whose failures are counted, today's first; sightings: of the
    workers, for who looks again and again. Raises Unavailable.
    """
    now = application.clock.now()
    sightings = sightings or Sightings(application.settings.pulse_seconds)
    lanes = take(application, sightings.alive(application.pulses.workers(), now))
    rows = [_open_job(application, view, now) for view in lanes.jobs]
    patience = 1000 * max(application.settings.stale_seconds, application.settings.sweep_seconds)
    state = application.switchboard.state()
    return Operations(
        now,
        {name: application.queue(name).depth() for name in QUEUES},
        dead_letters(application),
        lanes.now(),
        sum(1 for each in rows if each.status == job.QUEUED),
        sum(1 for each in rows if each.status == job.RUNNING),
        max(rows, key=lambda each: each.waited_ms, default=None),
        [each for each in rows if each.silent_ms > patience],
        failures(application, [day_of(now - n * DAY_MS) for n in range(days)]),
        {subject: switch.reason for subject, switch in state.paused.items()},
        health(application),
        application.turns.overdue(),
    )


def dead_letters(application: Application) -> dict[str, int]:
    """About how many messages rest in each dead-letter queue. Raises Unavailable."""
    return {name: application.queue(f"{name}_dlq").depth() for name in DEAD_LETTERS}


def failures(application: Application, days: Iterable[str]) -> dict[str, int]:
    """Failure codes of the jobs that were requested on those days, the most frequent first."""
    reading = application.reading
    generation = USAGE_VIEW.generation(reading.generations.live(USAGE_VIEW.name))
    counts: Counter[str] = Counter()
    for day in days:
        for row in reading.rows.with_status(generation, day):
            view: UsageView = USAGE_VIEW.read(row)
            if view.failure:
                counts[view.failure] += 1
    return dict(counts.most_common())


def _projection(
    application: Application, projection: Projection[Any], pulses: list[Pulse], now: int
) -> ProjectionHealth:
    reading = application.operating
    catalogue = reading.generations.catalogue(projection.name) or first(projection.version)
    applied = [p.applied[projection.name] for p in pulses if projection.name in p.applied]
    newest = max(applied, key=lambda a: a.committed, default=None)
    build = catalogue.build
    paused = application.switchboard.state().paused.get(of_projection(projection.name))
    return ProjectionHealth(
        projection.name,
        projection.version,
        catalogue.live.number,
        [GenerationNow(g.number, g.state, g.code) for g in catalogue.generations],
        newest.committed if newest else 0,
        now - newest.committed if newest else None,
        newest.lag if newest else None,
        sum(1 for p in waiting(application.parked, reading, projection.name)
            if p.number == catalogue.live.number),
        paused.reason if paused else None,
        BuildNow(build.owner, build.number, len(build.done) / build.segments, now - build.beat)
        if build else None,
        catalogue.live.code != projection.version,
    )  # fmt: skip


def _open_job(application: Application, view: JobView, now: int) -> OpenJob:
    sign = view.changed
    if view.status == job.RUNNING:
        report = application.operations.progress(view.job_id)
        if report and report.attempt == view.attempt:
            sign = max(sign, report.beat)
    return OpenJob(
        view.job_id, view.user_id, view.model, view.status, view.attempt,
        now - view.requested, now - sign,
    )  # fmt: skip

"""How soon a commit is noticed, on a local stack that is otherwise idle."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from commands import SignUp, execute
from domain.commit import Meta
from domain.job import JOB
from handlers.bench import Figure
from handlers.cli.reach import connect
from handlers.client import uploads
from handlers.client.bodies import JobWish
from handlers.client.client import Client
from infra import demo_song
from infra.bootstrap import Application
from projections import CREDITS_VIEW

T = TypeVar("T")
COMMITS, JOBS = 60, 12
PATIENCE_SECONDS = 60.0


def figures(application: Application, api_url: str) -> list[Figure]:
    """Commit to row, and 201 to the worker's claim; medians and 95th percentiles."""
    rows = sorted(_commit_to_row(application) for _ in range(COMMITS))
    claims = sorted(_accepted_to_claimed(application, api_url))
    return [
        *_spread("commit to row", rows, "<= 300 (median)"),
        *_spread("201 to the worker's claim", claims, "<= 1000 (median)"),
    ]


def _spread(what: str, values: list[float], goal: str) -> list[Figure]:
    p95 = values[min(len(values) - 1, int(0.95 * len(values)))]
    return [
        Figure(f"{what}, median of {len(values)}", statistics.median(values), "ms", goal),
        Figure(f"{what}, 95th percentile", p95, "ms"),
    ]


def _commit_to_row(application: Application) -> float:
    user = application.ids.fresh("usr")
    command = SignUp(user, "development", "bench@example.com")
    execute(application.context, command, Meta(application.ids.fresh("cmd"), "bench"))
    begun = time.perf_counter()
    generation = CREDITS_VIEW.generation(application.reading.generations.live("credits"))
    stream = CREDITS_VIEW.aggregate.stream(user)
    until(lambda: application.reading.rows.head(generation, stream))
    return 1000 * (time.perf_counter() - begun)


def _accepted_to_claimed(application: Application, api_url: str) -> list[float]:
    took = []
    with tempfile.TemporaryDirectory() as directory, connect(api_url, "bench@example.com") as api:
        path = Path(directory) / "bench.wav"
        demo_song.write(path, 4.0)
        asset = uploaded(api, path)
        for _ in range(JOBS):
            job = api.create_job(JobWish(asset_id=asset)).job_id
            begun = application.clock.now()
            took.append(float(_claimed_at(application, job) - begun))
            until(partial(_completed, api, job))
    return took


def uploaded(api: Client, path: Path) -> str:
    """The id of the asset, once it is probed."""
    asset_id = uploads.upload(api, uploads.read(path)).asset_id
    until(lambda: api.get_asset(asset_id).status == "ready")
    return asset_id


def _completed(api: Client, job_id: str) -> bool:
    return api.get_job(job_id).status == "completed"


def _claimed_at(application: Application, job: str) -> int:
    def claimed() -> int | None:
        for commit in application.store.read(JOB.stream(job)):
            if "SeparationStarted" in commit.types:
                return int(commit.t)
        return None

    return until(claimed)


def until(
    ask: Callable[[], T | None], patience: float = PATIENCE_SECONDS, every: float = 0.002
) -> T:
    """The first answer that is true. Seconds. Raises TimeoutError."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        answer: Any = ask()
        if answer:
            return answer  # type: ignore[no-any-return]
        time.sleep(every)
    raise TimeoutError("the local stack did not react in time")

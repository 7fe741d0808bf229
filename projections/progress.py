"""How far a job is, as one number for a progress bar."""

from __future__ import annotations

from domain import job
from projections.jobs import JobView

# Shares of the time that a stage takes for a song of ordinary length; they add up to 1.
SHARES = {
    "download": 0.03,
    "probe": 0.05,
    "decode": 0.07,
    "separate": 0.65,
    "encode": 0.15,
    "upload": 0.05,
}


def overall(view: JobView, stage: str = "", done: float = 0.0) -> float:
    """0..1. stage, done: what the worker of the running attempt last reported, if anything.

    Never goes back within an attempt: the stages on record and the live report are two
    lower bounds of the same progress, and the larger one counts.
    """
    if view.status == job.COMPLETED:
        return 1.0
    finished = {s.stage for s in view.stages if s.attempt == view.attempt}
    on_record = sum(SHARES[s] for s in job.STAGES if s in finished)
    if view.status != job.RUNNING or stage not in SHARES:
        return round(on_record, 4)
    before = sum(SHARES[s] for s in job.STAGES[: job.STAGES.index(stage)])
    live = before + SHARES[stage] * min(max(done, 0.0), 1.0)
    return round(max(on_record, live), 4)


def current_stage(view: JobView, reported: str = "") -> str | None:
    """The stage that the running attempt is in; the later of the recorded and the reported."""
    if view.status != job.RUNNING:
        return None
    if reported not in job.STAGES:
        return view.stage
    return max(view.stage, reported, key=job.STAGES.index)

from __future__ import annotations

import pytest

from domain import job
from projections.jobs import JobView, StageView
from projections.progress import SHARES, current_stage, overall


def running(*done: str, attempt: int = 1) -> JobView:
    stages = [StageView(attempt, stage, 1) for stage in done]
    return JobView(status=job.RUNNING, attempt=attempt, stages=stages)


def test_shares_cover_every_stage_and_add_up() -> None:
    assert tuple(SHARES) == job.STAGES
    assert sum(SHARES.values()) == pytest.approx(1)


def test_it_never_goes_back_however_row_and_report_lag() -> None:
    seen = [
        overall(running()),
        overall(running(), "download", 0.5),
        overall(running(), "decode", 0.9),  # the row lags behind the report
        overall(running("download", "probe", "decode"), "decode", 0.2),  # the report lags
        overall(running(*job.STAGES[:3]), "separate", 0.5),
        overall(running(*job.STAGES), "upload", 1.0),
        overall(JobView(status=job.COMPLETED)),
    ]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_stages_of_an_earlier_attempt_do_not_count() -> None:
    view = running("download", "probe", attempt=1)
    view.attempt = 2
    assert overall(view) == 0.0


def test_the_stage_is_the_later_of_row_and_report() -> None:
    assert current_stage(running("download"), "") == "probe"
    assert current_stage(running("download"), "separate") == "separate"
    assert current_stage(running(*job.STAGES[:4]), "separate") == "encode"
    assert current_stage(JobView(status=job.QUEUED), "decode") is None

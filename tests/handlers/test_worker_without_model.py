"""A job whose model this worker lacks: left to others first, then ended with a clear code."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from domain.errors import Unavailable
from domain.job import JOB, SeparationFailed
from handlers.worker.separation import DELIVERIES_FOR_OTHERS, Separation
from handlers.worker.workplace import Workplace
from infra.bootstrap import Application
from infra.separators import Separators, speech
from tests.handlers.test_worker_controls import job, message, parts

__all__ = ["parts"]


async def test_it_is_left_to_workers_that_have_it_and_then_fails_for_nothing(
    parts: Application, tmp_path: Path
) -> None:
    came = message(parts)
    less = Application(parts.settings, "less")
    less.__dict__["separators"] = Separators(speech.sources())
    worker = Separation(less, "w:1", Workplace(tmp_path), structlog.get_logger(), "short")
    async with less.objects:
        for deliveries in range(1, DELIVERIES_FOR_OTHERS + 1):
            with pytest.raises(Unavailable, match="spleeter-2stems"):
                await worker.handle(replace(came, deliveries=deliveries))
            assert (job(parts).status, job(parts).attempt) == ("queued", 0)
        assert await worker.handle(replace(came, deliveries=DELIVERIES_FOR_OTHERS + 1))
    *_, last = parts.store.read("job-job")
    (failed,) = JOB.decode(str(last.events))
    assert isinstance(failed, SeparationFailed)
    assert failed.code == "model_unavailable"
    assert "no longer offered" in failed.detail

"""What a worker shows Prometheus."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.errors import Invalid
from handlers.worker.metrics import Metrics

Numbers = dict[tuple[str, tuple[str, ...]], float]


def scraped(port: int) -> Numbers:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    return {
        (sample.name.removeprefix("splitsound_worker_"), tuple(sorted(sample.labels.values()))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_worker_shows_what_it_did_and_does(tmp_path: Path) -> None:
    busy = {"gpu-long"}
    metrics = Metrics(tmp_path, ("short", "gpu-long"), lambda: busy)
    metrics.stage("separate", "spleeter", 12.5)
    metrics.stage("separate", "spleeter", 2)
    metrics.ended("spleeter", "completed")
    metrics.ended("spleeter", "model_failed")
    metrics.audio("spleeter", 180, 14.5)
    metrics.loaded("spleeter", 3)
    port = metrics.serve(0)
    now = scraped(port)
    assert now["stage_seconds_sum", ("separate", "spleeter")] == 14.5
    assert now["stage_seconds_bucket", ("10.0", "separate", "spleeter")] == 1
    assert now["jobs_ended_total", ("completed", "spleeter")] == 1
    assert now["jobs_ended_total", ("model_failed", "spleeter")] == 1
    assert now["audio_seconds_total", ("spleeter",)] == 180
    assert now["separating_seconds_total", ("spleeter",)] == 14.5
    assert now["model_load_seconds_count", ("spleeter",)] == 1
    assert now["jobs_running", ("short",)] == 0
    assert now["jobs_running", ("gpu-long",)] == 1
    assert now["disk_free_bytes", ()] > 0
    busy.clear()
    assert scraped(port)["jobs_running", ("gpu-long",)] == 0


def test_two_workers_cannot_share_a_port(tmp_path: Path) -> None:
    port = Metrics(tmp_path).serve(0)
    with pytest.raises(Invalid, match=f"PORT {port} cannot be used .* a port of its own"):
        Metrics(tmp_path).serve(port)

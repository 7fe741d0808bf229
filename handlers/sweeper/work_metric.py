"""How much work waits, as a metric by which the number of workers is set.

Written as a line in CloudWatch's embedded metric format (AWS: "Embedded metric format
specification"), which costs no call and takes no right. ``infra/stacks/workers.yaml`` makes tasks
of it.
"""

from __future__ import annotations

import json
import sys

from domain.lanes import GPU_LANES
from handlers.operating.lanes import take
from infra.bootstrap import Application

NAMESPACE = "SplitSound"


def publish(application: Application) -> None:
    """Seconds of work in the lanes for CPUs and in those for GPUs, at the speeds measured here."""
    lanes = take(application, ()).lanes
    work = {"cpu": 0.0, "gpu": 0.0}
    for name, lane in lanes.items():
        work["gpu" if name in GPU_LANES else "cpu"] += lane.work_seconds
    now, stage = application.clock.now(), application.settings.stage
    for capacity, seconds in work.items():
        sys.stdout.write(json.dumps(line(stage, capacity, seconds, now)) + "\n")
    sys.stdout.flush()


def line(stage: str, capacity: str, seconds: float, now: int) -> dict[str, object]:
    """One metric. now: epoch milliseconds."""
    metric = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Stage", "Capacity"]],
        "Metrics": [{"Name": "WorkSeconds", "Unit": "Seconds"}],
    }
    return {
        "_aws": {"Timestamp": now, "CloudWatchMetrics": [metric]},
        "Stage": stage,
        "Capacity": capacity,
        "WorkSeconds": round(seconds, 1),
    }

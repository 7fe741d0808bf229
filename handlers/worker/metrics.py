"""What a worker shows Prometheus, on a port of its own.

Each process has its own numbers, so each worker on a machine needs its own port.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from domain.errors import Invalid

HOST = "127.0.0.1"
# From a cached download to a long song on a CPU.
SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)
_PREFIX = "splitsound_worker_"


class Metrics:
    """Of one worker process. Safe to use from several threads.

    disk: where songs in progress stand. busy: the lanes in which something is worked on.
    """

    def __init__(
        self,
        disk: Path,
        lanes: Collection[str] = (),
        busy: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.registry = CollectorRegistry()
        self._stages = Histogram(
            _PREFIX + "stage_seconds",
            "How long a stage of a job took.",
            ["stage", "model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._ended = self._counter(
            "jobs_ended", "Jobs that left this worker, by outcome or failure code.",
            "model", "outcome",
        )  # fmt: skip
        self._audio = self._counter("audio_seconds", "Seconds of audio separated.", "model")
        self._separating = self._counter(
            "separating_seconds", "Seconds that separating those took.", "model"
        )
        self._loads = Histogram(
            _PREFIX + "model_load_seconds",
            "How long a model took to come into memory.",
            ["model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.registry.register(_Standing(disk, lanes, busy))

    def stage(self, stage: str, model: str, seconds: float) -> None:
        """A stage of a job ended."""
        self._stages.labels(stage, model).observe(seconds)

    def ended(self, model: str, outcome: str) -> None:
        """A job left this worker. outcome: ``completed``, ``handed_on``, ``lost`` (cancelled or
        taken over), or the code of its failure.
        """
        self._ended.labels(model, outcome).inc()

    def audio(self, model: str, seconds: float, wall_seconds: float = 0.0) -> None:
        """So many seconds of audio were separated, in ``wall_seconds``."""
        self._audio.labels(model).inc(seconds)
        self._separating.labels(model).inc(wall_seconds)

    def loaded(self, model: str, seconds: float) -> None:
        """A model came into memory."""
        self._loads.labels(model).observe(seconds)

    def serve(self, port: int, host: str = HOST) -> int:
        """Show them at ``http://<host>:<port>/metrics``; the port. Raises Invalid."""
        try:
            server, _ = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise Invalid(
                f"SPLITSOUND_METRICS_PORT {port} cannot be used ({error.strerror}). Each worker on "
                "a machine needs a port of its own; 0 shows nothing."
            ) from error
        return int(server.server_port)

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, help_, labels, registry=self.registry)


class _Standing(Collector):
    """What is so at the moment of the scrape."""

    def __init__(
        self, disk: Path, lanes: Collection[str], busy: Callable[[], Collection[str]]
    ) -> None:
        self._disk, self._lanes, self._busy = disk, lanes, busy

    def collect(self) -> list[Metric]:
        """See Collector."""
        busy = self._busy()
        running = GaugeMetricFamily(
            _PREFIX + "jobs_running", "Jobs in work now, by lane.", labels=["lane"]
        )
        for lane in self._lanes:
            running.add_metric([lane], float(lane in busy))
        free = GaugeMetricFamily(
            _PREFIX + "disk_free_bytes", "Room for songs in progress.",
            value=shutil.disk_usage(self._disk).free,
        )  # fmt: skip
        return [running, free]

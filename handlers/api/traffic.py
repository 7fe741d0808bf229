"""What this process serves, for Prometheus: how long requests take, and how many are under way.

Routes are named by their template and methods are those that we have, so whatever clients send,
there are no more series than routes times statuses.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

# From a revalidated read to a completion that joins ten thousand parts.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PREFIX = "splitsound_api_"


class Traffic:
    """Of one process. Safe to use from several threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            _PREFIX + "request_seconds",
            "From a request to the end of its answer. status 0: the client went away before.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            _PREFIX + "requests_under_way",
            "Requests whose answer has not ended, event streams included.",
            registry=self.registry,
        )

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. route: its template; empty where no route takes it."""
        method = method if method in METHODS else "other"
        self._seconds.labels(method, route or "none", str(status)).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus's format."""
        return generate_latest(self.registry)

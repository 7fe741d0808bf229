"""What a deliverer shows Prometheus, on a port of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from domain.errors import Invalid
from infra.operations import Delivery
from infra.operations.deliveries import PENDING
from infra.webhooks import Answer

_PREFIX = "splitsound_webhook_"
# From the same room to the end of all attempts.
SECONDS = (0.1, 0.3, 1, 3, 10, 60, 600, 3600, 6 * 3600, 86_400, 4 * 86_400)


class Metrics:
    """Of one deliverer process. Safe to use from several threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = Counter(
            _PREFIX + "attempts", "POSTs, by the class of the answer's status or what went wrong.",
            ["answer"], registry=self.registry,
        )  # fmt: skip
        self._ended = Counter(
            _PREFIX + "deliveries", "Messages that were delivered, or failed for good.",
            ["outcome"], registry=self.registry,
        )  # fmt: skip
        self._took = Histogram(
            _PREFIX + "delivery_seconds", "From the message to the answer that took it.",
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip

    def attempted(self, delivery: Delivery, answer: Answer) -> None:
        """An attempt is over. delivery: as it left it."""
        status = answer.status
        self._attempts.labels(f"{status // 100}xx" if status else answer.error).inc()
        if delivery.status == PENDING:
            return
        self._ended.labels(delivery.status).inc()
        if answer.accepted:
            last = delivery.attempts[-1]
            self._took.observe((last.at + last.milliseconds - delivery.created) / 1000)

    def serve(self, port: int, host: str) -> int:
        """Show them at ``http://<host>:<port>/metrics``; the port. Raises Invalid."""
        try:
            server, _ = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise Invalid(
                f"SPLITSOUND_METRICS_PORT {port} cannot be used ({error.strerror}). Each process "
                "on a machine needs a port of its own; 0 shows nothing."
            ) from error
        return int(server.server_port)

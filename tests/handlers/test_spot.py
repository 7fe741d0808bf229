"""A worker on a Spot instance hears of the interruption from the metadata service."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from handlers.worker.spot import RESERVE_SECONDS, Spot

ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"


class Metadata(ThreadingHTTPServer):
    """IMDSv2 as EC2's user guide describes it: nothing is told without a token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.pages: dict[str, str] = {}
        self.tokens: list[str] = []
        self.asked: list[str] = []
        self.broken = False
        self.skew = timedelta()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def interrupt(self, seconds: float) -> None:
        """Announce it for so many seconds from now, by this server's clock."""
        when = datetime.now(UTC) + self.skew + timedelta(seconds=seconds)
        notice = {"action": "terminate", "time": when.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.pages[ACTION] = json.dumps(notice)


class _Answers(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        lasting = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token" or not 1 <= int(lasting or 0) <= 21600:
            return self._say(400)
        self.server.tokens.append(f"token-{len(self.server.tokens)}")
        return self._say(200, self.server.tokens[-1])

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.broken:
            return self._say(503)
        if self.headers.get("X-aws-ec2-metadata-token") not in self.server.tokens[-1:]:
            return self._say(401)
        page = self.server.pages.get(self.path)
        return self._say(200, page) if page is not None else self._say(404)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((datetime.now(UTC) + self.server.skew).timestamp())

    def _say(self, status: int, body: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    server = Metadata()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class Drained:
    """What a worker was told."""

    def __init__(self) -> None:
        self.grace: float | None = None

    async def __call__(self, grace: float) -> None:
        self.grace = grace


def watching(metadata: Metadata, drained: Drained) -> asyncio.Task[None]:
    spot = Spot(metadata.url, drained, structlog.get_logger(), poll=0.05)
    return asyncio.create_task(spot.watch())


async def test_a_notice_drains_the_worker_in_time(metadata: Metadata) -> None:
    drained = Drained()
    watch = watching(metadata, drained)
    await asyncio.sleep(0.3)
    assert drained.grace is None
    metadata.interrupt(120)
    await asyncio.wait_for(watch, 5)
    assert drained.grace == pytest.approx(120 - RESERVE_SECONDS, abs=3)
    assert len(metadata.tokens) == 1


async def test_only_the_services_clock_counts(metadata: Metadata) -> None:
    metadata.skew, drained = timedelta(hours=-7), Drained()
    metadata.interrupt(100)
    await asyncio.wait_for(watching(metadata, drained), 5)
    assert drained.grace == pytest.approx(100 - RESERVE_SECONDS, abs=3)


async def test_a_notice_at_the_last_moment_leaves_no_grace(metadata: Metadata) -> None:
    drained = Drained()
    metadata.interrupt(10)
    await asyncio.wait_for(watching(metadata, drained), 5)
    assert drained.grace == 0


async def test_a_token_that_ran_out_is_replaced(metadata: Metadata) -> None:
    drained = Drained()
    watch = watching(metadata, drained)
    await asyncio.sleep(0.2)
    metadata.tokens.append("of another time")
    await asyncio.sleep(0.2)
    metadata.interrupt(60)
    await asyncio.wait_for(watch, 5)
    assert drained.grace is not None
    assert len(metadata.tokens) == 3


async def test_a_rebalance_recommendation_changes_nothing(metadata: Metadata) -> None:
    drained = Drained()
    metadata.pages[REBALANCE] = '{"noticeTime": "2020-10-27T08:22:00Z"}'
    watch = watching(metadata, drained)
    await asyncio.sleep(0.4)
    assert not watch.done()
    assert drained.grace is None
    assert metadata.asked.count(REBALANCE) == 1  # it is not asked for again
    watch.cancel()


async def test_a_service_that_fails_or_is_not_there_is_asked_again(metadata: Metadata) -> None:
    drained = Drained()
    metadata.broken = True
    watch = watching(metadata, drained)
    await asyncio.sleep(0.2)
    metadata.pages[ACTION] = "not what EC2 says"
    metadata.broken = False
    await asyncio.sleep(0.2)
    assert not watch.done()
    metadata.interrupt(40)
    await asyncio.wait_for(watch, 5)
    assert drained.grace == pytest.approx(10, abs=3)

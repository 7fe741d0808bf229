"""Event streams as connections: what keeps them open, what ends them, what they leave behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from commands.ports import Clock
from domain.errors import Unavailable
from handlers.api.events import frames
from infra.bootstrap import Application
from infra.identity import Identity
from infra.identity.tokens import LEEWAY_SECONDS
from infra.settings import Settings
from tests.handlers.api.conftest import ORIGIN, Served, serving
from tests.handlers.api.listening import QUICK, Listener, Moved, listening, settle
from tests.handlers.api.people import Person, assert_problem, client


def test_headers_keep_proxies_from_holding_events_back(quick: Served, moved: Moved) -> None:
    sent = {"Origin": ORIGIN, "Accept-Encoding": "gzip, br, zstd, deflate"}
    with listening(quick.url, moved.person, moved.path, **sent) as listener:
        headers = listener.answer.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-Id" in headers["access-control-expose-headers"]
        assert headers["x-request-id"]
        assert not headers["content-encoding"]
        assert listener.until("job").id


def test_pages_elsewhere_may_send_last_event_id(quick: Served, moved: Moved) -> None:
    with client(quick.url) as http:
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,last-event-id",
        }
        answer = http.options(moved.path, headers=asked)
        assert answer.status_code == 204
        assert "last-event-id" in answer.headers["access-control-allow-headers"].lower()


def test_silence_is_broken_by_comments(quick: Served, moved: Moved) -> None:
    with listening(quick.url, moved.person, moved.path) as listener:
        began = time.monotonic()
        threading.Timer(1.0, moved.start).start()
        listener.until("job", status="running")
        assert time.monotonic() - began >= 0.9
        assert listener.comments


def test_one_user_has_no_more_streams_than_the_limit(
    quick: Served, moved: Moved, new_person: Callable[[], Person]
) -> None:
    open_streams = []
    try:
        for path in (moved.path, "/v1/events", "/v1/events"):
            listener = Listener(quick.url, path, dict(moved.person.http.headers))
            open_streams.append(listener)
            assert listener.next()
        with client(quick.url) as http:
            http.headers["Authorization"] = moved.person.http.headers["Authorization"]
            for path in (moved.path, "/v1/events"):
                answer = http.get(path)
                problem = assert_problem(answer, 429, "too_many_streams")
                assert problem["limit"] == 3
                assert answer.headers["retry-after"] == str(problem["retry_after"])
        with listening(quick.url, new_person(), "/v1/events") as other:
            other.until("ready")
        open_streams.pop().close()
        settle(lambda: quick.listeners.slots.taken == 2)
        with listening(quick.url, moved.person, "/v1/events") as again:
            assert again.status == 200
    finally:
        for listener in open_streams:
            listener.close()
    settle(lambda: quick.listeners.idle)


def test_who_goes_away_leaves_nothing_behind(quick: Served, moved: Moved) -> None:
    """Also whole storms of those who come and go, and at whatever moment they go."""
    for _ in range(20):
        with listening(quick.url, moved.person, moved.path) as listener:
            assert listener.status in (200, 429)
        with listening(quick.url, moved.person, "/v1/events") as listener:
            if listener.status == 200:
                listener.next()
    settle(lambda: quick.listeners.idle)


def test_a_stream_ends_when_it_is_old(settings: Settings, moved: Moved) -> None:
    old = msgspec.structs.replace(settings, **QUICK, sse_longest_seconds=1.0)
    with serving(Application(old)) as running:
        began = time.monotonic()
        with listening(running.url, moved.person, moved.path) as listener:
            told = listener.rest()
        assert 0.8 < time.monotonic() - began < 2
        assert told[0].name == "job"
        assert "end" not in [e.name for e in told]
        assert listener.retries == [pytest.approx(2500, abs=1500)]


def test_an_expired_token_ends_the_stream(quick: Served, moved: Moved) -> None:
    application, settings = quick.application, quick.application.settings
    before = settings.access_token_seconds + LEEWAY_SECONDS - 2
    issuer = Identity(application.keys, settings, Earlier(application.clock, 1000 * before))
    headers = {"Authorization": f"Bearer {issuer.issue(moved.person.user_id)}"}
    with listening(quick.url, moved.person, "/v1/events", **headers) as listener:
        listener.until("ready")
        told = listener.until("sign_in_again", code="unauthenticated")
        assert told.data["detail"]
        assert not told.id
        assert listener.next() is None


class Earlier:
    """That clock, some milliseconds ago."""

    def __init__(self, clock: Clock, by: int) -> None:
        self._clock, self._by = clock, by

    def now(self) -> int:
        return self._clock.now() - self._by


def test_a_revoked_key_ends_the_stream(quick: Served, moved: Moved) -> None:
    made = moved.person.http.post("/v1/api-keys", json={"name": "ears", "scopes": ["read"]}).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    with listening(quick.url, moved.person, moved.path, **headers) as listener:
        listener.until("job")
        assert moved.person.http.delete(f"/v1/api-keys/{made['key_id']}").is_success
        began = time.monotonic()
        listener.until("sign_in_again", code="unauthenticated")
        assert listener.next() is None
        assert time.monotonic() - began < 7


def test_stopping_the_server_ends_streams_at_once(settings: Settings, moved: Moved) -> None:
    with serving(Application(msgspec.structs.replace(settings, **QUICK))) as running:
        streams = [
            Listener(running.url, path, dict(moved.person.http.headers))
            for path in (moved.path, "/v1/events")
        ]
        for listener in streams:
            assert listener.next()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    for listener in streams:
        listener.rest()
        listener.close()


def test_a_store_that_is_silent_for_a_while_ends_no_stream(
    settings: Settings, moved: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Application(msgspec.structs.replace(settings, **QUICK))) as running:
        rows = running.application.reading.rows
        with (
            listening(running.url, moved.person, moved.path) as listener,
            listening(running.url, moved.person, "/v1/events") as all_jobs,
            client(running.url) as http,
        ):
            http.headers["Authorization"] = moved.person.http.headers["Authorization"]
            listener.until("job")
            all_jobs.until("ready")
            with monkeypatch.context() as patch:
                for name in ("heads", "head", "owned"):
                    patch.setattr(rows, name, silent)
                moved.start()
                time.sleep(1)
                assert_problem(http.get(moved.path), 503, "unavailable")
            listener.until("job", status="running")
            all_jobs.until("job", status="running")
            assert listener.comments


def silent(*_: Any) -> Any:
    """A store that does not answer."""
    raise Unavailable("The read models do not answer.")


def test_a_client_that_reads_nothing_is_cut_off(
    settings: Settings, moved: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With comments so long that the connection's buffers are full at once."""
    monkeypatch.setattr(frames, "PING", b":" + b"x" * 1_000_000 + b"\n\n")
    stalling = QUICK | {"sse_ping_seconds": 0.01, "sse_stall_seconds": 0.5}
    with serving(Application(msgspec.structs.replace(settings, **stalling))) as running:
        place = urlsplit(running.url)
        with socket.create_connection((place.hostname, place.port)) as slow:
            token = moved.person.http.headers["Authorization"]
            asked = f"GET {moved.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
            slow.sendall(asked.encode())
            settle(lambda: running.listeners.slots.taken == 1)
            settle(lambda: running.listeners.idle)
            slow.settimeout(5)
            with pytest.raises(ConnectionResetError):
                drain(slow)


def drain(slow: socket.socket) -> None:
    """Read at last, until nothing is left."""
    while slow.recv(1 << 20):
        continue


def test_a_stopping_server_waits_for_no_client_that_reads_nothing(
    settings: Settings, moved: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "PING", b":" + b"x" * 1_000_000 + b"\n\n")
    stalling = QUICK | {"sse_ping_seconds": 0.01}
    with ExitStack() as stack:
        with serving(Application(msgspec.structs.replace(settings, **stalling))) as running:
            stack.enter_context(listening(running.url, moved.person, moved.path))
            settle(lambda: running.listeners.slots.taken == 1)
            time.sleep(0.5)
            began = time.monotonic()
        assert time.monotonic() - began < 4

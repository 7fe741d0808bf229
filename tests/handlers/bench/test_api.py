from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from handlers.api.jobs import JobWish
from handlers.bench import api, postgres
from handlers.bench.api_load import Caller, cpu_seconds, get, post, wish
from handlers.bench.api_served import Served, peer
from infra.bootstrap import Application
from infra.settings import from_environment

ASSET = "ast_01m8zzzzzzzzzzzzzzzzzzzzzz"


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201 if body == wish(ASSET) else 422)

    def do_GET(self) -> None:
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def served() -> Iterator[Served]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(f"http://127.0.0.1:{server.server_port}", os.getpid())
        server.shutdown()


def test_every_job_is_asked_for_and_a_refusal_is_not_counted(served: Served) -> None:
    callers = [Caller("token", wish(ASSET))] * 3
    before = cpu_seconds(os.getpid())
    post(served.url, "/v1/jobs", callers, 5)
    assert len(get(served.url, callers, [["/a", "/b"]] * 3, 4)) == 12
    assert cpu_seconds(os.getpid()) >= before
    with pytest.raises(RuntimeError, match="answered 422"):
        post(served.url, "/v1/jobs", [Caller("token", b"{}")], 1)


def test_both_sides_take_turns_and_without_a_peer_the_line_says_so(served: Served) -> None:
    callers = [Caller("token", wish(ASSET))] * 2
    both = api._accepted(served, served, callers, 2, 40)
    assert [row.goal for row in both] == ["", api.GOAL]
    assert "in 2 rounds" in both[0].what
    assert "PostgreSQL" in both[0].peer
    (alone,) = api._accepted(served, None, callers, 1, 40)
    assert alone.peer == api.NO_PEER


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Application]]:
    programs = postgres.installed()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    place = tmp_path_factory.mktemp("peer")
    named = {"SPLITSOUND_STAGE": "dev", "SPLITSOUND_ACCOUNT": "0" * 12, "AWS_REGION": "us-east-1"}
    settings = from_environment(named)
    settings = replace(settings, keys=place / "keys", keys_table="", keys_key="")
    application = Application(settings)
    with postgres.running(programs) as database, peer(place, database, application) as started:
        yield started, application


def test_the_peer_takes_our_tokens_and_bodies_and_moves_both_rows(
    beside: tuple[Served, Application],
) -> None:
    started, application = beside
    token = application.identity.issue(application.ids.fresh("usr"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=started.url, headers=headers) as http:
        assert http.post("/v1/jobs", content=wish(ASSET)).status_code == 402  # no account yet
        assert http.put("/v1/accounts").status_code == 204
        job = http.post("/v1/jobs", content=wish(ASSET))
        assert job.status_code == 201
        assert job.json()["status"] == "queued"
        assert http.post("/v1/jobs", json={"asset_id": ASSET, "more": 1}).status_code == 422
        assert http.post("/v1/jobs", json={"asset_id": 5}).status_code == 422
        assert http.get("/v1/accounts").json() == {"available": 999_760, "held": 240}
        forged = token[:-4] + ("aaaa" if token[-4:] != "aaaa" else "bbbb")
        for bad in ("", f"Bearer {forged}"):
            answer = http.post("/v1/jobs", content=wish(ASSET), headers={"Authorization": bad})
            assert answer.status_code == 401


def test_a_cluster_ends_with_its_block() -> None:
    programs = postgres.installed()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.running(programs) as database:
        port = urlsplit(database).port
        socket.create_connection(("127.0.0.1", port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_our_api_takes_the_same_body() -> None:
    assert msgspec.json.decode(wish(ASSET), type=JobWish).asset_id == ASSET

"""A full disk: answers stay problem documents, and all goes on once there is room."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from domain.errors import NotFound, StorageFull, Unavailable
from handlers.api import storage
from handlers.api.edge import Edge
from handlers.api.traffic import Traffic
from infra.bootstrap import Application
from infra.settings import Settings, to_environment
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.issuers import refresh, walked
from tests.handlers.api.people import assert_problem, client
from tests.handlers.api.test_serving import ROOT, await_answers, free_port


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts disks")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.fixture
def cramped(settings: Settings, tiny: Path) -> Iterator[Served]:
    """The API with its journal and keys on that disk."""
    there = msgspec.structs.replace(settings, journal=tiny / "journal", keys=tiny / "keys")
    application = Application(there, "api")
    with serving(application) as running:
        yield running
    application.store._journal.close()


class _FullLog:
    def __getattr__(self, name: str) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_log() -> Iterator[None]:
    """Logging fails, as it does to a file on a full disk."""
    before = structlog.get_config()
    structlog.configure(logger_factory=lambda *_: _FullLog(), cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


def _fill(directory: Path) -> Path:
    filler = directory / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert os.statvfs(directory).f_bavail == 0
    return filler


def _sign_up(http: httpx.Client, name: str) -> httpx.Response:
    return walked(http, f"{name}@example.org")


def test_a_full_disk(cramped: Served, tiny: Path, full_log: None) -> None:
    with client(cramped.url) as http:
        assert http.get("/readyz").is_success
        _sign_up(http, "ada")
        me = {"Authorization": f"Bearer {refresh(http).json()['access_token']}"}
        filler = _fill(tiny)

        stranger = _sign_up(http, "bob")
        upload = {"filename": "a.mp3", "size": 3}
        for _ in range(50):  # the journal's last block still has room for some
            begun = http.post("/v1/uploads", json=upload, headers=me)
            if not begun.is_success:
                break
        for answer in (stranger, begun):
            problem = assert_problem(answer, 503, "storage_full")
            assert problem["retryable"]
            assert int(answer.headers["retry-after"]) > 0
            assert str(tiny) not in answer.text
        ready = assert_problem(http.get("/readyz"), 503, "not_ready")
        assert ready["failing"] == ["journal", "keys"]
        assert "no room left on its disk" in ready["detail"]
        assert http.get("/v1/credits", headers=me).is_success
        assert _sign_up(http, "ada").is_redirect

        filler.unlink()
        assert http.get("/readyz").is_success
        assert _sign_up(http, "bob").is_redirect
        assert http.post("/v1/uploads", json=upload, headers=me).status_code == 201


def test_the_process_whose_log_is_on_the_full_disk(settings: Settings, tiny: Path) -> None:
    there = msgspec.structs.replace(settings, journal=tiny / "journal", keys=tiny / "keys")
    port = free_port()
    with (tiny / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "handlers.api", "127.0.0.1", str(port)],
            cwd=ROOT, env={**os.environ, **to_environment(there)}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            with client(f"http://127.0.0.1:{port}") as http:
                await_answers(http)
                filler = _fill(tiny)
                for number in range(200):  # the log's last block fills up on the way
                    problem = _sign_up(http, f"eve{number}")
                    assert_problem(problem, 503, "storage_full")
                assert http.get("/healthz").is_success
                assert_problem(http.get("/readyz"), 503, "not_ready")
                filler.unlink()
                assert _sign_up(http, "eve").is_redirect
                process.terminate()
                assert process.wait(15) == 0
        finally:
            process.kill()
            process.wait()


def test_logging_that_fails_breaks_no_answer(anyone: httpx.Client, full_log: None) -> None:
    assert anyone.get("/healthz").is_success
    assert_problem(anyone.get("/v1/nope"), 404, "not_found")


def test_a_full_disk_is_found_however_deep(settings: Settings) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        wrapped = RuntimeError("x")
        wrapped.__cause__ = OSError(number, "full")
        assert isinstance(storage.named(wrapped, settings), StorageFull)
    for other in (OSError(errno.EIO, "x"), Unavailable("x"), NotFound("x")):
        assert storage.named(other, settings) is other


def test_a_directory_that_is_gone_is_not_writable(tmp_path: Path) -> None:
    storage.require_room(tmp_path)
    with pytest.raises(storage.NotWritable, match="No such file"):
        storage.require_room(tmp_path / "gone")


def test_what_escapes_everything_is_still_a_problem_document() -> None:
    sent: list[Any] = []

    async def broken(*_: object) -> Any:
        raise RuntimeError("secret")

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "GET", "path": "/v1/x", "headers": [], "state": {}}
    asyncio.run(Edge(broken, lambda: "req_1", Traffic())(scope, broken, send))
    start, body = sent
    assert start["status"] == 500
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"] == b"req_1"
    document = msgspec.json.decode(body["body"])
    assert (document["code"], document["request_id"]) == ("internal_error", "req_1")
    assert "secret" not in body["body"].decode()

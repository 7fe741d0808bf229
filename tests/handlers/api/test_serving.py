from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from infra.bootstrap import Application
from infra.settings import Settings, to_environment
from tests.handlers.api.conftest import note_projector
from tests.handlers.api.people import client

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_answers(http: httpx.Client) -> None:
    """Until the process behind it serves."""
    deadline = time.monotonic() + 30
    while True:
        try:
            http.get("/healthz").raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the API did not start"
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_logs_json_and_stops_cleanly(
    settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    note_projector(Application(settings))
    port = free_port()
    environment = {
        **os.environ,
        **to_environment(settings),
        "SPLITSOUND_API_PORT": str(port),
        "SPLITSOUND_API_HOST": "127.0.0.1",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "handlers.api"], cwd=ROOT, env=environment, stderr=output
        )
        try:
            with client(f"http://127.0.0.1:{port}") as http:
                await_answers(http)
                assert http.get("/readyz").json() == {"status": "ok"}
                process.send_signal(number)
                assert process.wait(15) == 0
        finally:
            process.kill()
            process.wait()
    lines = [msgspec.json.decode(line) for line in log.read_text().splitlines()]
    assert lines[0]["event"] == "starting"
    assert lines[-1]["event"] == "stopped"
    assert [line for line in lines if line["event"] == "request"]


def test_the_api_imports_neither_torch_nor_numpy_nor_ffmpeg() -> None:
    program = (
        "import sys, handlers.api.__main__, infra.separators; "
        "print([m for m in ('torch', 'numpy', 'ffmpeg', 'soxr') if m in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"

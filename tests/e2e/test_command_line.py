"""`up`, `separate`, the operator's commands and `demo`, as a shell meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra import demo_song
from infra.local.lock import running
from tests.handlers.cli.test_command_line import PROGRAM, splitsound

pytestmark = pytest.mark.slow

EMAIL = "ann@example.com"
START_SECONDS = 60


@contextmanager
def up(cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running ``splitsound up``, killed at the end if the test has not ended it."""
    log = (cwd / "up.log").open("ab")
    process = subprocess.Popen([str(PROGRAM), "up"], cwd=cwd, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while (state := running(cwd / ".splitsound")) is None or state.url is None:
            assert process.poll() is None, (cwd / "up.log").read_text()
            assert time.monotonic() < deadline, (cwd / "up.log").read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_a_stack_that_was_killed_knows_everything_again(tmp_path: Path) -> None:
    demo_song.write(tmp_path / "a [strange] näme.wav", 3.0)
    wish = ["separate", "a [strange] näme.wav", "--email", EMAIL, "--json"]
    with up(tmp_path) as process:
        first = document(splitsound(*wish, cwd=tmp_path))
        files = [tmp_path / stem["file"] for stem in first["stems"]]
        assert [f.stat().st_size for f in files] == [stem["bytes"] for stem in first["stems"]]

        second = splitsound("up", cwd=tmp_path)
        assert second.returncode == 1
        assert "already running" in second.stderr
        assert document(splitsound("doctor", "--json", cwd=tmp_path))["ok"]
        process.send_signal(signal.SIGKILL)
        process.wait()

    with up(tmp_path) as process:
        # Nothing is sent and nothing is paid a second time.
        assert document(splitsound(*wish, cwd=tmp_path))["job_id"] == first["job_id"]
        _check_operator_commands(tmp_path, first["job_id"])
        _check_money(tmp_path)
        down = splitsound("down", cwd=tmp_path)
        assert down.returncode == 0
        assert process.wait(30) == 0
    assert running(tmp_path / ".splitsound") is None


def _check_operator_commands(cwd: Path, job_id: str) -> None:
    statement = document(splitsound("credits", EMAIL, "--json", cwd=cwd))
    assert [line["kind"] for line in statement["lines"]] == ["grant", "reserve", "capture"]
    assert statement["balanced"]
    history = document(splitsound("events", "show", job_id, "--json", cwd=cwd))
    assert history["verified"]
    assert history["events"][0]["type"] == "SeparationRequested"
    assert history["events"][-1]["type"] == "SeparationCompleted"
    before = splitsound("events", "show", job_id, "--as-of", "1d", cwd=cwd)
    assert before.returncode == 1

    rebuilt = document(
        splitsound("projections", "rebuild", "credits", "--json", "--reason", "a test", cwd=cwd)
    )
    assert (rebuilt["generation"], rebuilt["streams"]) == (2, 1)
    assert rebuilt["flipped"]
    for name in ("jobs", "credits", "library", "usage"):
        verified = document(splitsound("projections", "verify", name, "--json", cwd=cwd))
        assert (verified["streams"], verified["differences"]) == (1, [])

    assert document(splitsound("jobs", "refund", job_id, "--reason", "x", "--json", cwd=cwd))[
        "refunded"
    ]
    again = document(
        splitsound("events", "republish", "--since", "1h", "--json", "--reason", "a test", cwd=cwd)
    )
    assert (again["published"], again["refused"]) == (again["commits"], [])
    status = document(splitsound("status", "--json", cwd=cwd))
    assert status["operations"]["health"]["projector"]["alive"]
    assert "dead-letter queues: separation 0" in splitsound("dead-letters", "list", cwd=cwd).stdout

    assert splitsound("events", "export", "all.jsonl", cwd=cwd).returncode == 0
    imported = document(splitsound("events", "import", "all.jsonl", "--json", cwd=cwd))
    assert imported["written"] == 0
    assert imported["skipped"] > 0


def _check_money(cwd: Path) -> None:
    shop = splitsound("buy", "--email", EMAIL, cwd=cwd)
    assert "3.90 EUR" in shop.stdout
    bought = document(splitsound("buy", "hour", "--pay", "card", "--json", cwd=cwd))
    assert (bought["status"], bought["available"]) == ("paid", 4200)
    wrong = splitsound("buy", "year", cwd=cwd)
    assert (wrong.returncode, "hour, album, studio" in wrong.stderr) == (2, True)
    same = document(splitsound("payments", "reconcile", "--json", cwd=cwd))
    assert same["agree"]
    assert same["report"]["sums"]["eur"]["paid_there"] == 390
    assert splitsound("audit", "digest", cwd=cwd).returncode == 0
    assert document(splitsound("audit", "verify", "--json", cwd=cwd))
    assert splitsound("adjust", EMAIL, "+50", "--reason", "for waiting", cwd=cwd).returncode == 0
    assert splitsound("audit", "check", cwd=cwd).returncode == 0
    purchase = bought["purchase_id"]
    proof = splitsound("audit", "prove", "you@example.com", purchase, "--out", "p.json", cwd=cwd)
    assert proof.returncode == 0, proof.stderr
    (cwd / "verify.py").write_text(splitsound("audit", "script", cwd=cwd).stdout)
    (cwd / "key.pem").write_text(splitsound("audit", "key", cwd=cwd).stdout)
    checked = subprocess.run(
        [sys.executable, "verify.py", "p.json", "--key", "key.pem"],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_demo_separates_a_given_song_and_leaves_only_the_stems(tmp_path: Path) -> None:
    demo_song.write(tmp_path / "song.wav", 3.0)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = splitsound("demo", "song.wav", cwd=tmp_path, timeout=150, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "stems" / "song").glob("*.flac"))) == 2
    for words in ("Credits", "SeparationCompleted", "the hash chain holds", "holds at every"):
        assert words in done.stdout
    assert "\x1b" not in done.stdout
    assert list(temporary.iterdir()) == []


def test_demo_says_why_a_song_is_refused_and_cleans_up(tmp_path: Path) -> None:
    (tmp_path / "notes.mp3").write_text("do re mi\n" * 100)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = splitsound("demo", "notes.mp3", cwd=tmp_path, timeout=150, TMPDIR=str(temporary))
    assert done.returncode == 2
    assert "notes.mp3 was refused" in done.stderr
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "stems").exists()


def test_demo_stops_everything_when_it_is_terminated(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [str(PROGRAM), "demo"],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(3)  # somewhere in the start
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (130, b"Interrupted.")
    assert list(temporary.iterdir()) == []
    assert _processes_with(str(temporary)) == []


def _processes_with(text: str) -> list[int]:
    """Processes whose environment names that directory: the stack's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if text.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found

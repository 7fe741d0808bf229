"""The command as a shell meets it: quick help, clear errors, exit codes that scripts can trust."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.cli.checks import machine
from infra.local import stack
from infra.local.errors import DiskFull
from infra.local.lock import DataLock

PROGRAM = Path(sys.executable).with_name("splitsound")


def splitsound(
    *arguments: str, cwd: Path, timeout: float = 60, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *arguments],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from handlers.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'boto3', 'botocore', 'numpy', 'httpx', 'rich', 'litestar', 'msgspec'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    for word in ("up", "down", "demo", "separate", "doctor", "Exit codes"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["up"], ["down"], ["demo"], ["separate"], ["cancel"], ["credits"], ["doctor"],
        ["events", "show"], ["events", "export"], ["events", "import"],
        ["projections", "list"], ["projections", "rebuild"], ["projections", "verify"],
        ["projections", "rollback"], ["projections", "drop"], ["projections", "watch"],
        ["events", "republish"], ["dead-letters", "list"], ["dead-letters", "show"],
        ["dead-letters", "redrive"], ["jobs", "requeue"], ["jobs", "fail"], ["jobs", "refund"],
        ["pause"], ["resume"], ["paused"], ["status"], ["adjust"], ["audit"],
        ["audit", "replay"], ["audit", "check"], ["audit", "verify"], ["audit", "export"],
    ],
)  # fmt: skip
def test_every_command_explains_itself(arguments: list[str], tmp_path: Path) -> None:
    done = splitsound(*arguments, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: splitsound")


def test_a_file_that_cannot_be_a_song_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    for command in ("demo", "separate"):
        for name, words in (
            ("missing.mp3", "There is no file missing.mp3"),
            (".", "is not a file"),
            ("empty.mp3", "is empty"),
        ):
            done = splitsound(command, name, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (2, "")
            assert words in done.stderr
            assert "Traceback" not in done.stderr


def test_without_a_stack_operator_commands_say_how_to_start_one(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    for arguments in (
        ["events", "show", "job-1"],
        ["events", "export", "all.jsonl"],
        ["credits", "usr_1"],
        ["projections", "list"],
        ["separate", "song.wav"],
    ):
        done = splitsound(*arguments, cwd=tmp_path)
        assert done.returncode == 3, arguments
        assert "splitsound up" in done.stderr
    assert not (tmp_path / "all.jsonl").exists()


def test_under_json_errors_are_json_on_standard_error(tmp_path: Path) -> None:
    done = splitsound("events", "show", "job-1", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert json.loads(done.stderr)["code"] == "no_stack"
    done = splitsound("separate", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stderr)["code"]) == (2, "usage")


def test_an_api_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    done = splitsound("separate", "song.wav", "--api", "http://127.0.0.1:9", cwd=tmp_path)
    assert done.returncode == 3
    assert "http://127.0.0.1:9" in done.stderr


def test_a_taken_port_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = splitsound("up", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert f"Port {port}" in done.stderr
    assert not (tmp_path / ".splitsound" / "emulator").exists()


def test_down_without_a_stack_is_fine(tmp_path: Path) -> None:
    done = splitsound("down", cwd=tmp_path)
    assert done.returncode == 0
    assert "No stack" in done.stdout


def test_the_doctor_reports_each_check_with_what_to_do(tmp_path: Path) -> None:
    done = splitsound("doctor", "--json", cwd=tmp_path)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["python"]["state"] == "ok"
    assert checks["stack"]["state"] == "skipped"

    done = splitsound("doctor", "--json", cwd=tmp_path, SPLITSOUND_FFMPEG="/nonexistent/ffmpeg")
    failed = [c for c in json.loads(done.stdout)["checks"] if c["state"] == "failed"]
    assert done.returncode == 1
    assert [c["name"] for c in failed] == ["ffmpeg"]
    assert failed[0]["todo"]


def test_a_folder_that_cannot_be_written_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    (tmp_path / "file").touch()
    for command in ("separate", "demo"):
        done = splitsound(command, "song.wav", "--out", "file/in", cwd=tmp_path)
        assert done.returncode == 2
        assert "--out" in done.stderr


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    strange = os.fsdecode(b"\xff\xfe\x1b[31m\n.wav")
    done = splitsound("separate", strange, cwd=tmp_path)
    assert (done.returncode, "There is no file" in done.stderr) == (2, True)
    (tmp_path / strange).write_bytes(b"RIFF")
    for more in ([], ["--json"], ["--\x1b[31m"]):
        done = splitsound("separate", strange, *more, cwd=tmp_path)
        assert done.returncode in (2, 3)
        assert "\x1b" not in done.stderr
        assert "Traceback" not in done.stderr


def test_hints_name_a_command_that_works_as_it_is_typed(tmp_path: Path) -> None:
    done = splitsound("projections", "list", "--data", "my data", cwd=tmp_path, PATH="/nowhere")
    assert f"`{PROGRAM} up --data 'my data'`" in done.stderr
    done = splitsound("projections", "list", cwd=tmp_path, PATH=str(PROGRAM.parent))
    assert "`splitsound up`" in done.stderr


def test_a_full_disk_is_one_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(DiskFull, match=str(tmp_path)) as raised:
        stack.LocalStack(tmp_path / "data").start()
    checks = {check.name: check for check in machine.examine(tmp_path / "data")}
    told = str(raised.value), checks["disk space"].found
    # What is free changes between the two: other programs write, too.
    first, second = (re.sub(r"Only \d+ MB", "Only so many MB", text) for text in told)
    assert first == second


def test_while_a_stack_starts_everyone_says_so(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with DataLock(tmp_path / ".splitsound"):
        for command in (["separate", "song.wav"], ["projections", "list"], ["up"], ["doctor"]):
            done = splitsound(*command, cwd=tmp_path)
            assert "starting" in done.stdout + done.stderr, command
            assert "No stack" not in done.stderr

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from infra.local import emulator as module
from infra.local.access import CloudAccess
from infra.local.emulator import Emulator
from infra.local.errors import DiskFull, EmulatorFailed, NotInstalled, PortInUse
from infra.local.process import leashed, spawn
from infra.local.provision import Resources, provision


def fill(access: CloudAccess) -> Resources:
    made = provision(access)
    access.client("dynamodb").put_item(TableName=made.operations_table, Item=KEY)
    access.client("sqs").send_message(QueueUrl=made.probe_queue, MessageBody="wake up")
    access.client("s3").put_object(Bucket=made.media_bucket, Key="user_1/a", Body=b"song")
    return made


KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


def item(access: CloudAccess) -> Any:
    table = provision(access).operations_table
    return access.client("dynamodb").get_item(TableName=table, Key=KEY).get("Item")


def song(access: CloudAccess) -> bytes:
    body: bytes = (
        access.client("s3")
        .get_object(Bucket=provision(access).media_bucket, Key="user_1/a")["Body"]
        .read()
    )
    return body


def gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not _dead(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _dead(pid: int) -> bool:
    try:
        # A zombie is dead too; only its parent has not looked yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_clean_stop_keeps_everything_even_on_another_port(tmp_path: Path) -> None:
    with Emulator(tmp_path) as first:
        fill(first.access)
        keys = first.access.secret_key
    with Emulator(tmp_path) as second:
        assert second.access.secret_key == keys
        assert item(second.access) == KEY
        assert song(second.access) == b"song"
        made = provision(second.access)
        assert made.probe_queue.startswith(second.access.endpoint)
        answer = second.access.client("sqs").receive_message(QueueUrl=made.probe_queue)
        assert [message["Body"] for message in answer["Messages"]] == ["wake up"]


def test_after_a_kill_it_starts_empty_with_the_songs_still_there(tmp_path: Path) -> None:
    with Emulator(tmp_path) as first:
        fill(first.access)
    second = Emulator(tmp_path)
    second.start()
    assert second.pid is not None
    os.kill(second.pid, signal.SIGKILL)
    assert gone(second.pid)
    assert second.stop() is False
    # Not the tables of the stop before last: those are older than the songs and the journal.
    with Emulator(tmp_path) as third:
        assert item(third.access) is None
        assert song(third.access) == b"song"


@pytest.mark.parametrize("damage", ["truncated", "missing", "garbage", "unvouched"])
def test_a_damaged_state_is_put_aside(tmp_path: Path, damage: str) -> None:
    with Emulator(tmp_path) as first:
        fill(first.access)
    state = tmp_path / "emulator" / "state"
    file = state / "dynamodb.json"
    match damage:
        case "truncated":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case "missing":
            file.unlink()
        case "garbage":
            file.write_bytes(b"\xff\xfe\x00 not text at all")
        case "unvouched":
            # As a kill in the middle of saving leaves it.
            (state / "complete.json").unlink()
    said: list[str] = []
    with Emulator(tmp_path, report=said.append) as second:
        assert item(second.access) is None
        assert song(second.access) == b"song"
    assert len(said) == 1
    assert "state.aside" in said[0]
    assert (tmp_path / "emulator" / "state.aside" / "sqs.json").exists()


def test_keys_are_secret_checked_and_made_anew_when_damaged(tmp_path: Path) -> None:
    with Emulator(tmp_path) as running:
        path = tmp_path / "emulator" / "keys.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        right = running.access
        stranger = CloudAccess(right.endpoint, "AKIAXXXXXXXXXXXXXXXX", right.secret_key)
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            stranger.client("dynamodb").list_tables()
        place = {"Bucket": provision(right).media_bucket, "Key": "user_1/a"}
        forger = CloudAccess(right.endpoint, right.access_key, "guessed")
        forged = forger.client("s3").generate_presigned_url("put_object", place)
        assert httpx.put(forged, content=b"mine").status_code == 403
    path.write_text("{")
    with Emulator(tmp_path) as running:
        assert running.access.secret_key != right.secret_key
        running.access.client("dynamodb").list_tables()


def test_it_listens_on_the_loopback_only(tmp_path: Path) -> None:
    with Emulator(tmp_path) as running:
        port = int(running.access.endpoint.rpartition(":")[2])
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
        assert listening == [f"0100007F:{port:04X}"]


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            Emulator(tmp_path, port).start()


def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="make install"):
        Emulator(tmp_path, environment=tmp_path / "venv").start()


def test_a_full_disk_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MIN_FREE_BYTES", 2**62)
    with pytest.raises(DiskFull, match="MB are free"):
        Emulator(tmp_path).start()


def test_an_emulator_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho no module named ministack\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(EmulatorFailed, match=r"exit code 3(.|\n)*no module named ministack"):
        Emulator(tmp_path, environment=tmp_path / "venv").start()


def test_stop_is_harmless_when_nothing_runs(tmp_path: Path) -> None:
    assert Emulator(tmp_path).stop() is False


def test_a_child_is_refused_off_the_main_thread(tmp_path: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            spawn(["true"], {}, tmp_path / "log")
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_a_program_that_cannot_start_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn(["/no/such/program"], {}, log)
    assert process.wait(10) == 127
    assert "No such file" in log.read_text()


def test_the_leash_names_this_interpreter_and_process() -> None:
    assert leashed(["ls", "-l"])[0] == sys.executable
    assert leashed(["ls", "-l"])[-3:] == [str(os.getpid()), "ls", "-l"]


def test_access_drops_what_the_shell_says_about_aws() -> None:
    access = CloudAccess("http://127.0.0.1:1", "key", "secret")
    environment = access.environment(
        {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL_S3": "https://x", "HOME": "/h", "NO_PROXY": "a"}
    )
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3"} & environment.keys()
    assert environment["AWS_ENDPOINT_URL"] == access.endpoint
    assert environment["HOME"] == "/h"
    assert environment["NO_PROXY"] == "a,127.0.0.1,localhost"


def test_clients_ignore_a_broken_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    access = CloudAccess("http://127.0.0.1:1", "key", "secret")
    assert access.client("sqs").meta.endpoint_url == access.endpoint
    assert access.client("sqs") is access.client("sqs")

"""The audit bucket: written once, by several at a time, by some who are killed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import SignUp
from domain.errors import Conflict, NotFound
from infra.bootstrap import Application
from infra.digests import AuditBucket, chain
from infra.digests.document import heads_name
from infra.settings import to_environment
from tests.handlers.cli.operators import do

NAME = "digests/2026/11/23T160640.123Z-abababab.json"


def test_what_was_written_stays(application: Application) -> None:
    bucket = application.digests
    assert bucket.names() == []
    bucket.put(NAME, b"envelope", io.BytesIO(b"heads\n"))
    bucket.put(NAME, b"envelope", io.BytesIO(b"heads\n"))  # as after an answer that was lost
    with pytest.raises(Conflict, match="is there already"):
        bucket.put(NAME, b"other", io.BytesIO(b"heads\n"))
    with pytest.raises(Conflict, match=r"heads\.jsonl is there already"):
        bucket.put(NAME, b"envelope", io.BytesIO(b"other\n"))
    assert bucket.envelope(NAME) == b"envelope"
    assert list(bucket.head_lines(NAME)) == [b"heads\n"]
    assert bucket.names() == [NAME]
    with pytest.raises(NotFound, match=r"There is no digests/x\.json"):
        bucket.envelope("digests/x.json")


def test_a_bucket_without_locks_says_so(application: Application) -> None:
    s3, name = application.client("s3"), application.settings.media_bucket
    s3.put_object(Bucket=name, Key=NAME, Body=b"x")
    assert AuditBucket(s3, name).lock(NAME) is None
    application.digests.put(NAME, b"envelope", io.BytesIO(b""))
    lock = application.digests.lock(NAME)
    assert lock
    assert (lock.mode, lock.until > "2030") == ("GOVERNANCE", True)


def start(application: Application) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from handlers.cli import main; main()",
         "audit", "digest", "--json"],
        env=dict(os.environ) | to_environment(application.settings),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[3],
    )  # fmt: skip


def all_is_well(application: Application) -> None:
    bucket, keys = application.digests, [application.digest_signer.public_key]
    for name in bucket.names():
        before = list(chain(name, bucket.envelope(name), bucket, keys))
        assert before[-1][1].previous is None
        for each, digest in before:
            assert sum(map(len, bucket.head_lines(each))) == digest.heads.bytes


def test_several_at_once_do_no_harm(application: Application) -> None:
    do(application, SignUp("usr_1", "development", "a@example.com"))
    running = [start(application) for _ in range(3)]
    names = []
    for each in running:
        out, error = each.communicate(timeout=60)
        assert each.returncode == 0, error
        names.append(json.loads(out)["name"])
    assert application.digests.names() == sorted(set(names))
    all_is_well(application)


def test_kills_do_no_harm(application: Application) -> None:
    for number in range(20):
        do(application, SignUp(f"usr_{number}", "development", f"{number}@example.com"))
    began = time.monotonic()
    whole = start(application)
    assert whole.wait(60) == 0
    took = time.monotonic() - began
    for share in (0.5, 0.7, 0.8, 0.85, 0.9, 0.95):
        killed = start(application)
        time.sleep(took * share)
        killed.kill()
        killed.wait()
        all_is_well(application)
    # As between the two writes: heads without their digest.
    heads = heads_name(NAME)
    bucket = application.settings.audit_bucket
    application.client("s3").put_object(Bucket=bucket, Key=heads, Body=b"[]\n")
    last = start(application)
    assert last.wait(60) == 0
    all_is_well(application)

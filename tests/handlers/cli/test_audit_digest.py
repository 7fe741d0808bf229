"""Digests and proofs on the emulator: taken, checked, and every way of rewriting history named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands import SignUp
from domain.commit import Append, Meta
from domain.credits import CREDITS, CreditsGranted
from infra.bootstrap import Application
from infra.digests import chain, heads_of, opened, scan_heads
from infra.digests.document import heads_name
from infra.settings import to_environment
from tests.conftest import Cloud
from tests.handlers.cli.operators import Done, do, splitsound
from tests.handlers.cli.tampering import STREAM, cut, delete, edit, remove, reorder, rewrite
from tests.infra.test_faults import restricted


@pytest.fixture
def shell(
    application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Command lines on a stage with three accounts, usr_1's with three grants."""
    for name, value in to_environment(application.settings).items():
        monkeypatch.setenv(name, value)
    for user in ("usr_0", "usr_1", "usr_2"):
        do(application, SignUp(user, "development", f"{user}@example.com"))
    for number in range(3):
        grant(application, f"grt_{number}")
    return lambda *arguments: splitsound(capsys, *arguments)


def grant(application: Application, name: str) -> None:
    account = application.store.load(CREDITS, STREAM)
    granted = CreditsGranted("usr_1", name, "promotion", 10)
    application.store.append([Append(account, [granted])], Meta(f"cmd_{name}", "cli:ann@host"))


def taken(shell: Callable[..., Done], *options: str) -> Any:
    done = shell("audit", "digest", "--json", *options)
    assert done.code == 0, done.err
    return done.data


@pytest.mark.parametrize("tamper", [edit, remove, reorder, cut, delete, rewrite])
def test_a_rewritten_history_is_named_and_not_signed(
    application: Application, shell: Callable[..., Done], tamper: Callable[[Application], str]
) -> None:
    first = taken(shell)
    expected = tamper(application)
    done = shell("audit", "digest")
    assert done.code == 1
    assert expected in done.err
    assert f"The history is broken since {first['name']}" in done.err
    assert application.digests.names() == [first["name"]]
    problem = json.loads(shell("audit", "digest", "--json").err)
    assert [each["stream"] for each in problem["findings"]] == [STREAM]
    # The same, for whoever has the digest and nothing else of ours.
    key = application.digest_signer.public_key
    digest = opened(first["name"], application.digests.envelope(first["name"]), [key])
    heads = heads_of(first["name"], digest, application.digests.head_lines(first["name"]))
    known = {head.stream: head for head in heads}
    found = scan_heads(application.store, known, segments=3).findings
    assert [msgspec.structs.asdict(each) for each in found] == problem["findings"]


def test_without_a_digest_only_broken_chains_show(
    application: Application, shell: Callable[..., Done]
) -> None:
    expected = edit(application)
    done = shell("audit", "digest")
    assert (done.code, expected in done.err) == (1, True)
    assert application.digests.names() == []


# --- digests ------------------------------------------------------------------------------------


def test_digests_build_on_each_other_and_are_locked(
    application: Application, shell: Callable[..., Done], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    first = taken(shell, "--out", str(copy))
    grant(application, "grt_late")
    second = taken(shell)
    assert first["digest"]["previous"] is None
    envelope = application.digests.envelope(first["name"])
    sha256 = hashlib.sha256(envelope).hexdigest()
    assert second["digest"]["previous"] == {"name": first["name"], "sha256": sha256}
    assert second["digest"]["events"] == first["digest"]["events"] + 1
    assert first["lock"]["mode"] == "GOVERNANCE"
    assert first["lock"]["until"] > "2030"
    assert copy.read_bytes() == envelope
    heads = b"".join(application.digests.head_lines(first["name"]))
    assert (tmp_path / "copy.heads.jsonl").read_bytes() == heads
    assert json.loads(heads.splitlines()[1])[:2] == [STREAM, 4]
    named = [first["name"], second["name"]]
    assert application.digests.names() == named
    key = application.digest_signer.public_key
    walked = chain(named[1], application.digests.envelope(named[1]), application.digests, [key])
    assert [name for name, _ in walked] == named[::-1]
    told = shell("audit", "digest")
    assert told.code == 0
    for text in ("nothing was rewritten", "Locked", "GOVERNANCE", "events of"):
        assert text in told.out


def test_a_heads_file_without_its_digest_is_no_digest(
    application: Application, shell: Callable[..., Done]
) -> None:
    """What a kill between the two writes leaves behind."""
    place = heads_name("digests/2031/01/01T000000.000Z-00000000.json")
    application.client("s3").put_object(
        Bucket=application.settings.audit_bucket, Key=place, Body=b"[]\n"
    )
    assert taken(shell)["digest"]["previous"] is None


def overwrite(application: Application, key: str, change: Callable[[bytes], bytes]) -> None:
    s3, bucket = application.client("s3"), application.settings.audit_bucket
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=change(body))


def test_edited_digests_are_refused(application: Application, shell: Callable[..., Done]) -> None:
    name = taken(shell)["name"]
    original = application.digests.envelope(name)

    def refused(change: Callable[[bytes], bytes], key: str = name) -> str:
        overwrite(application, key, change)
        done = shell("audit", "digest")
        assert done.code == 1
        proved = shell("audit", "prove", "usr_1", "2")
        assert (proved.code, proved.err) == (1, done.err)
        return done.err

    edited = f"Digest {name} was changed after it was signed"
    assert edited in refused(lambda body: body.replace(b'\\"streams\\":', b'\\"streams\\":1'))
    assert f"Digest {name} is damaged" in refused(lambda _: b"{}")
    assert f"Digest {name} is damaged" in refused(lambda _: b"\xff")
    overwrite(application, name, lambda _: original)
    heads = heads_name(name)
    lines = b"".join(application.digests.head_lines(name))
    changed = f"The heads file of digest {name} was changed"
    assert changed in refused(lambda body: body.replace(b",4,", b",3,"), heads)
    assert changed in refused(lambda _: b"".join(lines.splitlines(True)[1:]), heads)
    assert "out of order" in refused(lambda _: b"".join(lines.splitlines(True)[::-1]), heads)
    assert "is damaged" in refused(lambda body: b"?" + lines, heads)
    overwrite(application, heads, lambda _: lines)
    taken(shell)


def test_a_deleted_digest_is_named(application: Application, shell: Callable[..., Done]) -> None:
    name = taken(shell)["name"]
    bucket = application.settings.audit_bucket
    application.client("s3").delete_object(Bucket=bucket, Key=name)
    done = shell("audit", "digest")
    assert (done.code, f"{name} was deleted from the bucket" in done.err) == (1, True)


def test_another_key_is_refused_until_it_is_trusted(
    application: Application, shell: Callable[..., Done], tmp_path: Path
) -> None:
    old = tmp_path / "old.pem"
    assert shell("audit", "key", "--out", str(old)).code == 0
    name = taken(shell)["name"]
    application.keys.destroy("digest.pem")
    done = shell("audit", "digest")
    assert (done.code, f"Digest {name} was signed by another key" in done.err) == (1, True)
    assert taken(shell, "--trust-key", str(old))["digest"]["previous"]["name"] == name


def test_a_clock_that_went_back_is_named(
    application: Application, shell: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(shell)
    earlier = application.clock.now() - 3_600_000
    monkeypatch.setattr("infra.clock.SystemClock.now", lambda _: earlier)
    done = shell("audit", "digest")
    assert (done.code, "see that the clock is right" in done.err) == (1, True)
    assert application.digests.names() == [first["name"]]


def test_no_place_for_the_copy(shell: Callable[..., Done], tmp_path: Path) -> None:
    done = shell("audit", "digest", "--out", str(tmp_path / "no" / "copy.json"))
    assert (done.code, "There is no directory" in done.err) == (2, True)


def test_no_bucket(
    application: Application, shell: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITSOUND_AUDIT_BUCKET", "no-such-bucket")
    done = shell("audit", "digest")
    assert (done.code, "There is no bucket no-such-bucket for digests" in done.err) == (1, True)
    monkeypatch.setenv("SPLITSOUND_AUDIT_BUCKET", "")
    done = shell("audit", "digest")
    assert (done.code, "set SPLITSOUND_AUDIT_BUCKET" in done.err) == (2, True)


@pytest.mark.parametrize("action", ["dynamodb:Scan", "s3:PutObject", "s3:ListBucketVersions"])
def test_what_aws_denies_is_named(
    cloud: Cloud,
    shell: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
    action: str,
) -> None:
    keys = restricted(cloud.access, [("Allow", "*"), ("Deny", action)])
    for name, value in keys.environment().items():
        monkeypatch.setenv(name, value)
    done = shell("audit", "digest")
    assert done.code == 1
    assert f"AWS denied {action} on " in done.err


# --- proofs: made ---------------------------------------------------------------------------------


def test_what_is_proved_is_what_was_asked_for(
    application: Application, shell: Callable[..., Done]
) -> None:
    done = shell("audit", "prove", "usr_1", "grt_1")
    assert (done.code, "There is no digest yet: take one with" in done.err) == (1, True)
    taken(shell)
    grant(application, "grt_late")
    by_id, by_version = (
        shell("audit", "prove", "usr_1", "grt_1"),
        shell("audit", "prove", STREAM, "3"),
    )
    assert by_id.code == 0, by_id.err
    assert by_id.data == by_version.data
    assert by_id.data["event"]["grant_id"] == "grt_1"
    assert len(by_id.data["later"]) == 1
    assert shell("audit", "prove", "usr_1", "cmd_grt_1").data == by_id.data
    late = shell("audit", "prove", "usr_1", "grt_late")
    assert (late.code, "is older than version 5" in late.err) == (1, True)
    assert "audit digest" in late.err
    absent = shell("audit", "prove", "usr_1", "grt_none")
    assert (absent.code, "has no event grt_none; its last version is 5" in absent.err) == (1, True)
    assert shell("audit", "prove", "usr_9", "1").code == 1
    several = shell("audit", "prove", "usr_1", "promotion")
    assert (several.code, "name a version (2, 3, 4, 5)" in several.err) == (2, True)


def test_by_address_and_by_a_digest_that_is_named(
    application: Application, shell: Callable[..., Done], tmp_path: Path
) -> None:
    user = application.identity.user_id("development", "ann@example.com")
    do(application, SignUp(user, "development", "ann@example.com"))
    copy = tmp_path / "copy.json"
    name = taken(shell, "--out", str(copy))["name"]
    grant(application, "grt_late")
    taken(shell)
    newest = shell("audit", "prove", " Ann@Example.com", "1").data
    named = shell("audit", "prove", user, "1", "--digest", name).data
    assert named == shell("audit", "prove", user, "1", "--digest", str(copy)).data
    assert named["digest"] != newest["digest"]
    gone = shell("audit", "prove", user, "1", "--digest", "digests/none.json")
    assert (gone.code, "There is no digests/none.json in the bucket" in gone.err) == (1, True)


def test_a_rewritten_stream_is_not_proved(
    application: Application, shell: Callable[..., Done]
) -> None:
    taken(shell)
    rewrite(application)
    done = shell("audit", "prove", "usr_1", "2")
    assert (done.code, "does not say any more what it said at version 4" in done.err) == (1, True)


def test_a_copy_without_its_heads_says_so(shell: Callable[..., Done], tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    taken(shell, "--out", str(copy))
    (tmp_path / "copy.heads.jsonl").unlink()
    done = shell("audit", "prove", "usr_1", "2", "--digest", str(copy))
    assert (done.code, "There is no file" in done.err) == (1, True)


def test_key_and_script(
    application: Application, shell: Callable[..., Done], tmp_path: Path
) -> None:
    printed = shell("audit", "key")
    assert printed.out.encode() == application.digest_signer.public_key
    mark = shell("audit", "key", "--json").data["fingerprint"]
    assert mark in printed.err
    assert taken(shell)["digest"]["key"]["fingerprint"] == mark
    script = shell("audit", "script").out
    assert shell("audit", "script", "--out", str(tmp_path / "s.py")).code == 0
    assert (tmp_path / "s.py").read_text() == script
    assert len(script.splitlines()) <= 100

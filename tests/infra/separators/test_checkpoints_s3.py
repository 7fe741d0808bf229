"""A store in S3: fetched once, whole or not at all, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from domain.errors import AccessDenied, Invalid, ModelError, Unavailable
from infra.separators import checkpoints
from infra.separators.model_store import S3Store, open_store
from infra.separators.model_store_manifest import File

CONTENT = bytes(range(256)) * 20_000  # 5 MB: several pieces
FILE = File("weights/a.ckpt", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="models")
        client.put_object(Bucket="models", Key="v1/weights/a.ckpt", Body=CONTENT)
        client.put_object(Bucket="models", Key="v1/models.json", Body=b"[]")
        yield client


def opened(s3: Any, cache: Path, location: str = "s3://models/v1") -> S3Store:
    store = open_store(location, cache, lambda: s3)
    assert isinstance(store, S3Store)
    return store


def kept(cache: Path) -> list[str]:
    """The names of all files in it."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


class Failing:
    """The client, with one call answered otherwise."""

    def __init__(self, s3: Any, **answers: Any) -> None:
        self._s3, self._answers = s3, answers
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return self._answers.get(name) or getattr(self._s3, name)


def test_a_file_is_fetched_once(s3: Any, tmp_path: Path) -> None:
    client = Failing(s3)
    store = opened(client, tmp_path / "cache")
    assert store.state(FILE) == "not fetched"
    path = store.fetch(FILE)
    assert path.read_bytes() == CONTENT
    assert path.name == "a.ckpt"
    assert store.fetch(FILE) == path
    assert client.calls.count("get_object") == 1
    assert store.state(FILE) == "verified"
    assert kept(tmp_path / "cache") == [".lock", "a.ckpt"]


def test_a_cached_file_that_was_damaged_is_fetched_again(s3: Any, tmp_path: Path) -> None:
    store = opened(s3, tmp_path)
    store.fetch(FILE).write_bytes(b"x" + CONTENT[1:])
    assert store.fetch(FILE).read_bytes() == CONTENT


def test_what_a_killed_worker_left_is_replaced(s3: Any, tmp_path: Path) -> None:
    store = opened(s3, tmp_path)
    left = tmp_path / FILE.sha256 / ".part"
    left.parent.mkdir()
    left.write_bytes(b"x" * 10_000_000)
    assert store.fetch(FILE).read_bytes() == CONTENT
    assert kept(tmp_path) == [".lock", "a.ckpt"]


def test_many_workers_at_once_fetch_it_once(s3: Any, tmp_path: Path) -> None:
    client = Failing(s3)
    found: list[bytes] = []

    def work() -> None:
        found.append(opened(client, tmp_path).fetch(FILE).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [CONTENT] * 4
    assert client.calls.count("get_object") == 1


@pytest.mark.parametrize("body", [CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:], CONTENT * 2])
def test_another_object_is_refused_and_not_kept(s3: Any, tmp_path: Path, body: bytes) -> None:
    s3.put_object(Bucket="models", Key="v1/weights/a.ckpt", Body=body)
    with pytest.raises(ModelError, match=r"not the one in models.json .*s3://models/v1") as failed:
        opened(s3, tmp_path).fetch(FILE)
    assert failed.value.code == "model_unavailable"
    assert not failed.value.transient
    assert kept(tmp_path) == [".lock"]


def test_an_object_that_is_not_there(s3: Any, tmp_path: Path) -> None:
    s3.delete_object(Bucket="models", Key="v1/weights/a.ckpt")
    store = opened(s3, tmp_path)
    assert store.state(FILE) == "missing"
    with pytest.raises(ModelError, match=r"'weights/a.ckpt' is not in s3://models/v1") as failed:
        store.fetch(FILE)
    assert not failed.value.transient


def test_s3_that_does_not_answer_is_asked_again_later(s3: Any, tmp_path: Path) -> None:
    def silent(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    store = opened(Failing(s3, get_object=silent), tmp_path)
    with pytest.raises(ModelError, match="could not be fetched") as failed:
        store.fetch(FILE)
    assert failed.value.transient
    with pytest.raises(Unavailable):
        store.manifest()


def test_a_connection_that_breaks_leaves_nothing_half(s3: Any, tmp_path: Path) -> None:
    def broken(**_: Any) -> Any:
        def pieces(_: int) -> Iterator[bytes]:
            yield CONTENT[:1000]
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

        return {"Body": SimpleNamespace(iter_chunks=pieces)}

    with pytest.raises(ModelError) as failed:
        opened(Failing(s3, get_object=broken), tmp_path).fetch(FILE)
    assert failed.value.transient
    assert kept(tmp_path) == [".lock"]
    assert opened(s3, tmp_path).fetch(FILE).read_bytes() == CONTENT


def test_a_denied_object_names_the_action(s3: Any, tmp_path: Path) -> None:
    def denied(**_: Any) -> Any:
        error = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
        raise ClientError(error, "GetObject")

    store = opened(Failing(s3, get_object=denied), tmp_path)
    with pytest.raises(ModelError, match="s3:GetObject") as failed:
        store.fetch(FILE)
    assert not failed.value.transient
    with pytest.raises(AccessDenied):
        store.manifest()


def test_a_full_disk_is_said_before_the_download(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Failing(s3)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ModelError, match=r"no room .*SPLITSOUND_WORK_DIRECTORY") as failed:
        opened(client, tmp_path).fetch(FILE)
    assert failed.value.transient
    assert "get_object" not in client.calls


def test_a_disk_that_fills_meanwhile_leaves_nothing(s3: Any, tmp_path: Path) -> None:
    def full(**_: Any) -> Any:
        def pieces(_: int) -> Iterator[bytes]:
            yield CONTENT[:1000]
            raise OSError(errno.ENOSPC, "No space left on device")

        return {"Body": SimpleNamespace(iter_chunks=pieces)}

    with pytest.raises(ModelError, match="no room") as failed:
        opened(Failing(s3, get_object=full), tmp_path).fetch(FILE)
    assert failed.value.transient
    assert kept(tmp_path) == [".lock"]


def test_a_cache_that_cannot_be_written_is_named(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match=str(tmp_path / "file")) as failed:
        opened(s3, tmp_path / "file").fetch(FILE)
    assert not failed.value.transient


def test_the_manifest_in_s3(s3: Any, tmp_path: Path) -> None:
    assert checkpoints.sources("s3://models/v1/", tmp_path, lambda: s3) == []
    for location in ("s3://models", "s3://models/v2", "s3://other/v1"):
        with pytest.raises(Invalid, match=rf"SPLITSOUND_MODELS is set and {location}/models.json"):
            checkpoints.sources(location, tmp_path, lambda: s3)

"""Uploads against a stand-in for the API and storage that can refuse and lose things."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from handlers.client import uploads
from handlers.client.bodies import Upload
from handlers.client.client import Client
from handlers.client.credentials import ApiKey
from handlers.client.uploads import FileChanged, UploadFailed
from tests.handlers.client.answered import document

PART = 1000
PAGE = 3


class Cloud:
    """One upload session: the API's answers and storage's PUTs."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.stored: dict[int, bytes] = {}
        self.puts: Counter[int] = Counter()
        self.trouble: dict[int, list[int]] = {}
        self.lost_sessions = 0
        self.rejections: list[str] = []
        self.keys: list[str] = []
        self.completed: list[dict[str, object]] = []
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        return -(-len(self.body) // PART)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "PUT":
            return self._put(int(path.rsplit("/", 1)[1]), request.read())
        if path == "/v1/uploads":
            self.keys.append(request.headers["Idempotency-Key"])
            if self.lost_sessions:
                self.lost_sessions -= 1
                return httpx.Response(410, json={"code": "upload_expired", "detail": "Gone."})
            number = int(self.keys[-1].rpartition("-")[2])
            if number <= len(self.rejections):
                return httpx.Response(201, json=self._rejected(number))
        if path.endswith("/complete"):
            self.completed = json.loads(request.content)["parts"]
            return httpx.Response(200, json=document(Upload, asset_id="ast_1", status="uploaded"))
        return httpx.Response(200, json=self._session(int(request.url.params.get("after", 0))))

    def _put(self, number: int, content: bytes) -> httpx.Response:
        with self._lock:
            self.puts[number] += 1
            if self.trouble.get(number):
                return httpx.Response(self.trouble[number].pop(0))
            self.stored[number] = content
        return httpx.Response(200, headers={"ETag": f'"{number}"'})

    def _session(self, after: int) -> dict[str, object]:
        lacking = [n for n in range(1, self.count + 1) if n not in self.stored and n > after]
        return document(
            Upload,
            asset_id="ast_1",
            status="uploading",
            part_size=PART,
            part_count=self.count,
            received=[
                {"number": n, "etag": f'"{n}"', "size": len(b)}
                for n, b in sorted(self.stored.items())
            ],
            missing=[
                {"number": n, "size": len(self.part(n)), "url": f"http://storage.test/{n}"}
                for n in lacking[:PAGE]
            ],
        )

    def _rejected(self, number: int) -> dict[str, object]:
        failure = {"code": self.rejections[number - 1], "detail": "It went wrong."}
        asset_id = f"ast_no_{number}"
        return document(Upload, asset_id=asset_id, status="rejected", failure=failure)

    def part(self, number: int) -> bytes:
        return self.body[(number - 1) * PART : number * PART]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud(bytes(i * 7 % 251 for i in range(7 * PART + 123)))
    monkeypatch.setattr(
        uploads, "http_for", lambda _: httpx.Client(transport=httpx.MockTransport(cloud))
    )
    monkeypatch.setattr("time.sleep", lambda _: None)
    return cloud


@pytest.fixture
def song(cloud: Cloud, tmp_path: Path) -> uploads.File:
    path = tmp_path / "song.mp3"
    path.write_bytes(cloud.body)
    return uploads.read(path)


@pytest.fixture
def api(cloud: Cloud) -> Client:
    credentials = ApiKey("sk_1")
    return Client("http://api.test", credentials, transport=httpx.MockTransport(cloud))


def test_every_part_arrives_as_it_is_in_the_file(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    seen: list[int] = []
    uploads.send(api, song, uploads.open_session(api, song), seen.append)
    assert b"".join(cloud.stored[n] for n in sorted(cloud.stored)) == cloud.body
    assert [p["number"] for p in cloud.completed] == list(range(1, 9))
    assert (seen[0], max(seen), seen[-1]) == (0, song.size, song.size)


def test_parts_that_arrived_are_not_sent_again(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.stored = {n: cloud.part(n) for n in (1, 2, 5)}
    seen: list[int] = []
    uploads.send(api, song, uploads.open_session(api, song), seen.append)
    assert sorted(cloud.puts) == [3, 4, 6, 7, 8]
    assert len(cloud.completed) == 8
    assert seen[0] == 3 * PART


def test_a_part_is_tried_again_and_counted_once(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.trouble = {2: [500, 503]}
    seen: list[int] = []
    uploads.send(api, song, uploads.open_session(api, song), seen.append)
    assert cloud.puts[2] == 3
    assert seen[-1] == song.size


def test_an_expired_url_is_asked_for_anew(api: Client, song: uploads.File, cloud: Cloud) -> None:
    cloud.trouble = {2: [403]}
    uploads.send(api, song, uploads.open_session(api, song), lambda _: None)
    assert cloud.puts[2] == 2
    assert len(cloud.stored) == 8


def test_storage_that_refuses_every_url_ends_it(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.trouble = {n: [403] * 9 for n in range(1, 9)}
    with pytest.raises(UploadFailed, match="403"):
        uploads.send(api, song, uploads.open_session(api, song), lambda _: None)


def test_a_part_that_never_arrives_ends_it_and_keeps_the_rest(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.trouble = {1: [500] * 9}
    with pytest.raises(UploadFailed, match="Part 1 could not be sent"):
        uploads.send(api, song, uploads.open_session(api, song), lambda _: None)
    assert cloud.completed == []


def test_a_file_that_shrinks_meanwhile_is_noticed(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    song.path.write_bytes(cloud.body[:PART])
    with pytest.raises(FileChanged, match="became shorter"):
        uploads.send(api, song, uploads.open_session(api, song), lambda _: None)


def test_the_same_content_finds_its_session_and_a_lost_one_is_followed_by_the_next(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    uploads.open_session(api, song)
    cloud.lost_sessions = 2
    uploads.open_session(api, uploads.read(song.path))
    assert cloud.keys[0] == cloud.keys[1]
    assert len(set(cloud.keys)) == 3
    song.path.write_bytes(b"other")
    uploads.open_session(api, uploads.read(song.path))
    assert len(set(cloud.keys)) == 4


def test_a_file_that_the_platform_failed_on_is_uploaded_again(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.rejections = ["probe_failed", "ffmpeg_timeout", "ffmpeg_failed", "source_missing"]
    assert uploads.open_session(api, song).status == "uploading"
    assert len(set(cloud.keys)) == 5


def test_a_file_that_is_no_song_stays_rejected(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.rejections = ["media_unreadable"]
    assert uploads.open_session(api, song).asset_id == "ast_no_1"


def test_an_upload_that_storage_has_lost_is_followed_by_the_next(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.rejections = ["media_unreadable"]
    assert uploads.open_session(api, song, {"ast_no_1"}).status == "uploading"


def test_a_file_that_always_fails_is_not_uploaded_for_ever(
    api: Client, song: uploads.File, cloud: Cloud
) -> None:
    cloud.rejections = ["probe_failed"] * 1000
    with pytest.raises(UploadFailed, match="failed too often"):
        uploads.open_session(api, song)

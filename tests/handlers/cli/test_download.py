from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest

from domain.errors import SplitSoundError
from handlers.cli import download
from handlers.cli.answers import Job, StemLink
from handlers.cli.client import Api

BODY = b"stem" * 1000


class Storage:
    """Answers GETs from a list, then with the body; the API always signs a new URL."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response] = []
        self.urls: list[str] = []
        self.filename = "song - vocals.flac"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/session":
            return httpx.Response(
                200, json={"access_token": "t", "expires_in": 900, "user_id": "usr_1"}
            )
        if request.url.path.startswith("/v1/jobs"):
            return httpx.Response(200, content=msgspec.json.encode(self.job("fresh")))
        self.urls.append(request.url.path)
        return self.answers.pop(0) if self.answers else httpx.Response(200, content=BODY)

    def job(self, url: str = "first") -> Job:
        link = StemLink(
            "vocals", f"http://storage.test/{url}", self.filename, len(BODY), "audio/flac"
        )
        return Job("job_1", "completed", stems=[link])


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    storage = Storage()
    transport = httpx.MockTransport(storage)
    monkeypatch.setattr(download, "http_for", lambda _: httpx.Client(transport=transport))
    return storage


@pytest.fixture
def api(storage: Storage) -> Api:
    return Api("http://api.test", "a@b.c", transport=httpx.MockTransport(storage))


def test_a_stem_arrives_under_its_name(api: Api, storage: Storage, tmp_path: Path) -> None:
    seen: list[int] = []
    files = download.fetch(api, storage.job(), tmp_path / "new" / "folder", seen.append)
    assert [f.name for f in files] == ["song - vocals.flac"]
    assert files[0].read_bytes() == BODY
    assert seen[-1] == len(BODY)


def test_a_cut_or_expired_download_is_tried_again_by_a_new_url(
    api: Api, storage: Storage, tmp_path: Path
) -> None:
    storage.answers = [httpx.Response(200, content=BODY[:10]), httpx.Response(403)]
    (file,) = download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert file.read_bytes() == BODY
    assert storage.urls == ["/first", "/fresh", "/fresh"]


def test_a_download_that_never_comes_leaves_nothing_behind(
    api: Api, storage: Storage, tmp_path: Path
) -> None:
    storage.answers = [httpx.Response(200, content=BODY[:10])] * 9
    with pytest.raises(SplitSoundError, match="costs nothing more"):
        download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_stays_until_the_new_one_is_whole(
    api: Api, storage: Storage, tmp_path: Path
) -> None:
    (tmp_path / storage.filename).write_bytes(b"old")
    storage.answers = [httpx.Response(500)] * 9
    with pytest.raises(SplitSoundError):
        download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert (tmp_path / storage.filename).read_bytes() == b"old"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ""])
def test_a_name_from_a_server_stays_inside_the_folder(
    api: Api, storage: Storage, tmp_path: Path, name: str
) -> None:
    storage.filename = name
    (file,) = download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert file.parent == tmp_path

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest

from domain import filenames
from domain.errors import SplitSoundError
from handlers.cli import download, folders
from handlers.client import downloads
from handlers.client.bodies import Job, Stem, Zip
from handlers.client.client import Client
from handlers.client.credentials import ApiKey
from tests.handlers.client.answered import whole

BODY = b"stem" * 1000


class Storage:
    """Answers GETs from a list, then with the body; the API always signs a new URL."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response] = []
        self.urls: list[str] = []
        self.filename = "song - vocals.flac"
        self.stem = "vocals"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/v1/jobs"):
            return httpx.Response(200, content=msgspec.json.encode(self.job("fresh")))
        self.urls.append(request.url.path)
        return self.answers.pop(0) if self.answers else httpx.Response(200, content=BODY)

    def job(self, url: str = "first") -> Job:
        stem = whole(
            Stem,
            name=self.stem,
            url=f"http://storage.test/{url}",
            filename=self.filename,
            bytes=len(BODY),
        )
        return whole(Job, job_id="job_1", status="completed", stems=[stem])


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    storage = Storage()
    transport = httpx.MockTransport(storage)
    monkeypatch.setattr(downloads, "http_for", lambda _: httpx.Client(transport=transport))
    return storage


@pytest.fixture
def api(storage: Storage) -> Client:
    credentials = ApiKey("sk_1")
    return Client("http://api.test", credentials, transport=httpx.MockTransport(storage))


def test_the_zip_comes_last(api: Client, storage: Storage, tmp_path: Path) -> None:
    job = storage.job()
    url = "http://storage.test/zip"
    bundle = whole(Zip, url=url, filename="song - stems.zip", bytes=len(BODY))
    job = msgspec.structs.replace(job, zip=bundle)
    files = download.fetch(api, job, tmp_path, lambda _: None)
    assert [file.name for file in files] == ["song - vocals.flac", "song - stems.zip"]
    assert storage.urls == ["/first", "/zip"]


def test_a_stem_arrives_under_its_name(api: Client, storage: Storage, tmp_path: Path) -> None:
    seen: list[int] = []
    files = download.fetch(api, storage.job(), tmp_path / "new" / "folder", seen.append)
    assert [f.name for f in files] == ["song - vocals.flac"]
    assert files[0].read_bytes() == BODY
    assert seen[-1] == len(BODY)


def test_a_cut_or_expired_download_is_tried_again_by_a_new_url(
    api: Client, storage: Storage, tmp_path: Path
) -> None:
    storage.answers = [httpx.Response(200, content=BODY[:10]), httpx.Response(403)]
    (file,) = download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert file.read_bytes() == BODY
    assert storage.urls == ["/first", "/fresh", "/fresh"]


def test_a_download_that_never_comes_leaves_nothing_behind(
    api: Client, storage: Storage, tmp_path: Path
) -> None:
    storage.answers = [httpx.Response(200, content=BODY[:10])] * 9
    with pytest.raises(SplitSoundError, match="costs nothing more"):
        download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_stays_until_the_new_one_is_whole(
    api: Client, storage: Storage, tmp_path: Path
) -> None:
    (tmp_path / storage.filename).write_bytes(b"old")
    storage.answers = [httpx.Response(500)] * 9
    with pytest.raises(SplitSoundError):
        download.fetch(api, storage.job(), tmp_path, lambda _: None)
    assert (tmp_path / storage.filename).read_bytes() == b"old"


@pytest.mark.parametrize("stem", ["vocals", "..", "../../../pwned", "/no/such/pwned", "a\0b"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..", "stem-1.audio"),
        ("../..", "stem-1.audio"),
        ("", "stem-1.audio"),
        ("a\0b.flac", "stem-1.audio"),
        ("\x1b]0;owned\x07x.flac", "stem-1.audio"),
    ],
)
def test_names_from_a_server_stay_inside_the_folder(
    api: Client, storage: Storage, tmp_path: Path, stem: str, name: str, expected: str
) -> None:
    storage.filename, storage.stem = name, stem
    folder = tmp_path / "stems" / "song"
    (file,) = download.fetch(api, storage.job(), folder, lambda _: None)
    assert file == folder / expected
    assert [f for f in tmp_path.rglob("*") if f.is_file()] == [file]


def test_a_target_outside_the_folder_is_refused_whoever_named_it(
    api: Client, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_plain_name", lambda *_: "../pwned")
    with pytest.raises(SplitSoundError, match="outside its folder"):
        download.fetch(api, storage.job(), tmp_path / "song", lambda _: None)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("title", ["a" * 251, "夜" * 83])
def test_stems_of_a_song_with_the_longest_name_arrive(
    api: Client, storage: Storage, tmp_path: Path, title: str
) -> None:
    storage.filename = filenames.of_stem(f"{title}.mp3", "accompaniment", "flac")
    folder = folders.folder_for(Path(f"{title}.mp3"), tmp_path)
    (file,) = download.fetch(api, storage.job(), folder, lambda _: None)
    assert (file.name, file.read_bytes()) == (storage.filename, BODY)


def test_names_that_are_too_long_are_shortened_and_stay_apart(
    api: Client, storage: Storage, tmp_path: Path
) -> None:
    storage.filename = f"{'夜' * 100} - vocals.flac"
    job = storage.job()
    job = msgspec.structs.replace(job, stems=job.stems * 2)
    first, second = download.fetch(api, job, tmp_path, lambda _: None)
    assert first != second
    assert (first.suffix, second.suffix) == (".flac", ".flac")


@pytest.mark.parametrize(
    ("song", "folder"),
    [
        ("My song.mp3", "My song"),
        (".hidden", ".hidden"),
        ("..mp3", "song"),
        ("...mp3", "song"),
        ("a\x1b]0;b\x07.mp3", "a]0;b"),
        ("\udcff.mp3", "song"),
        ("夜" * 83 + ".mp3", "夜" * 66),
    ],
)
def test_a_song_has_a_folder_of_its_own(song: str, folder: str, tmp_path: Path) -> None:
    assert folders.folder_for(Path(song), tmp_path) == tmp_path / folder

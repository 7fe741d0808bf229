"""A song's way against a stand-in for the API whose storage loses songs."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from handlers.cli import journey, terminal, upload
from handlers.cli.client import Api
from handlers.cli.journey import Trip, Wish
from handlers.cli.outcome import BadInput

BODY = b"song" * 100
FIXED = {
    "/v1/session": {"access_token": "t", "expires_in": 900, "user_id": "usr_1"},
    "/v1/capabilities": {
        "models": [
            {"name": "two", "stems": ["vocals", "rest"]},
            {"name": "four", "stems": ["vocals", "drums"]},
        ],
        "default_model": "two",
        "formats": [{"name": "flac"}, {"name": "mp3"}],
    },
}


class Cloud:
    """Each upload is a new asset, probed at once; jobs of a lost one find no source."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost
        self.assets: dict[str, str] = {}
        self.jobs: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, key = request.url.path, request.headers.get("Idempotency-Key", "")
        asked = json.loads(request.content) if request.content.startswith(b"{") else {}
        answer = FIXED.get(path) or self._answer(path, key, asked)
        return httpx.Response(200, headers={"ETag": '"1"'}, json=answer)

    def _answer(self, path: str, key: str, asked: dict[str, str]) -> object:
        match path.split("/")[1:]:
            case ["v1", "uploads"]:
                if key in self.assets:
                    return {"asset_id": self.assets[key], "status": "ready"}
                asset = self.assets[key] = f"ast_{len(self.assets) + 1}"
                part = {"number": 1, "size": len(BODY), "url": f"http://storage.test/{asset}"}
                return {"asset_id": asset, "part_size": 4096, "part_count": 1, "missing": [part]}
            case ["v1", "uploads", asset]:
                return {"asset_id": asset}
            case ["v1", "uploads", asset, "complete"]:
                return {"asset_id": asset, "status": "uploaded"}
            case ["v1", "library", asset]:
                audio = {"samples": 44100, "rate": 44100, "channels": 2, "seconds": 1.0}
                return {"asset_id": asset, "status": "ready", "audio": audio}
            case ["v1", "quotes"]:
                return {"seconds": 1.0, "price": 1, "available": 600}
            case ["v1", "jobs"]:
                self.jobs[key] = asset = asked["asset_id"]
                if asset not in self.lost:
                    return {"job_id": f"job_{asset}", "status": "completed"}
                failure = {"code": "source_missing", "stage": "download"}
                return {"job_id": f"job_{asset}", "status": "failed", "failure": failure}
        return {}


def separate(cloud: Cloud, path: Path) -> Trip:
    api = Api("http://api.test", "a@b.c", transport=httpx.MockTransport(cloud))
    trip = Trip(upload.read_song(path))
    display = terminal.display(as_json=True)
    journey.bring(api, trip, display)
    journey.request(api, trip, Wish(), display)
    return trip


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.sleep", lambda _: None)
    path = tmp_path / "song.mp3"
    path.write_bytes(BODY)
    return path


def through(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    transport = httpx.MockTransport(cloud)
    monkeypatch.setattr(upload, "http_for", lambda _: httpx.Client(transport=transport))
    return cloud


def test_a_song_that_storage_lost_is_uploaded_again_and_found_there(
    song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = through(Cloud("ast_1", "ast_2"), monkeypatch)
    assert separate(cloud, song).job_id == "job_ast_3"
    assert list(cloud.assets.values()) == ["ast_1", "ast_2", "ast_3"]
    # A job that cannot succeed is not asked for twice, and the same command finds the same end.
    assert len(cloud.jobs) == 3
    assert separate(cloud, song).job_id == "job_ast_3"
    assert (len(cloud.assets), len(cloud.jobs)) == (3, 3)


def test_a_song_that_is_there_is_uploaded_once(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = through(Cloud(), monkeypatch)
    assert [separate(cloud, song).asset_id for _ in range(2)] == ["ast_1", "ast_1"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(model="three"), "no model 'three'; there are: two, four"),
        (Wish(format="ogg"), "no format 'ogg'; there are: flac, mp3"),
        (Wish(stems=("vocals", "drums")), "two makes no stem 'drums' .* --model four has it"),
        (Wish("four", ("rest",)), "four makes no stem 'rest' .* --model two has it"),
        (Wish(stems=("kazoo",)), "no model has it"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_before_anything_is_sent(
    wish: Wish, words: str
) -> None:
    api = Api("http://api.test", "a@b.c", transport=httpx.MockTransport(Cloud()))
    with pytest.raises(BadInput, match=words):
        journey.check(api, wish)
    journey.check(api, Wish("four", ("drums",), "mp3"))

"""A song's way against a stand-in for the API whose storage loses songs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import Invalid
from handlers.cli import journey, quality, terminal, upload
from handlers.cli.journey import Trip, Wish
from handlers.cli.tables import GLUE
from handlers.cli.terminal import Display
from handlers.client import uploads
from handlers.client.bodies import (
    Asset,
    AudioFacts,
    Capabilities,
    FormatBody,
    Job,
    JobFailure,
    OfferedModel,
    Quality,
    QuoteAnswer,
    Stem,
    Upload,
)
from handlers.client.client import Client
from handlers.client.credentials import ApiKey
from tests.handlers.client.answered import document, whole

BODY = b"song" * 100
FIXED = {
    "/v1/capabilities": document(
        Capabilities,
        models=[
            document(OfferedModel, name="two", stems=["vocals", "rest"]),
            document(OfferedModel, name="four", stems=["vocals", "drums"]),
            document(
                OfferedModel, name="words", stems=["target", "residual"], takes_prompt=True,
                outputs=["target", "residual", "no_target", "no_residual"],
            ),
        ],
        default_model="two",
        formats=[document(FormatBody, name="flac"), document(FormatBody, name="mp3")],
    ),
}  # fmt: skip


class Cloud:
    """Each upload is a new asset, probed at once; jobs of a lost one find no source."""

    def __init__(self, *lost: str) -> None:
        self.lost = lost
        self.assets: dict[str, str] = {}
        self.jobs: dict[str, str] = {}
        self.asked: dict[str, Any] = {}
        self.made: dict[str, object] = {}
        self.reused_from: str | None = None
        self.stored: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, key = request.url.path, request.headers.get("Idempotency-Key", "")
        if request.method == "PUT":
            self.stored.add(path.removeprefix("/"))
        asked = json.loads(request.content) if request.content.startswith(b"{") else {}
        answer = FIXED.get(path) or self._answer(path, key, asked)
        return httpx.Response(200, headers={"ETag": '"1"'}, json=answer)

    def _answer(self, path: str, key: str, asked: dict[str, Any]) -> object:
        match path.split("/")[1:]:
            case ["v1", "uploads"]:
                if key in self.assets:
                    return document(Upload, asset_id=self.assets[key], status="ready")
                asset = self.assets[key] = f"ast_{len(self.assets) + 1}"
                return self._open(asset)
            case ["v1", "uploads", asset]:
                return self._open(asset)
            case ["v1", "uploads", asset, "complete"]:
                return document(Upload, asset_id=asset, status="uploaded")
            case ["v1", "library", asset]:
                audio = document(AudioFacts, samples=44100, rate=44100, channels=2, seconds=1.0)
                return document(Asset, asset_id=asset, status="ready", audio=audio)
            case ["v1", "quotes"]:
                told = {"price": 0 if self.reused_from else 1, "reused_from": self.reused_from}
                return document(QuoteAnswer, seconds=1.0, available=600, **told)
            case ["v1", "jobs"]:
                self.jobs[key], self.asked = (asset := asked["asset_id"]), asked
                job = f"job_{asset}"
                given: dict[str, Any] = {"status": "completed", "reused_from": self.reused_from}
                if asset in self.lost:
                    failure = document(JobFailure, code="source_missing", stage="download")
                    given = {"status": "failed", "failure": failure}
                self.made[job] = document(Job, job_id=job, **given)
                return document(Job, job_id=job, status="queued")
            case ["v1", "jobs", job]:
                return self.made[job]
        return {}

    def _open(self, asset: str) -> object:
        there = asset in self.stored
        part = {"number": 1, "size": len(BODY), "url": f"http://storage.test/{asset}"}
        return document(
            Upload, asset_id=asset, status="uploading", part_size=4096, part_count=1,
            missing=[] if there else [part],
            received=[{"number": 1, "etag": "1", "size": len(BODY)}] if there else [],
        )  # fmt: skip


def client(cloud: Cloud) -> Client:
    credentials = ApiKey("sk_1")
    return Client("http://api.test", credentials, transport=httpx.MockTransport(cloud))


def separate(
    cloud: Cloud, path: Path, wish: Wish | None = None, display: Display | None = None
) -> Trip:
    api = client(cloud)
    trip = Trip(upload.read_song(path))
    display = display or terminal.display(as_json=True)
    journey.bring(api, trip, display)
    journey.request(api, trip, wish or Wish(), display)
    return trip


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.sleep", lambda _: None)
    path = tmp_path / "song.mp3"
    path.write_bytes(BODY)
    return path


def through(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    transport = httpx.MockTransport(cloud)
    monkeypatch.setattr(uploads, "http_for", lambda _: httpx.Client(transport=transport))
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
        (Wish(model="three"), "no model 'three'; there are: two, four, words"),
        (Wish(format="ogg"), "no format 'ogg'; there are: flac, mp3"),
        (Wish(stems=("vocals", "drums")), "two makes no stem 'drums' .* --model four has it"),
        (Wish("four", ("rest",)), "four makes no stem 'rest' .* --model two has it"),
        (Wish(stems=("kazoo",)), "no model has it"),
        (Wish("words"), "words needs a prompt"),
        (Wish("two", prompt="a dog"), "two takes no prompt"),
        (Wish(stems=("vocals",), prompt="a dog"), "words makes no stem 'vocals' .* has it"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_before_anything_is_sent(
    wish: Wish, words: str
) -> None:
    api = client(Cloud())
    with pytest.raises(Invalid, match=words):
        journey.check(api, wish)
    journey.check(api, Wish("four", ("drums",), "mp3"))
    journey.check(api, Wish(stems=("no_target",), prompt="a dog", bundle=True))


def test_every_wish_is_said_and_has_a_job_of_its_own(
    song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = through(Cloud(), monkeypatch)
    wish = Wish("words", ("target",), "mp3", "a dog", bundle=True, reuse=False)
    for each in (Wish(), wish, Wish("words", prompt="a cat"), wish):
        separate(cloud, song, each)
    assert len(cloud.jobs) == 3
    assert cloud.asked == {
        "asset_id": "ast_1", "model": "words", "stems": ["target"], "format": "mp3",
        "prompt": "a dog", "bundle": True, "reuse": False,
    }  # fmt: skip


def test_stems_that_exist_are_said_to_cost_nothing(
    song: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud = through(Cloud(), monkeypatch)
    cloud.reused_from = "job_first"
    separate(cloud, song, display=terminal.display(as_json=False))
    told = capsys.readouterr().out
    assert "0 credits for 1.0 s, since these stems exist (600 available)" in told
    assert "job_ast_1 (given again for nothing: job_first made these stems)" in told


def measured(*stems: tuple[str, int, float], **job: Any) -> Job:
    links = [
        document(Stem, name=name, over_full_scale=over, silence=silence)
        for name, over, silence in stems
    ]
    return whole(Job, job_id="job_1", status="completed", stems=links, **job)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (whole(Job, job_id="job_1", status="completed"), ""),
        (
            measured(("a", 0, 0.1), ("b", 0, 0.2), quality=Quality(residual_db=-121.4)),
            "the stems add up to the song (residual -121 dB); nothing clips; no stem is silent",
        ),
        (
            measured(("a", 3, 1.0), ("b", 1, 0), quality=Quality(residual_db=-12.0), gain_db=-1.25),
            "the stems leave a residual of -12 dB; 4 samples over full scale in a, b, so all stems "
            "are 1.2 dB quieter and nothing clips; silent: a",
        ),
        (
            measured(("a", 1, 0), quality=Quality(), gain_db=0.0),
            "1 sample over full scale in a, kept as they are; no stem is silent",
        ),
    ],
)
def test_the_quality_in_a_line(job: Job, words: str) -> None:
    assert quality.told(job).replace(GLUE, " ") == words

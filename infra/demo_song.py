"""A short song made from nothing, so that everything can be tried without anyone's music.

Twenty-four seconds at 80 beats a minute: four chords, drums, bass, a pad with plucked
notes, and a voice that sings syllables. Numpy only, always the same samples, and its stems
are known: they add up to the mix, so separation can be measured against the truth.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra import demo_voice

RATE = 44_100
BEAT = 0.75  # seconds: 80 beats a minute
SECONDS = 24.0
STEMS = ("vocals", "drums", "bass", "other")

Stereo = NDArray[np.float32]
Mono = NDArray[np.float64]

# Am F C G, one bar of four beats each, as MIDI notes; the bass plays the roots.
_CHORDS = ((57, 60, 64, 69), (53, 57, 60, 65), (55, 60, 64, 67), (55, 59, 62, 67))
_ROOTS = (33, 29, 36, 31)
_LEVELS = {"vocals": 0.36, "drums": 0.50, "bass": 0.17, "other": 0.26}  # peaks
_CEILING = 0.89  # of the mix: 1 dB below full scale
_SEED = 20_240


def make(seconds: float = SECONDS) -> dict[str, Stereo]:
    """The stems of the first ``seconds``, each (2, n) float32, whose sum never clips."""
    n = round(seconds * RATE)
    dry = {
        "vocals": demo_voice.sing(n, RATE, BEAT),
        "drums": _drums(n),
        "bass": _bass(n),
        "other": _other(n),
    }
    rooms = {"vocals": 0.22, "drums": 0.08, "bass": 0.0, "other": 0.25}
    stems = {}
    for name in STEMS:
        wet = _room(dry[name], rooms[name])
        peak = float(np.abs(wet).max(initial=0.0)) or 1.0
        stems[name] = (wet * (_LEVELS[name] / peak) * _ends(n)).astype(np.float32)
    gain = np.float32(min(1.0, _CEILING / float(np.abs(mix(stems)).max(initial=1e-9))))
    return {name: stem * gain for name, stem in stems.items()}


def mix(stems: dict[str, Stereo]) -> Stereo:
    """The sum of the stems, (2, n)."""
    total: Stereo = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    return total


def write(path: Path, seconds: float = SECONDS) -> None:
    """The mix as a 16-bit stereo WAV."""
    frames = np.rint(mix(make(seconds)).T * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, len(frames), "NONE", ""))
        file.writeframes(frames.tobytes())


def _hz(note: float) -> float:
    return float(440.0 * 2 ** ((note - 69) / 12))


def _ends(n: int) -> Mono:
    """Short fades, so that the song starts and stops without a click."""
    fade = min(n // 2, RATE // 50)
    gain = np.ones(n)
    gain[:fade] = np.linspace(0, 1, fade)
    gain[n - fade :] = np.linspace(1, 0, fade)
    return gain


def _add(track: Mono, start: float, sound: Mono) -> None:
    """Adds ``sound`` (channels, m) at ``start`` seconds, cut at the track's end."""
    at = round(start * RATE)
    room = track.shape[-1] - at
    if room > 0:
        track[..., at : at + sound.shape[-1]] += sound[..., :room]


def _beats(n: int) -> range:
    return range(int(n / RATE / BEAT) + 1)


def _drums(n: int) -> Mono:
    rng = np.random.default_rng(_SEED)
    track = np.zeros((2, n))
    kick, snare = _kick(), _snare(rng)
    hats = [_hat(rng, length) for length in (0.05, 0.05, 0.05, 0.18)]
    pan = np.array([[0.6], [0.8]])
    for beat in _beats(n):
        at = beat * BEAT
        if beat % 4 in (0, 2):
            _add(track, at, kick)
        if beat % 4 == 2:
            _add(track, at + BEAT * 0.75, 0.6 * kick)
        if beat % 4 in (1, 3):
            _add(track, at, snare)
        for half in range(2):
            loud = (1.0 if half == 0 else 0.6) * (0.9 + 0.2 * rng.random())
            swing = 0.02 if half else 0.0
            _add(track, at + half * BEAT / 2 + swing, loud * pan * hats[(beat * 2 + half) % 4])
    return track


def _kick() -> Mono:
    t = np.arange(int(0.3 * RATE)) / RATE
    fall = 48 * t + 110 / 28 * (1 - np.exp(-28 * t))  # a sweep from 158 down to 48 Hz
    click = np.exp(-t * 700) * 0.4
    return np.sin(2 * np.pi * fall) * np.exp(-t * 11) + click


def _snare(rng: np.random.Generator) -> Mono:
    t = np.arange(int(0.22 * RATE)) / RATE
    noise = np.diff(rng.standard_normal((2, len(t) + 1)), axis=1) * 0.5
    body = np.sin(2 * np.pi * 190 * t) * np.exp(-t * 30) * 0.7
    return noise * np.exp(-t * 22) * 0.5 + body


def _hat(rng: np.random.Generator, length: float) -> Mono:
    t = np.arange(int(2.5 * length * RATE)) / RATE
    noise = np.diff(rng.standard_normal(len(t) + 2), n=2)
    return noise * np.exp(-t / length * 2.5) * 0.11


def _bass(n: int) -> Mono:
    track = np.zeros((2, n))
    steps = ((0.0, 0.9, 0), (1.5, 0.4, 0), (2.0, 0.9, 0), (3.0, 0.4, 7), (3.5, 0.4, 12))
    for bar in range(int(n / RATE / BEAT / 4) + 1):
        for beat, length, up in steps:
            note = _hz(_ROOTS[bar % 4] + up)
            t = np.arange(int(length * BEAT * RATE)) / RATE
            sound = sum(np.sin(2 * np.pi * k * note * t) / k**1.7 for k in range(1, 9))
            shape = np.minimum(1, t * 150) * np.minimum(1, (t[-1] - t) * 60) * np.exp(-t * 1.6)
            _add(track, (bar * 4 + beat) * BEAT, np.tanh(1.2 * sound) * shape)
    return track


def _other(n: int) -> Mono:
    """A wide pad and plucked eighths over the chords."""
    track = np.zeros((2, n))
    for bar in range(int(n / RATE / BEAT / 4) + 1):
        chord = _CHORDS[bar % 4]
        for i, note in enumerate(chord):
            _add(track, bar * 4 * BEAT, 0.16 * _pad(_hz(note), 4.4 * BEAT, i))
        for step in range(8):
            note = chord[(0, 2, 1, 3, 2, 1, 3, 2)[step]] + 12
            pan = np.array([[0.5 + 0.3 * (-1) ** step], [0.5 - 0.3 * (-1) ** step]])
            _add(track, (bar * 4 + step / 2) * BEAT, 0.5 * pan * _pluck(_hz(note)))
    return track


def _pad(hz: float, length: float, voice: int) -> Mono:
    t = np.arange(int(length * RATE)) / RATE
    shape: Mono = np.minimum(1, t / 0.4) * np.minimum(1, (t[-1] - t) / 0.35)
    sides: Mono = np.zeros((2, len(t)))
    for i, side in enumerate((-1, 1)):
        detuned = hz * (1 + side * 0.0018)
        phase = 1.7 * voice + side
        for k in range(1, 8):
            sides[i] += np.sin(2 * np.pi * k * detuned * t + phase * k) / k**1.6
    sides *= shape
    return sides


def _pluck(hz: float) -> Mono:
    t = np.arange(int(0.8 * RATE)) / RATE
    tone: Mono = np.zeros(len(t))
    for k in range(1, 9):
        tone += np.sin(2 * np.pi * k * hz * t) * np.exp(-t * (4 + 2.5 * k)) / k
    tone *= np.minimum(1, t * 400)
    return tone


def _room(dry: Mono, amount: float) -> Mono:
    """A reverberation: noise that dies away in 1.1 s, another in each ear, by FFT."""
    if not amount:
        return dry
    n, length = dry.shape[1], int(1.1 * RATE)
    rng = np.random.default_rng(_SEED + 1)
    t = np.arange(length) / RATE
    tail = rng.standard_normal((2, length)) * np.exp(-t * 6.0) * np.minimum(1, t / 0.02)
    tail = np.cumsum(tail, 1) * 0.15 + tail * 0.5  # darker than white
    tail -= tail.mean(1, keepdims=True)
    tail /= np.sqrt(np.square(tail).sum(1, keepdims=True))
    size = 1 << (n + length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(tail, size), size)[:, :n]
    return dry + amount * wet

"""The demo song's voice: harmonics shaped by formants, with vibrato, breath and consonants.

Formants are those of a singing alto (the vowel tables of Csound's manual, appendix D).
A harmonic's level is the sum of five resonances at its frequency, evaluated at control
rate and interpolated: additive synthesis, so nothing aliases and nothing needs filters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Per vowel: frequencies (Hz), levels (dB), bandwidths (Hz) of five formants.
_VOWELS = {
    "a": ((800, 1150, 2800, 3500, 4950), (0, -4, -20, -36, -60), (80, 90, 120, 130, 140)),
    "e": ((400, 1600, 2700, 3300, 4950), (0, -24, -30, -35, -60), (60, 80, 120, 150, 200)),
    "i": ((350, 1700, 2700, 3700, 4950), (0, -20, -30, -36, -60), (50, 100, 120, 150, 200)),
    "o": ((450, 800, 2830, 3500, 4950), (0, -9, -16, -28, -55), (70, 80, 100, 130, 135)),
    "u": ((325, 700, 2530, 3500, 4950), (0, -12, -30, -40, -64), (50, 60, 170, 180, 200)),
}
# Start in beats, length in beats, MIDI note, consonant, vowel: four bars, then again.
_MELODY = (
    (0.0, 0.5, 64, "s", "o"), (0.5, 0.5, 64, "l", "a"), (1.0, 1.5, 69, "d", "a"),
    (2.5, 0.5, 67, "n", "i"), (3.0, 0.9, 64, "t", "e"),
    (4.0, 0.5, 65, "m", "a"), (4.5, 0.5, 67, "n", "o"), (5.0, 1.0, 69, "l", "a"),
    (6.0, 1.6, 72, "s", "a"),
    (8.0, 0.5, 71, "d", "i"), (8.5, 0.5, 69, "l", "a"), (9.0, 1.0, 67, "s", "e"),
    (10.0, 0.5, 64, "n", "o"), (10.5, 1.2, 67, "m", "a"),
    (12.0, 0.75, 62, "t", "u"), (12.75, 0.75, 64, "l", "a"), (13.5, 0.5, 67, "s", "i"),
    (14.0, 1.5, 62, "n", "a"),
)  # fmt: skip
_BARS_BEATS = 16
_CONTROL = 64  # samples between two evaluations of pitch and formants
_NASAL = frozenset("mnl")
_TOP = 9000.0  # Hz, the highest harmonic
_SEED = 4711


def sing(n: int, rate: int, beat: float) -> Array:
    """The melody, (2, n), the same in both ears; rate in Hz, beat in seconds."""
    rng = np.random.default_rng(_SEED)
    track = np.zeros(n)
    repeat = 0
    while repeat * _BARS_BEATS * beat * rate < n:
        previous = None
        for start, length, note, consonant, vowel in _MELODY:
            at = round((repeat * _BARS_BEATS + start) * beat * rate)
            sound = _syllable(rng, rate, length * beat, note, previous, consonant, vowel)
            room = n - at
            if room > 0:
                track[at : at + len(sound)] += sound[:room]
            previous = note
        repeat += 1
    return np.repeat(track[None], 2, axis=0)


def _syllable(
    rng: np.random.Generator,
    rate: int,
    seconds: float,
    note: int,
    previous: int | None,
    consonant: str,
    vowel: str,
) -> Array:
    n = int(seconds * rate)
    t = np.arange(0, n + _CONTROL, _CONTROL) / rate
    pitch = _pitch(rng, t, note, previous)
    onset = 0.09 if consonant in "st" else 0.0
    swell = np.clip((t - onset) / 0.05, 0, 1) * np.clip((seconds - t) / 0.07, 0, 1)
    swell *= 0.75 + 0.25 * np.sin(np.pi * np.clip(t / seconds, 0, 1))
    swell *= 1 + 0.03 * _wander(rng, len(t))
    voice = _harmonics(rng, n, rate, t, pitch, consonant, vowel) * _smooth(swell, n)
    return voice + _breath(rng, n, rate, consonant, vowel, _smooth(swell, n))


def _pitch(rng: np.random.Generator, t: Array, note: int, previous: int | None) -> Array:
    """Hz: a slide from the note before, vibrato that starts late, and human drift."""
    slide = ((previous or note - 2) - note) * np.exp(-t / 0.035)
    vibrato = 0.38 * np.clip((t - 0.18) / 0.25, 0, 1) * np.sin(2 * np.pi * 5.6 * t)
    drift = 0.12 * _wander(rng, len(t))
    semitones: Array = note + slide + vibrato + drift
    return 440.0 * 2 ** ((semitones - 69) / 12)


def _wander(rng: np.random.Generator, n: int) -> Array:
    """Slow noise of about unit size."""
    kernel = np.hanning(31)
    noise = np.convolve(rng.standard_normal(n + 30), kernel / np.sqrt((kernel**2).sum()), "valid")
    return noise[:n]


def _harmonics(
    rng: np.random.Generator, n: int, rate: int, t: Array, pitch: Array, consonant: str, vowel: str
) -> Array:
    phase = 2 * np.pi * np.cumsum(_smooth(pitch, n)) / rate
    # A nasal or an l: mouth nearly closed (like a dark u), opening within 80 ms.
    closed = np.clip(1 - (t - 0.05) / 0.04, 0, 1) if consonant in _NASAL else np.zeros(len(t))
    voice = np.zeros(n)
    for k in range(1, int(_TOP / pitch.max()) + 1):
        hz = k * pitch
        level = _response(hz, vowel) * (1 - closed) + 0.35 * _response(hz, "u") * closed
        level *= k**-0.55  # the glottis, with the lips' radiation
        voice += _smooth(level, n) * np.sin(k * phase + 0.3 * rng.standard_normal())
    return voice


def _response(hz: Array, vowel: str) -> Array:
    """Level of a harmonic at ``hz``: five resonances over a floor."""
    total = np.full(hz.shape, 0.004)
    for centre, decibels, width in zip(*_VOWELS[vowel], strict=True):
        gain = 10 ** (max(decibels, -38) / 26)
        total += gain / np.sqrt(1 + ((hz - centre) / (0.9 * width)) ** 2)
    return total


def _smooth(control: Array, n: int) -> Array:
    return np.interp(np.arange(n), np.arange(len(control)) * _CONTROL, control)


def _breath(
    rng: np.random.Generator, n: int, rate: int, consonant: str, vowel: str, swell: Array
) -> Array:
    """Noise: a little through the vowel, a burst for s, t and d."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / rate).astype(np.float64)
    air = np.fft.irfft(spectrum * _response(hz, vowel) * (hz > 800), n) * 0.05 * swell
    hiss = np.fft.irfft(spectrum * np.exp(-(((hz - 7200) / 2200) ** 2)), n)
    t = np.arange(n) / rate
    shape = {
        "s": 0.35 * np.clip(t / 0.03, 0, 1) * np.clip((0.11 - t) / 0.03, 0, 1),
        "t": 0.6 * np.exp(-np.clip(t - 0.04, 0, None) / 0.015) * (t > 0.04),
        "d": 0.25 * np.exp(-t / 0.012),
    }.get(consonant)
    return air if shape is None else air + hiss * shape

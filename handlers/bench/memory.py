"""The worker's peak memory for a short and a long song, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from handlers.bench import Figure


def figures(minutes: tuple[int, ...] = (3, 60)) -> list[Figure]:
    """Peak resident megabytes per length and their ratio; audio seconds per second too."""
    rows, peaks = [], []
    for length in minutes:
        measured = _measure(length)
        peaks.append(measured["peak_mb"])
        rows += [
            Figure(f"peak memory, {length} minutes of audio", measured["peak_mb"], "MB"),
            Figure(
                f"probe to encode, {length} minutes of audio",
                measured["seconds"], "s", "", f"{60 * length / measured['seconds']:.0f} x realtime",
            ),
        ]  # fmt: skip
    ratio = peaks[-1] / peaks[0]
    return [
        *rows,
        Figure(f"peak memory, {minutes[-1]} against {minutes[0]} minutes", ratio, "x", "<= 1.3"),
    ]


def _measure(minutes: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "handlers.bench.memory", str(minutes)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def main(minutes: int) -> None:
    """Run the worker's pipeline on that much audio and print what it took."""
    import resource

    from domain.audio import FORMATS, Audio
    from domain.job import SeparationRequested
    from handlers.worker.pipeline import Pipeline
    from infra import media
    from infra.separators import Separators, spleeter

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        audio = Audio(44100 * 60 * minutes, 44100, 2)
        _long_song(directory, audio)
        media.encode(
            directory / "loop.f32", audio, directory / "source", FORMATS["flac"], timeout=600
        )
        (directory / "loop.f32").unlink()
        asked = SeparationRequested(
            "u", "a", "k", "spleeter-2stems", ("vocals", "accompaniment"), "flac",
            audio.samples, audio.rate, audio.channels, 1, "bench",
        )  # fmt: skip
        pipeline = Pipeline(
            asked,
            Separators(spleeter.sources()),
            directory,
            4 * 3600,
            lambda: False,
            lambda _: None,
        )
        begun = time.monotonic()
        for stage in (pipeline.probe, pipeline.decode, pipeline.separate, pipeline.encode):
            stage()
        took = time.monotonic() - begun
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    sys.stdout.write(json.dumps({"peak_mb": peak / 1024, "seconds": took}) + "\n")


def _long_song(directory: Path, audio: object) -> None:
    """The demo song over and over, as a spool."""
    import numpy as np

    from domain.audio import Audio
    from infra import demo_song

    assert isinstance(audio, Audio)
    song = demo_song.mix(demo_song.make()).T.astype("<f4")
    left = audio.samples
    with (directory / "loop.f32").open("wb") as file:
        while left:
            part = np.ascontiguousarray(song[: min(left, len(song))])
            file.write(part.tobytes())
            left -= len(part)


if __name__ == "__main__":
    main(int(sys.argv[1]))

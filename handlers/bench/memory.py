"""The worker's peak memory for a short and a long song, each in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from domain.audio import Audio
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
        Figure(f"peak memory, {minutes[-1]} against {minutes[0]} minutes", ratio, "x", "<= 1.1"),
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
    from domain.job import SeparationRequested
    from handlers.worker.pipeline import Pipeline
    from handlers.worker.stages import Watch
    from infra import heap
    from infra.separators import Separators, spleeter

    heap.settle()
    stems = ("vocals", "accompaniment")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        audio = Audio(44100 * 60 * minutes, 44100, 2)
        asked = SeparationRequested(
            "u", "a", "k", "spleeter-2stems", stems, "flac", audio.samples, audio.rate,
            audio.channels, 1, "bench",
        )  # fmt: skip
        pipeline = Pipeline(asked, stems, directory, 4 * 3600)
        _long_song(pipeline.source, audio)
        watch = Watch(lambda: False, 4 * 3600)
        begun = time.monotonic()
        pipeline.probe(watch)
        separator = Separators(spleeter.sources()).load(asked.model)
        pipeline.separate(separator, watch, lambda _: None)
        gain = pipeline.gain_db
        for stem in stems:
            pipeline.deliver(stem, gain, watch)
        took = time.monotonic() - begun
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    sys.stdout.write(json.dumps({"peak_mb": peak / 1024, "seconds": took}) + "\n")


def _long_song(target: Path, audio: Audio) -> None:
    """The demo song over and over, as FLAC."""
    from domain.audio import FORMATS
    from infra import demo_song, media

    song = demo_song.mix(demo_song.make())
    left = audio.samples
    with media.Encoder(target, audio, FORMATS["flac"], timeout=3600) as encoder:
        while left:
            part = song[:, : min(left, song.shape[1])]
            encoder.write(part)
            left -= part.shape[1]
        encoder.finish()


if __name__ == "__main__":
    main(int(sys.argv[1]))

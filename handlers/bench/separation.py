"""HTDemucs here against the ``demucs`` package: the same network, song and threads.

The network has the released model's size (42 million parameters) and random weights, which cost
what trained ones do. Each side runs in processes of its own, taking turns, so that the peak memory
is its own and a busy neighbour disturbs both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct, convert

from handlers.bench import Figure

STEMS = ("vocals", "drums", "bass", "other")
RELEASED: dict[str, Any] = {"bottom_channels": 512, "dconv_mode": 3}
"""What the released htdemucs changes of the class's defaults, its segment of 7.8 s aside."""
COMPARED = 15  # seconds at the start whose estimates are compared


class Took(Struct, frozen=True):
    """One run: wall and processor seconds of separating alone, peak resident megabytes."""

    seconds: float
    cpu: float
    peak_mb: float
    threads: int
    cuda: bool


def figures(
    minutes: float = 10, rounds: int = 1, options: dict[str, Any] | None = None
) -> list[Figure]:
    """Speed, processor time and peak memory of both over ``minutes`` of audio, best of ``rounds``.

    On a GPU as well where there is one. Ten minutes take about ten on two cores, and a tenth of
    the length a tenth of that; the peer's memory grows with the length, so its peak wants all
    ten. options: of the network (the released one's unless given).
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "options.json").write_text(
            json.dumps(RELEASED if options is None else options)
        )
        run("weights", directory, 0, "cpu")
        devices, rows = ["cpu"], []
        for device in devices:
            ours, peer = _both(directory, minutes * 60, device, rounds)
            rows += _rows(ours, peer, minutes, device)
            rows.append(_difference(directory, device))
            if device == "cpu" and ours.cuda:
                devices.append("cuda")
    return rows


def _both(directory: Path, seconds: float, device: str, rounds: int) -> tuple[Took, Took]:
    taken: dict[str, list[Took]] = {"ours": [], "peer": []}
    for _ in range(rounds):
        for side, runs in taken.items():
            runs.append(run(side, directory, seconds, device))
    ours, peer = (min(runs, key=lambda took: took.seconds) for runs in taken.values())
    return ours, peer


def _rows(ours: Took, peer: Took, minutes: float, device: str) -> list[Figure]:
    length, audio = f"{minutes:g} minutes", minutes * 60
    where = "a GPU" if device == "cuda" else f"{ours.threads} threads"
    return [
        Figure(
            f"HTDemucs, {length}, {where}", audio / ours.seconds, "x realtime",
            ">= demucs", f"demucs {audio / peer.seconds:.3g}",
        ),
        Figure(
            f"its speed against demucs, {where}", peer.seconds / ours.seconds, "x", ">= 1.3",
        ),
        Figure(
            f"its processor time per second of audio, {where}", ours.cpu / audio, "s",
            "", f"demucs {peer.cpu / audio:.3g}",
        ),
        Figure(
            f"its peak memory, {length}, {where}", ours.peak_mb, "MB",
            "<= half of demucs", f"demucs {peer.peak_mb:,.0f}",
        ),
    ]  # fmt: skip


def _difference(directory: Path, device: str) -> Figure:
    import numpy as np

    ours, peer = (np.load(directory / f"{side}.npy") for side in ("ours", "peer"))
    error = float(np.square(ours - peer).sum() / np.square(peer).sum())
    decibels = 10 * np.log10(max(error, 1e-20))
    goal = "<= -80" if device == "cpu" else "half precision"
    return Figure(f"its difference from demucs, {device}", float(decibels), "dB", goal)


def run(what: str, directory: Path, seconds: float, device: str) -> Took:
    """``weights`` (written into the directory), ``ours`` or ``peer``, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "handlers.bench.separation_run", what, str(directory),
         str(seconds), device],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )  # fmt: skip
    return convert(json.loads(done.stdout.splitlines()[-1]), Took)

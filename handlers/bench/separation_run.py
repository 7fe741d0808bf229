"""One side of ``separation`` in a process of its own; prints what it took as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handlers.bench.separation import COMPARED, STEMS

RATE = 44_100
_BLOCK = 1 << 16  # samples, as they come from the decoder
_CHECKPOINT = "random.safetensors"

Block = NDArray[np.float32]


def main(what: str, directory: Path, seconds: float, device: str) -> None:
    """what: ``weights`` (write the checkpoint), ``ours`` or ``peer``."""
    sides: dict[str, Callable[[Path, Block, int, str], tuple[float, float]]] = {
        "weights": _write, "ours": _ours, "peer": _peer
    }  # fmt: skip
    took, cpu = sides[what](directory, _song(), int(seconds * RATE), device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report = {
        "seconds": took, "cpu": cpu, "peak_mb": peak, "threads": torch.get_num_threads(),
        "cuda": torch.cuda.is_available(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(report) + "\n")


def _write(directory: Path, _: Block, __: int, ___: str) -> tuple[float, float]:
    from demucs.htdemucs import HTDemucs
    from safetensors.torch import save_file

    options: dict[str, Any] = json.loads((directory / "options.json").read_text())
    torch.manual_seed(0)
    segment = Fraction(39, 5)
    sources = ["drums", "bass", "other", "vocals"]
    model = HTDemucs(sources, segment=segment, **options)
    encoded = {"_type": "fraction", "numerator": 39, "denominator": 5}
    metadata = {
        "klass": "demucs.htdemucs.HTDemucs",
        "args": json.dumps([sources]),
        "kwargs": json.dumps({**options, "segment": encoded}),
    }
    save_file(model.state_dict(), directory / _CHECKPOINT, metadata)
    return 0.0, 0.0


def _ours(directory: Path, song: Block, samples: int, device: str) -> tuple[float, float]:
    from domain.catalog import Model
    from infra.separators import Request
    from infra.separators.htdemucs.core import load
    from infra.separators.streaming import Streamed

    core = load([directory / _CHECKPOINT], STEMS, torch.device(device))
    separator = Streamed(Model(name="htdemucs", title="HTDemucs", stems=STEMS), core)
    mono = song.mean(0)
    request = Request(RATE, 2, samples, float(mono.mean()), float(mono.std(ddof=1)))
    begun, cpu = time.monotonic(), time.process_time()
    start: list[Block] = []
    held = 0
    for stems in separator.separate(_blocks(song, samples), request, lambda _: None, lambda: False):
        if held < COMPARED * RATE:
            start.append(np.stack([stems[stem] for stem in STEMS[:-1]]))
            held += start[-1].shape[2]
    took = time.monotonic() - begun, time.process_time() - cpu
    np.save(directory / "ours.npy", np.concatenate(start, 2)[..., : COMPARED * RATE])
    return took


def _peer(directory: Path, song: Block, samples: int, device: str) -> tuple[float, float]:
    """As ``demucs.api.Separator.separate_tensor`` does: normalise, apply, scale back."""
    from demucs.apply import apply_model
    from demucs.hf import load_safetensors_model

    model = load_safetensors_model(directory / _CHECKPOINT)
    model.eval()
    whole = torch.from_numpy(np.concatenate(list(_blocks(song, samples)), 1))
    mono = song.mean(0)
    mean, deviation = float(mono.mean()), float(mono.std(ddof=1)) + 1e-8
    begun, cpu = time.monotonic(), time.process_time()
    normal = (whole - mean) / deviation
    out = apply_model(
        model, normal[None], shifts=0, split=True, overlap=0.25, device=torch.device(device)
    )[0]
    out = out * deviation
    took = time.monotonic() - begun, time.process_time() - cpu
    rows = [model.sources.index(stem) for stem in STEMS[:-1]]
    np.save(directory / "peer.npy", out[rows, :, : COMPARED * RATE].cpu().numpy())
    return took


def _song() -> Block:
    from infra import demo_song

    return np.ascontiguousarray(demo_song.mix(demo_song.make()), dtype=np.float32)


def _blocks(song: Block, samples: int) -> Iterator[Block]:
    """The song over and over, in the decoder's blocks; never all of it in memory."""
    at = 0
    while at < samples:
        start = at % song.shape[1]
        block = song[:, start : start + min(_BLOCK, samples - at)]
        yield block
        at += block.shape[1]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4])

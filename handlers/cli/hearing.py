"""How near the demo song's stems are to the true ones. The only part of the CLI that decodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handlers.client.bodies import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

_TIMEOUT = 60.0
_MAX_SECONDS = 600


def against_the_truth(job: Job, files: list[Path]) -> dict[str, float]:
    """Signal-to-distortion ratio in dB of each stem of the demo song whose truth is known."""
    from infra import demo_song

    true = demo_song.make()
    found: dict[str, float] = {}
    for stem, file in zip(job.stems, files, strict=True):
        reference = _reference(true, stem.name)
        if reference is not None:
            found[stem.name] = sdr(reference, _decoded(file) / _gain(job))
    return found


def sdr(reference: Sound, estimate: Sound) -> float:
    """10 log10 of the reference's energy over the error's; both (channels, n)."""
    import numpy as np

    error = np.square(reference - estimate, dtype=np.float64).sum()
    return float(10 * np.log10(np.square(reference, dtype=np.float64).sum() / (error + 1e-30)))


def _gain(job: Job) -> float:
    return float(10 ** ((job.gain_db or 0.0) / 20))


def _reference(true: dict[str, Sound], name: str) -> Sound | None:
    if name == "accompaniment":
        total: Sound = sum((s for n, s in true.items() if n != "vocals"), start=true["vocals"] * 0)
        return total
    return true.get(name)


def _decoded(file: Path) -> Sound:
    import numpy as np

    from infra import media

    audio = media.measure(file, max_seconds=_MAX_SECONDS, timeout=_TIMEOUT).audio
    return np.concatenate(list(media.blocks(file, audio=audio, timeout=_TIMEOUT)), axis=1)

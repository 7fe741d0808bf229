"""What was measured of a finished job, in a line for people."""

from __future__ import annotations

from handlers.cli.tables import GLUE
from handlers.cli.words import counted
from handlers.client.bodies import Job, Stem

# A stem that is below -60 dBFS for so much of the song holds nothing.
_SILENT = 0.999
# What is left of the song when the stems are taken from it: below this, nobody hears it.
_ADDS_UP_DB = -60.0


def told(job: Job) -> str:
    """The residual, what clips, what is silent; empty where nothing was measured."""
    measured = [stem for stem in job.stems if stem.silence is not None]
    if not measured:
        return ""
    silent = [stem.name for stem in measured if (stem.silence or 0) >= _SILENT]
    said = [
        *_residual(job),
        _clipping(job, measured),
        f"silent: {', '.join(silent)}" if silent else "no stem is silent",
    ]
    return "; ".join(said)


def _residual(job: Job) -> list[str]:
    residual = job.quality.residual_db if job.quality else None
    if residual is None:
        return []
    decibels = f"{residual:.0f}{GLUE}dB"
    if residual <= _ADDS_UP_DB:
        return [f"the stems add up to the song (residual {decibels})"]
    return [f"the stems leave a residual of {decibels}"]


def _clipping(job: Job, measured: list[Stem]) -> str:
    loud = [stem for stem in measured if stem.over_full_scale]
    if not loud:
        return "nothing clips"
    over = counted(sum(stem.over_full_scale or 0 for stem in loud), "sample")
    where = f"{over} over full scale in {', '.join(stem.name for stem in loud)}"
    if job.gain_db:
        return f"{where}, so all stems are {-job.gain_db:.1f}{GLUE}dB quieter and nothing clips"
    return f"{where}, kept as they are"

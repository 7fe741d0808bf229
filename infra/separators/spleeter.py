"""The offline default: Spleeter's weights come with the installation, nothing is downloaded."""

from __future__ import annotations

from domain.catalog import Model
from infra.separators import Separator, Source

SPLEETER_2STEMS = Model(
    name="spleeter-2stems",
    title="Spleeter 2 stems",
    stems=("vocals", "accompaniment"),
    credits_per_second="1",
    description="Vocals and accompaniment by Deezer's Spleeter, a trained network.",
)
SPLEETER_DSP_4STEMS = Model(
    name="spleeter-dsp-4stems",
    title="Spleeter vocals, approximate band",
    stems=("vocals", "drums", "bass", "other"),
    credits_per_second="1.5",
    approximate=True,
    description=(
        "Vocals by Spleeter; drums, bass and other told apart in the accompaniment by signal "
        "processing, without a trained network: approximate."
    ),
)


def sources() -> list[Source]:
    """Both, the default first. Raises nothing: weights are looked at when they are loaded."""
    return [
        Source(SPLEETER_2STEMS, lambda: _build(SPLEETER_2STEMS, band=False)),
        Source(SPLEETER_DSP_4STEMS, lambda: _build(SPLEETER_DSP_4STEMS, band=True)),
    ]


def _build(model: Model, *, band: bool) -> Separator:
    from infra.separators.masking import Spleeter
    from infra.separators.streaming import Streamed

    return Streamed(model, Spleeter(band=band))

"""The models that this deployment can run, and the shape that all of them share.

Importing this module imports neither torch nor numpy: the API lists ``MODELS`` from it.
``load`` brings a model into memory, once per process, where it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from domain.catalog import Model
from domain.errors import UnknownModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
MODELS: tuple[Model, ...] = (SPLEETER_2STEMS, SPLEETER_DSP_4STEMS)

_loaded: dict[str, Separator] = {}
_loading = Lock()


class Separator(Protocol):
    """A model in memory."""

    @property
    def model(self) -> Model:
        """What it is and which stems it gives."""

    def separate(
        self,
        blocks: Iterable[NDArray[np.float32]],
        *,
        rate: int,
        channels: int,
        samples: int,
        cancelled: Callable[[], bool],
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Stems of a song that arrives in blocks of shape (channels, n).

        rate: Hz; channels: 1 or 2; samples: the song's length per channel. Yields aligned
        blocks (channels, n) for every stem, ``samples`` long in total, whose sum is the
        input up to float rounding; in memory that does not grow with the song.
        ``cancelled`` is asked between chunks of about 9 seconds, then Cancelled is raised.
        Raises ValueError when the blocks do not add up to ``samples``.
        """


def load(model_name: str) -> Separator:
    """The separator of that name, loaded at the first call.

    Raises UnknownModel; Unavailable when its weights are not installed or not genuine.
    """
    with _loading:
        if model_name not in _loaded:
            _loaded[model_name] = _build(model_name)
        return _loaded[model_name]


def _build(name: str) -> Separator:
    models = {model.name: model for model in MODELS}
    if name not in models:
        raise UnknownModel(f"No model {name!r}; this deployment has {', '.join(models)}.")
    from infra.separators.masking import Spleeter
    from infra.separators.streaming import Streamed

    return Streamed(models[name], Spleeter(band=name == SPLEETER_DSP_4STEMS.name))

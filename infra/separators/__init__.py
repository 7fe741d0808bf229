"""The models that this deployment can run, and the shape that all of them share.

Importing this package imports neither torch nor numpy: the API lists the models from it. A
``Separators`` brings a model into memory when it is first asked for, where it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from domain.catalog import Model
from domain.errors import Invalid, UnknownModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Block = NDArray[np.float32]


class Request(Struct, frozen=True):
    """What a song is, before its first block. rate: Hz; samples: per channel; channels: 1 or 2.

    mean, deviation: of the whole song's mono mix; some networks expect it normalised by them.
    prompt: words for a model that takes some.
    """

    rate: int
    channels: int
    samples: int
    mean: float = 0.0
    deviation: float = 1.0
    prompt: str | None = None


class Separator(Protocol):
    """A model in memory, used by one song at a time or by several at once from their threads."""

    @property
    def capabilities(self) -> Model:
        """What it is and which stems it gives."""

    def separate(
        self,
        chunks: Iterable[Block],
        request: Request,
        progress: Callable[[float], None],
        cancelled: Callable[[], bool],
    ) -> Iterator[dict[str, Block]]:
        """Stems of a song that arrives in chunks of shape (channels, n), n of any size.

        Yields aligned blocks (channels, m) for every stem of the model, ``request.samples`` long
        in total, in memory that does not grow with the song; where the model ``adds_up`` their
        sum is the input up to float rounding. progress: told 0..1 of the song. cancelled: asked
        at least once per inference chunk, then domain.audio.Cancelled is raised. Closing the
        iterator frees what the song held.
        Raises ModelError; ValueError when the chunks do not add up to ``request.samples``.
        """


class Source(Struct, frozen=True):
    """A model that can be had here. build: loads it; raises ModelError ``model_unavailable``."""

    model: Model
    build: Callable[[], Separator]


class Separators:
    """Sources by name. Safe to use from several threads. Raises Invalid for a name twice."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources: dict[str, Source] = {}
        for source in sources:
            name = source.model.name
            if name in self._sources:
                raise Invalid(f"Two models are called {name!r}; give one of them another name.")
            self._sources[name] = source
        self._loaded: dict[str, Separator] = {}
        self._loading = Lock()

    @property
    def models(self) -> dict[str, Model]:
        """What this deployment offers, by name, the default first."""
        return {name: source.model for name, source in self._sources.items()}

    def load(self, name: str) -> Separator:
        """The separator of that name, loaded at the first call and resident from then on.

        Raises UnknownModel; ModelError ``model_unavailable`` when its weights are not there or
        not genuine.
        """
        if name not in self._sources:
            raise UnknownModel(
                f"No model {name!r}; this deployment has {', '.join(self._sources)}."
            )
        if found := self._loaded.get(name):
            return found  # no song waits while another one's model is fetched
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = self._sources[name].build()
            return self._loaded[name]

    def resident(self) -> list[str]:
        """The names of the models in memory."""
        return list(self._loaded)

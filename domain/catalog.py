"""What this deployment offers: models, their stems, limits, and the price list.

The catalogue is a value, composed once from the separators that are installed, so that
a quote, a job and ``GET /v1/capabilities`` can never disagree.
"""

from __future__ import annotations

from fractions import Fraction

from msgspec import Struct

from domain.errors import UnknownModel, UnknownStem


class Model(Struct, frozen=True):
    """One way of separating.

    stems: in the order of delivery; with ``adds_up`` they add up to the mix, because the last
    one takes the remainder. credits_per_second: a decimal as text ("1", "1.5"), exact, relative
    to the standard model's 1. approximate: made by signal processing, without a trained network.
    takes_prompt: needs words that name the target; its stems are ``target`` and ``residual``.
    gpu: meant for workers with a GPU. hosted: runs at a provider. version: of the weights;
    stems of another version are not the same stems.
    """

    name: str
    title: str
    stems: tuple[str, ...]
    credits_per_second: str = "1"
    approximate: bool = False
    description: str = ""
    takes_prompt: bool = False
    adds_up: bool = True
    gpu: bool = False
    hosted: bool = False
    version: str = "1"


class Limits(Struct, frozen=True):
    """Published limits; seconds of audio and bytes of one upload."""

    max_seconds: int = 3 * 3600
    max_bytes: int = 4 * 1024**3


class Catalog(Struct, frozen=True):
    """Models by name, the default one, limits, and the price list's version."""

    models: dict[str, Model]
    default_model: str
    limits: Limits
    price_list: str

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownModel."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise UnknownModel(f"No model {name!r}; this deployment has {known}.") from None

    def stems(self, model: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """The wanted stems in the model's order; all of them when none is named.

        Raises UnknownModel or UnknownStem.
        """
        offered = self.model(model).stems
        for stem in wanted:
            if stem not in offered:
                raise UnknownStem(f"{model} gives {', '.join(offered)}; not {stem!r}.")
        return tuple(s for s in offered if s in wanted) if wanted else offered

    def price(self, model: str, samples: int, rate: int) -> int:
        """Credits for that much audio: started seconds times the model's multiplier."""
        per_second = Fraction(self.model(model).credits_per_second)
        return -(-(per_second * samples) // rate)

"""What this deployment offers: models, their stems, limits, and the price list.

The catalogue is a value, composed once from the separators that are installed, so that
a quote, a job and ``GET /v1/capabilities`` can never disagree.
"""

from __future__ import annotations

import re
from fractions import Fraction

from msgspec import Struct

from domain.errors import Invalid, UnknownModel, UnknownStem
from domain.stems import outputs

# Words that leave a prompt's meaning as it is. Nobody in particular: models that know a list of
# words cannot tell people apart.
_BESIDE = frozenset(
    {
        "a", "an", "the", "all", "any", "only", "just", "of", "is", "are", "human", "humans",
        "person", "persons", "people", "someone", "somebody", "word", "words", "over", "s",
    }
)  # fmt: skip


class Model(Struct, frozen=True):
    """One way of separating.

    stems: in the order of delivery; with ``adds_up`` they add up to the mix, because the last
    one takes the remainder. credits_per_second: a decimal as text ("1", "1.5"), exact, relative
    to the standard model's 1. approximate: made by signal processing, without a trained network.
    takes_prompt: needs words that name the target; its stems are ``target`` and ``residual``.
    prompts: the words that it understands, the plainest first; any where empty. gpu: meant for
    workers with a GPU. hosted: runs at a provider. version: of the weights; stems of another
    version are not the same stems.
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
    prompts: tuple[str, ...] = ()

    def understands(self, prompt: str) -> bool:
        """Whether it can look for that: one of its words, alone or among words that name nobody."""
        words = re.findall(r"[^\W_]+", prompt.casefold())
        if not self.takes_prompt or not words:
            return False
        known = not set(words).isdisjoint(self.prompts)
        return not self.prompts or (known and set(words) <= _BESIDE.union(self.prompts))


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

    def choose(self, name: str | None, prompt: str | None) -> Model:
        """The named model, or the default one; with a prompt the first that understands it.

        Raises UnknownModel; Invalid when model and prompt do not go together.
        """
        if name is None and prompt is not None:
            return self._for_prompt(prompt)
        model = self.model(name or self.default_model)
        if prompt is None and model.takes_prompt:
            raise Invalid(f"{model.name} needs a prompt: words that name the sound to take out.")
        if prompt is not None and not model.understands(prompt):
            raise Invalid(_not_understood(model))
        return model

    @staticmethod
    def prompt(said: str | None) -> str | None:
        """The prompt as it is kept: single spaces, nothing that cannot be seen. Raises Invalid."""
        if said is None:
            return None
        plain = " ".join(said.split())
        if not plain.isprintable():
            raise Invalid("The prompt has characters that cannot be printed; say it in words.")
        return plain

    def _for_prompt(self, prompt: str) -> Model:
        able = [model for model in self.models.values() if model.takes_prompt]
        for model in able:
            if model.understands(prompt):
                return model
        if not able:
            raise Invalid("This deployment has no model that takes a prompt; name stems instead.")
        raise Invalid(" ".join(_not_understood(model) for model in able))

    def stems(self, model: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """The wanted outputs in the model's order; its stems when none is named.

        ``no_<stem>`` is the song without that stem. Raises UnknownModel or UnknownStem.
        """
        stems = self.model(model).stems
        offered = outputs(stems)
        for stem in wanted:
            if stem not in offered:
                raise UnknownStem(f"{model} gives {', '.join(offered)}; not {stem!r}.")
        return tuple(s for s in offered if s in wanted) if wanted else stems

    def price(self, model: str, samples: int, rate: int) -> int:
        """Credits for that much audio: started seconds times the model's multiplier."""
        per_second = Fraction(self.model(model).credits_per_second)
        return -(-(per_second * samples) // rate)


def _not_understood(model: Model) -> str:
    if not model.takes_prompt:
        return f"{model.name} takes no prompt; leave it out, or leave the model out."
    if not model.prompts:
        return f"{model.name} needs words in its prompt: what to take out."
    return f"{model.name} only understands {', '.join(model.prompts)}."

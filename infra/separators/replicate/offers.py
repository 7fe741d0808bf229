"""Which hosted models are offered: the setting SPLITSOUND_REPLICATE_MODELS, a JSON array.

    [{"template": "sam-audio", "name": "sam-audio", "version": "<64 hex digits>",
      "credits_per_second": "4"},
     {"name": "demucs-hosted", "title": "Demucs, hosted", "kind": "stems",
      "version": "owner/demucs:<64 hex digits>", "credits_per_second": "2",
      "stems": ["vocals", "drums", "bass", "other"],
      "input": {"audio": "audio", "constants": {"output_format": "flac"}},
      "output": {"vocals": "vocals", "drums": "drums", "bass": "bass"}}]

``input`` gives the provider's names for our words: ``audio``, ``prompt``, ``residual`` (a switch
that is turned on to be given the residual too), and ``constants`` that go along unchanged.
``output`` says where in the answer each stem is: a key of a dict, or a position in a list; a
plain string instead of an object says that the answer is one file, which is that stem. The last
stem may be missing there: then it is made here, as the song minus the others.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from domain.catalog import Model
from domain.errors import Invalid

SETTING = "SPLITSOUND_REPLICATE_MODELS"
PROMPTED = ("target", "residual")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_STEM = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,199}")
_CREDITS = re.compile(r"\d{1,6}(\.\d{1,6})?")

TEMPLATES: dict[str, dict[str, Any]] = {
    # predict_spans: the model first looks for when the described sound is heard.
    "sam-audio": {
        "title": "SAM-Audio, any sound by description",
        "kind": "prompt",
        "description": (
            "Separates the sound that you describe. Generative: target and residual together "
            "are close to the song, not equal to it."
        ),
        "input": {
            "audio": "audio",
            "prompt": "description",
            "residual": "output_residual",
            "constants": {"predict_spans": True},
        },
        "output": {"target": "target", "residual": "residual"},
    },
}


class Input(Struct, frozen=True, forbid_unknown_fields=True):
    """The provider's names for our words, and what is always sent along."""

    audio: str = "audio"
    prompt: str | None = None
    residual: str | None = None
    constants: dict[str, str | int | float | bool] = {}

    def filled(self, audio: str, prompt: str | None) -> dict[str, str | int | float | bool]:
        """The input of a prediction. audio: a URL."""
        given: dict[str, str | int | float | bool] = {**self.constants, self.audio: audio}
        if self.prompt and prompt:
            given[self.prompt] = prompt
        if self.residual:
            given[self.residual] = True
        return given


class Offer(Struct, frozen=True, forbid_unknown_fields=True):
    """One hosted model. version: Replicate's version id; output: see the module."""

    name: str
    title: str
    version: str
    kind: Literal["prompt", "stems"]
    credits_per_second: str
    output: str | dict[str, str | int]
    description: str = ""
    stems: tuple[str, ...] = ()
    input: Input = Input()

    @property
    def order(self) -> tuple[str, ...]:
        """The stems in the order of delivery."""
        return PROMPTED if self.kind == "prompt" else self.stems

    @property
    def places(self) -> dict[str, str | int | None]:
        """Where each stem that the provider gives is; None: the answer itself."""
        if isinstance(self.output, str):
            return {self.output: None}
        return dict(self.output)

    @property
    def model(self) -> Model:
        """As the catalogue shows it."""
        return Model(
            name=self.name,
            title=self.title,
            stems=self.order,
            credits_per_second=self.credits_per_second,
            description=self.description,
            takes_prompt=self.kind == "prompt",
            adds_up=self.order[-1] not in self.places,
            hosted=True,
            version=self.version,
        )


def parse(text: str) -> list[Offer]:
    """The offers in the setting's JSON array; none where it is empty.

    Raises Invalid that names the model and what is wrong with it.
    """
    try:
        items = msgspec.json.decode(text.strip() or "[]", type=list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise Invalid(f"{SETTING} is not a JSON array of models: {error}.") from error
    offers = [_offer(place, item) for place, item in enumerate(items)]
    if len({offer.name for offer in offers}) != len(offers):
        raise Invalid(f"{SETTING}: two models have one name.")
    return offers


def _offer(place: int, item: dict[str, Any]) -> Offer:
    where = f"{SETTING}, model {place + 1} ({item.get('name', 'without a name')!s:.40})"
    template = item.pop("template", None)
    if template is not None and template not in list(TEMPLATES):
        raise Invalid(f"{where}: no template {template!r}; there is {', '.join(TEMPLATES)}.")
    usual = TEMPLATES[template] if template else {}
    try:
        offer = msgspec.convert({**usual, **item}, Offer, strict=True)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where}: {error}.") from error
    for wrong in (_wrong_words(offer), _wrong_stems(offer), _wrong_input(offer)):
        if wrong:
            raise Invalid(f"{where}: {wrong}.")
    return offer


def _wrong_words(offer: Offer) -> str | None:
    if not _NAME.fullmatch(offer.name):
        return "$.name is 1 to 40 lower case letters, digits and -"
    if not offer.title.strip():
        return "$.title is empty"
    if not _VERSION.fullmatch(offer.version):
        return "$.version is not a version id of Replicate"
    if not _CREDITS.fullmatch(offer.credits_per_second) or not float(offer.credits_per_second):
        return '$.credits_per_second is a positive decimal as text, like "2.5"'
    return None


def _wrong_stems(offer: Offer) -> str | None:
    if offer.kind == "prompt" and offer.stems:
        return "$.stems are target and residual for the kind prompt; leave them out"
    if len(offer.order) < 2 or len(set(offer.order)) != len(offer.order):
        return "$.stems names two or more different stems"
    if not all(_STEM.fullmatch(stem) for stem in offer.order):
        return "$.stems has a name that is not lower case letters, digits, - and _"
    for stem, place in offer.places.items():
        if stem not in offer.order:
            return f"$.output has {stem!r}, which is none of {', '.join(offer.order)}"
        if isinstance(place, int) and place < 0:
            return f"$.output.{stem} is a position, 0 or more"
    missing = [stem for stem in offer.order[:-1] if stem not in offer.places]
    if missing:
        return f"$.output lacks {', '.join(missing)}; only the last stem can be made here"
    return None


def _wrong_input(offer: Offer) -> str | None:
    given = offer.input
    if offer.kind == "prompt" and not given.prompt:
        return "$.input.prompt is missing: what does the provider call the prompt?"
    if offer.kind == "stems" and (given.prompt or given.residual):
        return "$.input.prompt and $.input.residual are for the kind prompt"
    named = [n for n in (given.audio, given.prompt, given.residual) if n is not None]
    if not all(named) or len({*named, *given.constants}) != len(named) + len(given.constants):
        return "$.input gives one of the provider's names twice, or an empty one"
    return None

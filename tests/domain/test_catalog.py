"""Which model answers a wish, what it gives and what it costs."""

from __future__ import annotations

import msgspec
import pytest

from domain.catalog import Catalog, Limits, Model
from domain.errors import Invalid, UnknownModel, UnknownStem
from domain.stems import outputs, preview_key, waveform_key, without

TWO = Model("two", "Two", ("vocals", "rest"))
FOUR = Model("four", "Four", ("vocals", "drums", "bass", "other"), "1.5")
SPEECH = Model(
    "speech", "Speech", ("target", "residual"), "0.25",
    takes_prompt=True, prompts=("speech", "voice"),
)  # fmt: skip
ANYTHING = Model(
    "anything", "Anything", ("target", "residual"), "10", takes_prompt=True, hosted=True
)


def offering(*models: Model) -> Catalog:
    """A catalogue whose default is the first."""
    return Catalog({model.name: model for model in models}, models[0].name, Limits(), "test")


WHOLE = offering(TWO, FOUR, SPEECH, ANYTHING)


@pytest.mark.parametrize(
    ("name", "prompt", "chosen"),
    [
        (None, None, TWO),
        ("four", None, FOUR),
        (None, "speech", SPEECH),  # the first that understands it
        (None, "The Voice!", SPEECH),
        (None, "a barking dog", ANYTHING),
        ("anything", "speech", ANYTHING),  # who names one gets it
        ("speech", "a voice", SPEECH),
    ],
)
def test_the_model_that_a_wish_gets(name: str | None, prompt: str | None, chosen: Model) -> None:
    assert WHOLE.choose(name, prompt) == chosen


@pytest.mark.parametrize(
    ("catalog", "name", "prompt", "words"),
    [
        (WHOLE, "anything", None, "anything needs a prompt"),
        (WHOLE, "anything", " ... ", "anything needs words in its prompt"),
        (WHOLE, "two", "a dog", "two takes no prompt; leave it out"),
        (WHOLE, "speech", "a dog", "speech only understands speech, voice"),
        (offering(TWO, SPEECH), None, "a dog", "speech only understands speech, voice"),
        (offering(TWO, FOUR), None, "a dog", "no model that takes a prompt; name stems"),
        (offering(SPEECH, TWO), None, None, "speech needs a prompt"),
    ],
)
def test_a_model_and_a_prompt_that_do_not_go_together(
    catalog: Catalog, name: str | None, prompt: str | None, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        catalog.choose(name, prompt)


def test_a_model_that_is_not_there_is_told_of_with_those_that_are() -> None:
    with pytest.raises(UnknownModel, match="No model 'five'; this deployment has anything, four"):
        WHOLE.choose("five", None)
    with pytest.raises(UnknownModel):
        WHOLE.choose("five", "a dog")


@pytest.mark.parametrize("prompt", ["speech", "SPEECH", "a voice", "the speech.", "Speech, voice?"])
def test_case_articles_and_punctuation_do_not_matter(prompt: str) -> None:
    assert SPEECH.understands(prompt)


@pytest.mark.parametrize("prompt", ["", "the", "speeches", "a dog", "speech and a dog", "!?"])
def test_words_that_a_model_does_not_know(prompt: str) -> None:
    assert not SPEECH.understands(prompt)


def test_who_takes_no_prompt_understands_none() -> None:
    assert not TWO.understands("vocals")
    assert not msgspec.structs.replace(SPEECH, takes_prompt=False).understands("speech")


def test_a_prompt_needs_words() -> None:
    assert ANYTHING.understands("ein bellender Hund")
    assert ANYTHING.understands("犬")
    assert not ANYTHING.understands(" ... ")


def test_everything_that_can_be_delivered() -> None:
    assert outputs(TWO.stems) == ("vocals", "rest", "no_vocals", "no_rest")
    assert without("vocals") == "no_vocals"


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ((), ("vocals", "drums", "bass", "other")),  # mix-minus only for those who name it
        (("bass", "vocals"), ("vocals", "bass")),
        (("no_vocals", "vocals"), ("vocals", "no_vocals")),
        (("no_drums", "no_vocals", "no_drums"), ("no_vocals", "no_drums")),
        (("no_other",), ("no_other",)),
    ],
)
def test_outputs_come_in_the_model_s_order_each_once(
    wanted: tuple[str, ...], given: tuple[str, ...]
) -> None:
    assert WHOLE.stems("four", wanted) == given


@pytest.mark.parametrize("stem", ["kazoo", "no_kazoo", "no_", "no_no_vocals", "Vocals", ""])
def test_outputs_that_a_model_does_not_give(stem: str) -> None:
    with pytest.raises(UnknownStem, match="two gives vocals, rest, no_vocals, no_rest; not"):
        WHOLE.stems("two", ("vocals", stem))


@pytest.mark.parametrize(
    ("model", "samples", "price"),
    [
        ("two", 1, 1), ("two", 44_100, 1), ("two", 44_101, 2), ("two", 441_000, 10),
        ("four", 441_000, 15), ("four", 441_001, 16), ("four", 44_100, 2),
        ("speech", 44_100, 1), ("speech", 4 * 44_100, 1), ("speech", 4 * 44_100 + 1, 2),
    ],
)  # fmt: skip
def test_each_started_credit_counts(model: str, samples: int, price: int) -> None:
    assert WHOLE.price(model, samples, 44_100) == price


def test_companions_stand_beside_their_stem() -> None:
    key = "user_u/jobs/j/output/1/no_vocals.flac"
    assert preview_key(key) == "user_u/jobs/j/output/1/no_vocals.preview.mp3"
    assert waveform_key(key) == "user_u/jobs/j/output/1/no_vocals.waveform.json"


def test_a_prompt_is_kept_in_single_spaces() -> None:
    assert Catalog.prompt("  a person \n speaking ") == "a person speaking"
    assert Catalog.prompt(None) is None
    with pytest.raises(Invalid, match="cannot be printed"):
        Catalog.prompt("speech\x00")

"""The setting that says which hosted models are offered."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from domain.errors import Invalid
from infra.separators import Separators
from infra.separators.replicate import sources
from infra.separators.replicate.offers import parse
from tests.infra.replicate.conftest import BAND, SAM
from tests.infra.replicate.provider import TOKEN

PROMPTED = {
    **{k: v for k, v in SAM.items() if k != "template"},
    "title": "Any",
    "kind": "prompt",
    "input": {"prompt": "text"},
    "output": "target",
}


def offered(*models: dict[str, Any]) -> list[Any]:
    return sources(TOKEN, "", json.dumps(models), None, None)


def test_nothing_without_a_token_or_models() -> None:
    assert sources("", "", json.dumps([SAM]), None, None) == []
    assert sources(TOKEN, "", "", None, None) == []
    assert sources(TOKEN, "", " [] ", None, None) == []


def test_models_as_the_catalogue_shows_them() -> None:
    sam, band, made_here = (
        source.model for source in offered(SAM, BAND, {**PROMPTED, "name": "x"})
    )
    assert (sam.stems, sam.takes_prompt, sam.adds_up) == (("target", "residual"), True, False)
    assert (sam.hosted, sam.gpu, sam.version) == (True, False, SAM["version"])
    assert (band.stems, band.takes_prompt, band.adds_up) == (
        ("vocals", "drums", "other"),
        False,
        True,
    )
    assert made_here.adds_up
    assert band.credits_per_second == "2"


def test_the_token_is_not_in_the_sources_repr() -> None:
    assert TOKEN not in repr(offered(SAM))


def test_a_template_can_be_changed_in_parts() -> None:
    (offer,) = parse(json.dumps([{**SAM, "title": "Mine", "input": {"prompt": "words"}}]))
    assert offer.title == "Mine"
    assert offer.input.filled("u", "p") == {"audio": "u", "words": "p"}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("{", "not a JSON array"),
        ('{"name": "x"}', "not a JSON array"),
        ("[7]", "$[0]"),
        ("[" * 100_000, "not a JSON array"),
        ([{}], "model 1 (without a name)"),
        ([SAM, {**SAM}], "two models have one name"),
        ([{**SAM, "template": "sam"}], "model 1 (sam): no template 'sam'; there is sam-audio"),
        ([{**SAM, "template": ["x"]}], "no template"),
        ([{**SAM, "version": 7}], "$.version"),
        ([{**SAM, "version": "a b"}], "$.version"),
        ([{**SAM, "name": "A b"}], "$.name"),
        ([{**SAM, "title": " "}], "$.title"),
        ([{**SAM, "credits_per_second": 2}], "$.credits_per_second"),
        ([{**SAM, "credits_per_second": "0.0"}], "$.credits_per_second"),
        ([{**SAM, "credits_per_second": "1/3"}], "$.credits_per_second"),
        ([{**SAM, "colour": "red"}], "colour"),
        ([{**SAM, "input": {"prompt": "p", "sound": "a"}}], "$.input"),
        ([{**SAM, "input": {}}], "$.input.prompt is missing"),
        ([{**SAM, "input": {"prompt": "audio"}}], "twice"),
        ([{**SAM, "input": {"prompt": "p", "constants": {"p": 1}}}], "twice"),
        ([{**SAM, "input": {"prompt": "p", "constants": {"x": [1]}}}], "$.input.constants"),
        ([{**SAM, "stems": ["target", "residual"]}], "$.stems"),
        ([{**SAM, "output": {"residual": 0}}], "$.output lacks target"),
        ([{**SAM, "output": {"target": -1}}], "$.output.target"),
        ([{**SAM, "output": {"target": 1.5}}], "$.output"),
        ([BAND, {**BAND, "name": "b2", "kind": "both"}], "model 2 (b2)"),
        ([{**BAND, "stems": ["vocals"]}], "two or more"),
        ([{**BAND, "stems": ["vocals", "vocals"]}], "two or more different"),
        ([{**BAND, "stems": ["vocals", "../drums"]}], "$.stems has a name"),
        ([{**BAND, "output": {"vocals": 0}}], "$.output lacks drums"),
        ([{**BAND, "output": {"vocals": 0, "drums": 1, "piano": 2}}], "'piano'"),
        ([{**BAND, "input": {"prompt": "p"}}], "$.input.prompt"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(models: Any, said: str) -> None:
    text = models if isinstance(models, str) else json.dumps(models)
    with pytest.raises(Invalid) as caught:
        sources(TOKEN, "", text, None, None)
    assert "SPLITSOUND_REPLICATE_MODELS" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "base",
    [
        "http://api.example.com",
        "ftp://x",
        "api",
        "https://",
        "https://u:p@x",
        "https://x:y",
        "[::1",
    ],
)
def test_a_base_that_would_give_the_token_away_is_refused(base: str) -> None:
    with pytest.raises(Invalid, match="SPLITSOUND_REPLICATE_API_BASE"):
        sources(TOKEN, base, json.dumps([SAM]), None, None)


@pytest.mark.parametrize("base", ["", "http://127.0.0.1:8080/", "http://[::1]", "https://x/y/"])
def test_a_separator_is_built_when_it_is_asked_for(base: str) -> None:
    separators = Separators(sources(TOKEN, base, json.dumps([SAM]), None, None))
    assert separators.load("sam").capabilities == separators.models["sam"]


def test_listing_models_loads_nothing_heavy() -> None:
    code = (
        "import sys; from infra.separators.replicate import sources;"
        f"sources('t', '', {json.dumps([SAM])!r}, None, None); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "numpy", "httpx", "soxr", "ffmpeg"}

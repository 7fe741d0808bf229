"""The operator's store: what ``models.json`` may say, and what is told when files are not there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid, ModelError
from infra.separators import checkpoints

WEIGHTS = b"weights" * 1000
CONFIG = b"model: {}\n"


def never() -> Any:
    raise AssertionError("S3 is not asked")


def listed(name: str, content: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }


def entry(**changed: Any) -> dict[str, Any]:
    """A RoFormer's entry; ``name=None`` leaves the field out."""
    made = {
        "name": "vocals-hq",
        "title": "Vocals, high quality",
        "architecture": "mel_band_roformer",
        "stems": ["vocals", "instrumental"],
        "files": [listed("vocals.ckpt", WEIGHTS), listed("vocals.yaml", CONFIG)],
        "config": "vocals.yaml",
        "credits_per_second": "4",
        "description": "For singing.",
        "gpu": True,
        "licence": "MIT",
    } | changed
    return {name: value for name, value in made.items() if value is not None}


Write = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Write:
    """Writes a store with those entries; its location."""

    def write(*entries: Any) -> str:
        (tmp_path / "models.json").write_text(json.dumps(entries))
        (tmp_path / "vocals.ckpt").write_bytes(WEIGHTS)
        (tmp_path / "vocals.yaml").write_bytes(CONFIG)
        return str(tmp_path)

    return write


def test_no_location_offers_nothing() -> None:
    assert checkpoints.sources("", None, never) == []


def test_an_entry_becomes_a_model(store: Write) -> None:
    (source,) = checkpoints.sources(store(entry()), None, never)
    model = source.model
    assert (model.name, model.title) == ("vocals-hq", "Vocals, high quality")
    assert model.stems == ("vocals", "instrumental")
    assert (model.credits_per_second, model.gpu, model.adds_up) == ("4", True, True)
    assert {model.takes_prompt, model.hosted, model.approximate} == {False}


def test_the_version_is_that_of_the_weights(store: Write) -> None:
    def version(**changed: Any) -> str:
        return checkpoints.sources(store(entry(**changed)), None, never)[0].model.version

    first = version()
    assert version(title="Another", credits_per_second="9", gpu=False) == first
    others = [
        [listed("vocals.ckpt", b"other"), listed("vocals.yaml", CONFIG)],
        [listed("vocals.ckpt", WEIGHTS), listed("vocals.yaml", b"other")],
    ]
    assert len({first, *(version(files=files) for files in others)}) == 3
    assert version(stems=["instrumental", "vocals"]) != first


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": None}, "missing required field `name`"),
        ({"name": "Vocals HQ"}, "name: Expected `str` of lower-case letters"),
        ({"architecture": "spleeter"}, "architecture: Invalid enum value 'spleeter'"),
        ({"stems": ["vocals"]}, "stems: Expected `array` of length >= 2"),
        ({"stems": ["vocals", "vocals"]}, "stems: 'vocals' is listed twice"),
        ({"stems": ["vocals", "../x"]}, "stems[1]: Expected `str` of lower-case"),
        ({"credits_per_second": 4}, "credits_per_second: Expected `str`, got `int`"),
        ({"credits_per_second": "-1"}, 'credits_per_second: Expected `str` of a decimal'),
        ({"credits_per_second": "0.0"}, "credits_per_second: must be more than 0"),
        ({"files": []}, "files: Expected `array` of length >= 1"),
        ({"files": [{"name": "a"}]}, "files[0]: Object missing required field `sha256`"),
        ({"files": [listed("a", b"x") | {"sha256": "AB"}]}, "files[0].sha256: Expected `str` of 6"),
        ({"files": [listed("a", b"x") | {"md5": "1"}]}, "unknown field `md5`"),
        ({"config": "other.yaml"}, "config: 'other.yaml' is not among its files"),
        ({"config": None}, "config: a mel_band_roformer needs the configuration"),
        ({"files": [listed("vocals.yaml", CONFIG)]}, "files: there is a configuration and no"),
        ({"prize": "4"}, "unknown field `prize`"),
        ({"name": "spleeter-2stems"}, "name: a model of that name is built in"),
        ({"name": "deepfilternet-speech"}, "name: a model of that name is built in"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named_with_its_field(
    store: Write, changed: dict[str, Any], told: str
) -> None:
    location = store(entry(name="fine"), entry(**changed))
    with pytest.raises(Invalid) as refused:
        checkpoints.sources(location, None, never)
    assert f"{location}/models.json, entry 2" in str(refused.value)
    assert told in str(refused.value)
    assert "regex" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/../../b", "", ".", "a//b", "a\\..\\b", "C:x", "a\nb", "\0",
     "models.json", "x" * 300, " ", "a/ /b"],
)  # fmt: skip
def test_files_lie_below_the_store(store: Write, name: str) -> None:
    files = [listed(name, b"x"), listed("vocals.yaml", CONFIG)]
    with pytest.raises(Invalid, match=r"files\[0\].name: .* is no path below the store"):
        checkpoints.sources(store(entry(files=files)), None, never)


def test_entries_fit_together(store: Write) -> None:
    with pytest.raises(Invalid, match="two entries have the name 'vocals-hq'"):
        checkpoints.sources(store(entry(), entry()), None, never)
    other = [listed("vocals.ckpt", b"other"), listed("vocals.yaml", CONFIG)]
    with pytest.raises(Invalid, match=r"'vocals.ckpt' has another sha256 in another entry"):
        checkpoints.sources(store(entry(), entry(name="b", files=other)), None, never)
    twice = [listed("vocals.ckpt", WEIGHTS)] * 2 + [listed("vocals.yaml", CONFIG)]
    with pytest.raises(Invalid, match=r"'vocals.ckpt' is listed twice"):
        checkpoints.sources(store(entry(files=twice)), None, never)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not JSON"),
        (b"[{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"{}", "is not a list of models"),
        (b"[7]", "entry 1: Expected `object`, got `int`"),
        (b"[" + b" " * (1 << 20) + b"]", "no list of models"),
    ],
)
def test_a_broken_manifest_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "models.json").write_bytes(content)
    with pytest.raises(Invalid) as refused:
        checkpoints.sources(str(tmp_path), None, never)
    assert told in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_manifest_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    for location in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Invalid, match=r"SPLITSOUND_MODELS is set and .*splitsound models add"):
            checkpoints.sources(str(location), None, never)
    with pytest.raises(Invalid, match="name a bucket"):
        checkpoints.sources("s3:///models", None, never)


def lose(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    path.write_bytes(b"W" + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("harm", "told"),
    [(lose, "is missing"), (shorten, "6999 bytes instead of 7000"), (flip, "its SHA-256 differs")],
)
def test_missing_and_corrupt_files_are_told_apart(
    store: Write, tmp_path: Path, harm: Callable[[Path], None], told: str
) -> None:
    (source,) = checkpoints.sources(store(entry()), None, never)
    harm(tmp_path / "vocals.ckpt")
    with pytest.raises(ModelError) as failed:
        source.build()
    assert failed.value.code == "model_unavailable"
    assert not failed.value.transient
    for words in ("'vocals.ckpt'", told, str(tmp_path), "Copy it there anew"):
        assert words in str(failed.value)


def test_the_api_needs_no_torch_to_list_models(store: Write) -> None:
    code = (
        "import sys; from infra.separators import checkpoints;"
        f"assert checkpoints.sources({store(entry())!r}, None, None);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'pymss_core', 'yaml')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

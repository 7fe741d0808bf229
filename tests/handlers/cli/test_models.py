"""Operators list, add and check models, without any stack, with checkpoints of the test's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import torch
from moto import mock_aws

from handlers.cli.checks import models as check_of_models
from infra.separators import checkpoints
from tests.handlers.cli.operators import Done, splitsound
from tests.infra.separators.roformers import configuration, network, weights, write_config

Shell = Callable[..., Done]
BUILT_IN = ["spleeter-2stems", "spleeter-dsp-4stems", "deepfilternet-speech"]


class Files:
    """What somebody downloaded: a checkpoint and its configuration, and a place for a store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        self.config = write_config(folder / "own.yaml", configuration("bs_roformer"))
        self.checkpoint = folder / "own.ckpt"
        torch.save({"state_dict": weights(network("bs_roformer", self.config))}, self.checkpoint)

    def arguments(self, *more: str, **changed: str) -> list[str]:
        """Of ``models add``; the last value given for an option counts."""
        options = {
            "config": str(self.config),
            "name": "vocals-hq",
            "architecture": "bs_roformer",
            "stems": "vocals, instrumental",
            "credits-per-second": "4",
            "to": str(self.store),
        } | changed
        given = [text for name, value in options.items() for text in (f"--{name}", value) if value]
        return ["models", "add", str(self.checkpoint), *given, *more]

    @property
    def listed(self) -> list[dict[str, Any]]:
        """The manifest."""
        found: list[dict[str, Any]] = json.loads((self.store / "models.json").read_text())
        return found

    def kept(self) -> list[str]:
        """All files in the store."""
        return sorted(str(p.relative_to(self.store)) for p in self.store.rglob("*") if p.is_file())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def shell(capsys: Any) -> Shell:
    return lambda *arguments: splitsound(capsys, *arguments)


def test_what_is_built_in_is_listed_without_a_store(shell: Shell) -> None:
    listed = shell("models", "list", "--json")
    assert listed.code == 0
    assert [each["name"] for each in listed.data["models"]] == BUILT_IN
    assert {each["state"] for each in listed.data["models"]} == {"built in"}
    assert "models add" in shell("models", "list").out


def test_a_model_is_added_listed_and_checked(shell: Shell, files: Files) -> None:
    added = shell(*files.arguments("--title", "Vocals", "--licence", "MIT"))
    assert (added.code, added.err) == (0, "")
    assert "vocals-hq: vocals, instrumental" in added.out
    (entry,) = files.listed
    folder = entry["files"][0]["name"].split("/")[0]
    assert files.kept() == ["models.json", f"{folder}/own.ckpt", f"{folder}/own.yaml"]
    assert entry["files"][0]["sha256"] == hashlib.sha256(files.checkpoint.read_bytes()).hexdigest()
    assert (entry["gpu"], entry["title"], entry["licence"]) == (True, "Vocals", "MIT")
    assert len(checkpoints.sources(str(files.store), None, lambda: None)) == 1

    listed = shell("models", "list", "--store", str(files.store), "--json")
    own = listed.data["models"][-1]
    assert (own["name"], own["state"], own["ok"]) == ("vocals-hq", "verified", True)
    assert own["bytes"] == files.checkpoint.stat().st_size + files.config.stat().st_size
    shown = shell("models", "list", "--store", str(files.store)).out
    assert f"Your store is {files.store}." in shown

    checked = shell("models", "check", "vocals-hq", "--store", str(files.store), "--json")
    assert checked.code == 0
    (finding,) = checked.data["models"]
    assert finding["ok"]
    assert finding["separate_seconds"] > 0
    assert "All is well." in shell("models", "check", "vocals-hq", "--store", str(files.store)).out


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"architecture": "mel_band_roformer"}, "not that of a mel_band_roformer"),
        ({"architecture": "htdemucs"}, "vocals-hq|own.ckpt"),
        ({"stems": "drums,bass,rest"}, "name the estimated ones first"),
        ({"config": ""}, "config: a bs_roformer needs the configuration"),
        ({"name": "Vocals HQ"}, "name: Expected `str` of lower-case letters"),
        ({"name": "spleeter-2stems"}, "is built in"),
        ({"stems": "vocals"}, "stems: Expected `array` of length >= 2"),
        ({"credits-per-second": "cheap"}, "credits_per_second: Expected"),
        ({"to": ""}, "name a directory with --to, or set SPLITSOUND_MODELS"),
        ({"to": "s3://bucket/models"}, "aws s3 sync DIR s3://bucket/models"),
    ],
)
def test_what_cannot_be_added_leaves_nothing(
    shell: Shell, files: Files, changed: dict[str, str], told: str
) -> None:
    done = shell(*files.arguments(**changed))
    assert done.code == 2
    assert any(words in done.err for words in told.split("|"))
    assert not files.store.exists() or files.kept() == []


def test_a_broken_checkpoint_is_found_now(shell: Shell, files: Files) -> None:
    files.checkpoint.write_bytes(files.checkpoint.read_bytes()[:1000])
    done = shell(*files.arguments())
    assert done.code == 2
    assert "the checkpoint is broken" in done.err
    assert files.kept() == []


def test_a_name_is_replaced_only_on_purpose(shell: Shell, files: Files) -> None:
    assert shell(*files.arguments()).code == 0
    assert shell(*files.arguments(name="other")).code == 0
    before = files.listed
    refused = shell(*files.arguments())
    assert refused.code == 2
    assert "choose another name, or --replace" in refused.err
    torch.save(weights(network("bs_roformer", files.config, seed=9)), files.checkpoint)
    assert shell(*files.arguments("--replace", **{"credits-per-second": "5"})).code == 0
    after = {each["name"]: each for each in files.listed}
    assert after["other"] == before[1]
    assert after["vocals-hq"]["credits_per_second"] == "5"
    assert after["vocals-hq"]["files"] != before[0]["files"]
    # A worker that reads the former files is not disturbed.
    assert (files.store / before[0]["files"][0]["name"]).is_file()


def test_files_in_the_store_already_are_not_copied(shell: Shell, files: Files) -> None:
    files.store = files.folder
    assert shell(*files.arguments(to=str(files.folder))).code == 0
    assert files.kept() == ["models.json", "own.ckpt", "own.yaml"]


def test_a_full_disk_leaves_nothing_half(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", full)
        done = shell(*files.arguments())
    assert done.code == 1
    assert "disk is full" in done.err
    assert files.kept() == []
    assert shell(*files.arguments()).code == 0


def test_damage_is_found_by_list_check_and_doctor(
    shell: Shell, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell(*files.arguments())
    monkeypatch.setenv("SPLITSOUND_MODELS", str(files.store))
    (healthy,) = check_of_models.examine(tmp_path / "data")
    assert (healthy.state, "1 model at" in healthy.found) == ("ok", True)
    (files.store / files.listed[0]["files"][0]["name"]).write_bytes(b"x")
    listed = shell("models", "list")
    assert listed.code == 1
    assert "(1 bytes instead of " in listed.out
    assert "FAILED" in listed.out
    checked = shell("models", "check", "vocals-hq")
    assert checked.code == 1
    assert "1 of 1 model failed." in checked.out
    (ailing,) = check_of_models.examine(tmp_path / "data")
    assert ailing.state == "failed"
    (files.store / "models.json").write_text("[{}]")
    assert shell("models", "list").code == 2
    (ailing,) = check_of_models.examine(tmp_path / "data")
    assert "entry 1" in ailing.found
    assert "neither the API nor a worker starts" in ailing.todo


def test_doctor_says_that_there_is_no_store(tmp_path: Path) -> None:
    (check,) = check_of_models.examine(tmp_path)
    assert (check.state, check.name) == ("skipped", "model store")


def test_a_model_that_is_not_there_is_named(shell: Shell) -> None:
    done = shell("models", "check", "vocals-hq")
    assert done.code == 2
    assert "spleeter-2stems" in done.err


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="models")
        yield client


def test_a_store_in_s3_is_listed_then_fetched_by_check(
    shell: Shell, files: Files, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell(*files.arguments())
    for name in files.kept():
        bucket.upload_file(str(files.store / name), "models", f"v1/{name}")
    monkeypatch.setenv("SPLITSOUND_WORK_DIRECTORY", str(files.folder / "work"))
    store = ["--store", "s3://models/v1", "--json"]
    assert shell("models", "list", *store).data["models"][-1]["state"] == "not fetched"
    assert shell("models", "check", "vocals-hq", *store).code == 0
    assert shell("models", "list", *store).data["models"][-1]["state"] == "verified"
    assert (files.folder / "work" / "models").is_dir()

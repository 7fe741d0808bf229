"""Reads HTDemucs checkpoints without running anything that they say.

Two formats, both of ``demucs`` (its ``states.py`` and ``hf.py``): a pickled package
(``.th``), read with ``weights_only`` and the few names that such a package needs; and
safetensors whose metadata has the class and its arguments as JSON. The class is not looked up by
the name in the file: it is HTDemucs or it is refused.
"""

from __future__ import annotations

import _codecs
import inspect
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from demucs.htdemucs import HTDemucs
from msgspec import Struct
from numpy._core.multiarray import scalar
from safetensors import SafetensorError, safe_open

from domain.errors import ModelError

SUFFIXES = (".safetensors", ".th")
_CLASS = "demucs.htdemucs.HTDemucs"
# What a package may build: the class (named, not called), the segment's length, and the numbers
# of numpy that training left among its settings.
_SAFE: list[Any] = [
    HTDemucs,
    Fraction,
    scalar,
    (scalar, "numpy.core.multiarray.scalar"),  # its name before numpy 2
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    _codecs.encode,
]


class Bag(Struct):
    """Models and, for each, how much it counts for each source. One model is a bag of one."""

    models: list[Any]
    weights: list[list[float]]

    @property
    def sources(self) -> list[str]:
        """The names of what the models estimate, in their order."""
        return list(self.models[0].sources)


def read(files: Sequence[Path]) -> Bag:
    """The models of those files, on the CPU, in evaluation mode.

    Raises ModelError ``model_unavailable`` when a file is missing, damaged, of another kind or
    asks for anything to be run, or when the files do not belong together.
    """
    checkpoints = [file for file in files if file.suffix in SUFFIXES]
    definitions = [file for file in files if file.suffix in {".yaml", ".yml"}]
    if not checkpoints or len(definitions) > 1 or len(checkpoints + definitions) != len(files):
        names = ", ".join(file.name for file in files) or "no file"
        raise _refused(
            names, f"a model is one or more of {' or '.join(SUFFIXES)} and at most one .yaml"
        )
    weights = None
    if definitions:
        checkpoints, weights = _definition(definitions[0], checkpoints)
    models = [_model(file) for file in checkpoints]
    _check_together(checkpoints, models)
    sources = len(models[0].sources)
    weights = weights or [[1.0] * sources for _ in models]
    _check_weights(definitions or checkpoints, weights, len(models), sources)
    return Bag(models, weights)


def _model(file: Path) -> Any:
    try:
        package = _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)
        model = _instance(file, package)
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise _refused(file.name, "it is not there") from error
    except Exception as error:  # a broken file fails in more ways than its readers document
        raise _refused(file.name, f"it cannot be read ({_reason(error)})") from error
    return model.eval().requires_grad_(False)


def _pickled(file: Path) -> dict[str, Any]:
    with torch.serialization.safe_globals(_SAFE):
        package = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(package, dict) or not {"klass", "args", "kwargs", "state"} <= set(package):
        raise _refused(file.name, "it is no package of demucs (class, arguments, state)")
    if package["klass"] is not HTDemucs:
        raise _refused(file.name, f"it is a {package['klass']}, not {_CLASS}")
    return package


def _safetensors(file: Path) -> dict[str, Any]:
    try:
        with safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _refused(file.name, f"it is not safetensors ({error})") from error
    if metadata.get("klass") != _CLASS:
        raise _refused(file.name, f"it is {metadata.get('klass', 'nameless')}, not {_CLASS}")
    if "structure" in metadata:
        raise _refused(file.name, "it is quantised; use the plain checkpoint")
    arguments = [_decoded(json.loads(metadata[name])) for name in ("args", "kwargs")]
    return {"args": arguments[0], "kwargs": arguments[1], "state": state}


def _decoded(value: Any) -> Any:
    """JSON as demucs writes it: a fraction is {"_type": "fraction", ...}."""
    if isinstance(value, dict):
        if value.get("_type") == "fraction":
            return Fraction(value["numerator"], value["denominator"])
        return {key: _decoded(item) for key, item in value.items()}
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _instance(file: Path, package: dict[str, Any]) -> Any:
    known = inspect.signature(HTDemucs).parameters
    arguments = {key: value for key, value in package["kwargs"].items() if key in known}
    state = package["state"]
    if state.get("__quantized"):
        raise _refused(file.name, "it is quantised; use the plain checkpoint")
    # Built without memory or random numbers: every weight comes from the file.
    with torch.device("meta"):
        model = HTDemucs(*package["args"], **arguments)
    model.load_state_dict({name: each.float() for name, each in state.items()}, assign=True)
    if (model.samplerate, model.audio_channels) != (44_100, 2):
        raise _refused(file.name, "it is not for 44.1 kHz stereo")
    return model


def _definition(
    file: Path, checkpoints: Sequence[Path]
) -> tuple[list[Path], list[list[float]] | None]:
    """The checkpoints in the bag's order and its weights. Names begin with the signature."""
    try:
        bag = yaml.safe_load(file.read_text())
        signatures, weights = [str(each) for each in bag["models"]], bag.get("weights")
        found = {s: [c for c in checkpoints if c.name.startswith(s)] for s in signatures}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise _refused(file.name, f"it is no bag of models ({_reason(error)})") from error
    if any(len(each) != 1 for each in found.values()) or len(found) != len(checkpoints):
        raise _refused(file.name, f"it names {', '.join(signatures)}; the files are not those")
    return [found[signature][0] for signature in signatures], weights


def _check_together(files: Sequence[Path], models: Sequence[Any]) -> None:
    first = models[0]
    for file, model in zip(files, models, strict=True):
        if model.sources != first.sources or model.segment != first.segment:
            raise _refused(
                file.name, f"its sources or segment differ from those of {files[0].name}"
            )


def _check_weights(
    files: Sequence[Path], weights: list[list[float]], models: int, sources: int
) -> None:
    try:
        table = np.array(weights, dtype=float)
        good = table.shape == (models, sources) and table.min() >= 0 and table.sum(0).min() > 0
    except (ValueError, TypeError):
        good = False
    if not good:
        raise _refused(
            files[0].name, f"its weights are not {models} rows of {sources} numbers >= 0"
        )


def _reason(error: Exception) -> str:
    """What is wrong, without torch's advice to allow anything."""
    lines = str(error).splitlines() or [type(error).__name__]
    told = next((line for line in lines if "Unpickler error: " in line), lines[0])
    return told.rpartition("Unpickler error: ")[2].partition(". ")[0][:200]


def _refused(name: str, why: str) -> ModelError:
    return ModelError(
        "model_unavailable",
        f"{name} is not a usable HTDemucs checkpoint: {why}. Put the published file in the "
        "model store and run `splitsound models check`.",
    )

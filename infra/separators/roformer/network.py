"""RoFormer networks with a checkpoint's weights in them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from domain.audio import Cancelled
from domain.errors import Invalid, ModelError
from infra.separators.model_store_manifest import Architecture
from infra.separators.roformer.config import Config

# Where training programs put the tensors.
_WRAPPINGS = ("state_dict", "state", "model_state_dict")
# What configurations say of the network beside its arguments.
_LABELS = ("type", "model_type", "architecture")
_CUDA_BATCH = 4  # chunks at a time, as most of the published configurations have it
_NO_MEMORY = ("can't allocate memory", "not enough memory")


class Network:
    """A network in memory, used by any number of songs at once. stems: that it estimates."""

    def __init__(self, module: nn.Module, stems: int, device: torch.device, *, half: bool) -> None:
        self._module = module.to(device).eval()
        self.stems = stems
        self._device = device
        self._half = half and device.type == "cuda"
        self.batch = _CUDA_BATCH if device.type == "cuda" else 1

    @torch.inference_mode()
    def estimate(self, chunks: Tensor, cancelled: Callable[[], bool]) -> Tensor:
        """(n, 2, samples) to (n, stems, 2, samples), ``batch`` of them at a time.

        What does not fit the memory is tried in smaller batches, from then on for all songs.
        Raises Cancelled, asked before each batch; ModelError ``model_out_of_memory`` and
        ``model_failed``.
        """
        done: list[Tensor] = []
        at = 0
        while at < len(chunks):
            if cancelled():
                raise Cancelled
            part = chunks[at : at + self.batch]
            try:
                done.append(self._finite(part))
                at += len(part)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise ModelError("model_failed", f"The network failed: {error}.") from error
                self._smaller(len(part), error)
        return torch.cat(done)

    def _finite(self, chunks: Tensor) -> Tensor:
        """In 16 bits where that is on and suffices: a loud chunk can leave their range."""
        for half in dict.fromkeys((self._half, False)):
            found = self._run(chunks, half=half)
            if found.isfinite().all():
                return found
        raise ModelError("model_failed", "The network gave values that are no numbers.")

    def _run(self, chunks: Tensor, *, half: bool) -> Tensor:
        with torch.autocast(self._device.type, torch.float16, enabled=half):
            found: Tensor = self._module(chunks.to(self._device))
        # With one estimate the network leaves their axis out.
        return (found if found.ndim == 4 else found[:, None]).float().cpu()

    def _smaller(self, size: int, error: RuntimeError) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if size == 1:
            raise ModelError(
                "model_out_of_memory",
                f"One chunk does not fit the memory that is free on {self._device}. Run fewer "
                "jobs at a time there, or set a smaller chunk_size in the configuration.",
                transient=True,
            ) from error
        self.batch = min(self.batch, size // 2)


def load(
    architecture: Architecture, config: Config, places: tuple[int, ...], checkpoint: Path
) -> Network:
    """The network that gives the estimates at ``places`` only, in that order.

    Raises Invalid when weights, configuration and architecture do not fit together; ModelError
    ``model_out_of_memory``.
    """
    module = _empty(architecture, config)
    tensors = _tensors(checkpoint)
    if difference := _difference(module.state_dict(), tensors):
        raise Invalid(f"the checkpoint does not fit a {architecture} so configured: {difference}")
    module.load_state_dict(tensors)
    estimators = module.mask_estimators
    assert isinstance(estimators, nn.ModuleList)
    # Nothing is computed for the stem that takes the remainder.
    module.mask_estimators = nn.ModuleList([estimators[place] for place in places])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return Network(module, len(places), device, half=config.half)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            "model_out_of_memory",
            f"The network does not fit the memory that is free on {device}. Run fewer models "
            "there.",
            transient=True,
        ) from error


def _empty(architecture: Architecture, config: Config) -> nn.Module:
    from pymss_core.modules.bs_roformer import (  # type: ignore[import-untyped]
        BSRoformer,
        MelBandRoformer,
    )

    arguments = {k: v for k, v in config.network.items() if k not in _LABELS}
    try:
        if architecture == "bs_roformer":
            module: nn.Module = BSRoformer(**_tuples(arguments))
            return module
        # Public checkpoints have a hidden layer for each of the depth, and keep the offset;
        # and a chunk's end may lie between two frames.
        arguments.setdefault("mlp_hidden_layers", arguments.get("mask_estimator_depth", 1))
        arguments.setdefault("zero_dc", False)
        arguments["match_input_audio_length"] = True
        module = MelBandRoformer(**_tuples(arguments))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise Invalid(f"its configuration is not that of a {architecture}: {error}") from error
    return module


def _tuples(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has only lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}


def _tensors(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by name; no code in it is run."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise Invalid(f"the checkpoint is no .safetensors file: {error}") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Invalid(
            "the checkpoint holds more than tensors, or is none; code in it is never run. "
            "Save its state_dict anew, best as .safetensors"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise Invalid(f"the checkpoint is broken: {error}") from error
    for key in _WRAPPINGS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise Invalid("the checkpoint holds no tensors by name")
    return found


def _difference(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """In which tensors they differ; empty where they do not."""
    shapes = [name for name in own if name in given and own[name].shape != given[name].shape]
    told = [
        f"{len(names)} {what}, such as {names[0]}"
        for what, names in (
            ("tensors are missing", [name for name in own if name not in given]),
            ("are unknown", [name for name in given if name not in own]),
            ("have another shape", shapes),
        )
        if names
    ]
    return "; ".join(told)


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in _NO_MEMORY)

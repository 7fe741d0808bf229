"""Small RoFormer checkpoints with random weights, in the formats of the public ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from pymss_core import get_model_from_config  # type: ignore[import-untyped]
from torch import Tensor, nn

from domain.catalog import Model

CHUNK = 8820
BANDS = (8,) * 8 + (65,)
"""Of a short-time Fourier transform of 256 samples."""

OWN: dict[str, dict[str, Any]] = {
    "bs_roformer": {"freqs_per_bands": BANDS},
    "mel_band_roformer": {"num_bands": 8, "sample_rate": 44_100},
}
# What pymss-core has to be told of public Mel-Band checkpoints.
PUBLIC: dict[str, dict[str, Any]] = {
    "bs_roformer": {},
    "mel_band_roformer": {
        "mlp_hidden_layers": 2, "zero_dc": False, "match_input_audio_length": True,
    },
}  # fmt: skip


class _Dumper(yaml.SafeDumper):
    """With Python's tuples, as published configurations have them."""


_Dumper.add_representer(
    tuple, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:python/tuple", data)
)


def configuration(
    architecture: str,
    instruments: tuple[str, ...] = ("vocals", "other"),
    target: str | None = "vocals",
    *,
    overlap: int = 2,
    chunk: int = CHUNK,
    **changed: Any,
) -> dict[str, Any]:
    """As in the public ones, but for its size."""
    model = {
        "dim": 16,
        "depth": 1,
        "stereo": True,
        "num_stems": 1 if target else len(instruments),
        "time_transformer_depth": 1,
        "freq_transformer_depth": 1,
        "linear_transformer_depth": 0,
        **OWN[architecture],
        "dim_head": 8,
        "heads": 2,
        "attn_dropout": 0.1,
        "ff_dropout": 0.1,
        "flash_attn": True,
        "dim_freqs_in": 129,
        "stft_n_fft": 256,
        "stft_hop_length": 63,
        "stft_win_length": 256,
        "stft_normalized": False,
        "mask_estimator_depth": 2,
        "multi_stft_resolution_loss_weight": 1.0,
        "multi_stft_resolutions_window_sizes": (4096, 2048),
        "multi_stft_hop_size": 147,
        "multi_stft_normalized": False,
    }
    return {
        "audio": {"chunk_size": chunk, "dim_f": 1024, "num_channels": 2, "sample_rate": 44_100},
        "model": model | changed,
        "training": {
            "instruments": list(instruments),
            "target_instrument": target,
            "lr": 1.0e-05,
            "use_amp": True,
        },
        "inference": {"batch_size": 4, "dim_t": 801, "num_overlap": overlap},
    }


def write_config(path: Path, content: dict[str, Any]) -> Path:
    """As YAML with tuples."""
    path.write_text(yaml.dump(content, Dumper=_Dumper))
    return path


def network(architecture: str, config: Path, seed: int = 3) -> nn.Module:
    """pymss-core's own, with random weights that let sound through."""
    torch.manual_seed(seed)
    made: nn.Module = get_model_from_config(architecture, str(config), PUBLIC[architecture])[0]
    return made.eval()


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Its tensors, each with memory of its own."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def described(*stems: str) -> Model:
    """The catalogue's entry of a checkpoint."""
    return Model(name="own", title="Own", stems=stems)


def demix(module: nn.Module, mix: Tensor, chunk: int, overlap: int) -> Tensor:
    """The whole song at once, as the programs do that the checkpoints were trained with.

    After ``demix`` in Music-Source-Separation-Training with one chunk at a time. mix: (2, n);
    gives (stems, 2, n).
    """
    step = chunk // overlap
    border, fade, length = chunk - step, chunk // 10, mix.shape[1]
    mirrored = length > 2 * border > 0
    if mirrored:
        mix = nn.functional.pad(mix, (border, border), mode="reflect")
    total, sums, weight = mix.shape[1], None, torch.zeros(mix.shape[1])
    for start in range(0, total, step):
        piece = mix[:, start : start + chunk]
        size = piece.shape[1]
        mode = "reflect" if size > chunk // 2 else "constant"
        with torch.inference_mode():
            found = module(nn.functional.pad(piece, (0, chunk - size), mode=mode)[None])[0]
        found = found[None] if found.ndim == 2 else found
        window = torch.ones(chunk)
        if start > 0:
            window[:fade] = torch.linspace(0, 1, fade)
        if start + step < total:
            window[-fade:] = torch.linspace(1, 0, fade)
        sums = torch.zeros(len(found), 2, total) if sums is None else sums
        sums[..., start : start + size] += (found * window)[..., :size]
        weight[start : start + size] += window[:size]
    assert sums is not None
    return (sums / weight)[..., border : border + length] if mirrored else sums / weight

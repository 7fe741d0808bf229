"""Band-Split and Mel-Band RoFormer: the operator's public checkpoints and their configurations.

Lu et al., "Music Source Separation with Band-Split RoPE Transformer" (2023), and Wang et al.,
"Mel-Band RoFormer for Music Source Separation" (2023), by the networks of ``pymss-core``.
"""

from __future__ import annotations

from pathlib import Path

from domain.catalog import Model
from infra.separators import Separator
from infra.separators.model_store_manifest import Architecture


def build(model: Model, architecture: Architecture, checkpoint: Path, config: Path) -> Separator:
    """The model in memory; on CUDA where torch sees it.

    architecture: ``bs_roformer`` or ``mel_band_roformer``. checkpoint: ``.safetensors``, or a
    file by ``torch.save`` that holds nothing but tensors. config: YAML or JSON as published.
    Raises Invalid when they do not fit together; ModelError ``model_unavailable`` when the
    package is not installed.
    """
    from infra.separators.roformer.config import read
    from infra.separators.roformer.core import RoFormer
    from infra.separators.roformer.network import load
    from infra.separators.streaming import Streamed

    settings = read(config)
    network = load(architecture, settings, settings.places(model.stems), checkpoint)
    return Streamed(model, RoFormer(network, settings), settings.sample_rate)

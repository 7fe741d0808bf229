"""HTDemucs in its public forms: four stems, six stems, and bags of several models.

Checkpoints are what the operator's model store holds: ``.safetensors`` as demucs 4.1 publishes
them, ``.th`` as Meta did, and for a bag its ``.yaml``. Importing this package imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from domain.catalog import Model

if TYPE_CHECKING:
    from infra.separators.streaming import Streamed


def build(model: Model, files: list[Path]) -> Streamed:
    """The separator of those files, in memory: on CUDA where torch sees it, else on the CPU.

    files: one checkpoint, or several that make a bag, with at most one ``.yaml`` that says
    how they are weighted. The checkpoint's sources and ``model.stems`` must be the same
    names; the order of delivery is the model's, whose last stem is the song minus the others.
    Raises ModelError ``model_unavailable``.
    """
    import torch

    from infra.separators.htdemucs.core import load
    from infra.separators.streaming import Streamed

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Streamed(model, load(files, model.stems, device))

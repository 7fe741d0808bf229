"""A linear layer on a CPU by oneDNN, its weights packed once in the order that its kernels read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_PACKED_FOR = 2_688  # rows; a layer may be given any number


class Linear:
    """``x @ weight.T + bias``; with GELU after it, or added to something, in the same pass.

    torch gives ``nn.Linear`` in float32 to MKL, which took 17 % longer than oneDNN here (AMD
    EPYC): 5 % of the whole network. These are the operators that torch's own compiler emits;
    where a build of torch lacks them, the plain layer computes the same.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._ops: Any = torch.ops.mkldnn
        self._bias = bias.contiguous()
        self._packed = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
            self._ops, "_reorder_linear_weight"
        )
        self._weight = weight.contiguous()
        if self._packed:
            self._weight = self._ops._reorder_linear_weight(self._weight, _PACKED_FOR)

    def __call__(self, x: Tensor) -> Tensor:
        """(rows, inputs) to (rows, outputs)."""
        if not self._packed:
            return functional.linear(x, self._weight, self._bias)
        out: Tensor = self._ops._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return out

    def gelu(self, x: Tensor) -> Tensor:
        """The layer, then GELU (the exact one, by the error function)."""
        if not self._packed:
            return functional.gelu(self(x))
        out: Tensor = self._ops._linear_pointwise(x, self._weight, self._bias, "gelu", [], "none")
        return out

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """The layer's output plus ``to``."""
        if not self._packed:
            return self(x).add_(to)
        out: Tensor = self._ops._linear_pointwise.binary(x, to, self._weight, self._bias, "add")
        return out

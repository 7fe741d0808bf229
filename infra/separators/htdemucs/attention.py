"""HTDemucs' transformer: self-attention within each branch, cross-attention between the two."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from infra.separators.htdemucs.linear import Linear


def supports(module: Any) -> bool:
    """Whether ``Transformer`` computes it: pre-norm, dense, GELU, fixed sinusoidal positions."""
    layers = [*module.layers, *module.layers_t]
    return (
        module.emb == "sin"
        and module.sin_random_shift == 0
        and isinstance(module.norm_in, nn.LayerNorm)
        and all(
            layer.norm_first
            and not layer.sparse
            and layer.activation is functional.gelu
            and isinstance(layer.norm1, nn.LayerNorm)
            and (layer.norm_out is None or layer.norm_out.num_groups == 1)
            for layer in layers
        )
    )


class Transformer:
    """``demucs.transformer.CrossTransformerEncoder`` with the 1x1 convolutions around it.

    Tokens are (tokens, width) throughout. The position embeddings, which the package computes
    anew for every segment, are kept. The layer scales are folded into the projections before
    them. Self-attention goes through ``scaled_dot_product_attention``, which never holds the
    2,688 x 2,688 scores of eight heads (231 MB), as the package's ``nn.MultiheadAttention``
    does in inference: a fifth of its time.
    """

    def __init__(self, model: Any) -> None:
        module = model.crosstransformer
        self._norms = module.norm_in, module.norm_in_t
        self._period, self._weight = module.max_period, module.weight_pos_embed
        self._layers = [_Layer(layer) for layer in module.layers]
        self._layers_t = [_Layer(layer) for layer in module.layers_t]
        self._up = self._down = self._up_t = self._down_t = None
        if model.bottom_channels:
            self._up, self._up_t = model.channel_upsampler, model.channel_upsampler_t
            self._down, self._down_t = model.channel_downsampler, model.channel_downsampler_t
        self._positions = lru_cache(maxsize=2)(self._compute_positions)

    def __call__(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """(channels, bins, frames) and (channels, 1, columns), both as they came."""
        shape, shape_t = x.shape, xt.shape
        x, xt = _tokens(x, self._up), _tokens(xt, self._up_t)
        positions, positions_t = self._positions(x.shape[1], shape[1], shape[2], shape_t[2])
        x, xt = self._norms[0](x).add_(positions), self._norms[1](xt).add_(positions_t)
        for layer, layer_t in zip(self._layers, self._layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)
        return _channels(x, self._down, shape), _channels(xt, self._down_t, shape_t)

    def _compute_positions(
        self, width: int, bins: int, frames: int, columns: int
    ) -> tuple[Tensor, Tensor]:
        from demucs.transformer import create_2d_sin_embedding, create_sin_embedding

        grid = create_2d_sin_embedding(  # type: ignore[no-untyped-call]
            width, bins, frames, "cpu", self._period
        )[0]
        line = create_sin_embedding(columns, width, max_period=self._period)[:, 0]
        return self._weight * grid.flatten(1).T.contiguous(), self._weight * line


class _Layer:
    """One transformer layer, of either kind: attention, then two linear layers, both added."""

    def __init__(self, layer: Any) -> None:
        self._cross = hasattr(layer, "cross_attn")
        attention = layer.cross_attn if self._cross else layer.self_attn
        self._heads = attention.num_heads
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        cuts = [0, weight.shape[1], len(weight)] if self._cross else [0, len(weight)]
        self._in = [Linear(weight[a:b], bias[a:b]) for a, b in pairwise(cuts)]
        self._out = _scaled(attention.out_proj, layer.gamma_1)
        self._wide = Linear(layer.linear1.weight, layer.linear1.bias)
        self._narrow = _scaled(layer.linear2, layer.gamma_2)
        self._norm_in, self._norm_other = layer.norm1, layer.norm2
        self._norm_wide = layer.norm3 if self._cross else layer.norm2
        self._norm_out = layer.norm_out

    def __call__(self, x: Tensor, other: Tensor) -> Tensor:
        x = self._out.added(self._attend(x, other), x)
        x = self._narrow.added(self._wide.gelu(self._norm_wide(x)), x)
        return x if self._norm_out is None else _normed(x, self._norm_out)

    def _attend(self, x: Tensor, other: Tensor) -> Tensor:
        tokens, width = x.shape
        if self._cross:
            query = self._in[0](self._norm_in(x))
            key, value = torch.split(self._in[1](self._norm_other(other)), width, 1)
        else:
            query, key, value = torch.split(self._in[0](self._norm_in(x)), width, 1)
        out = functional.scaled_dot_product_attention(
            self._by_head(query), self._by_head(key), self._by_head(value)
        )
        return out.transpose(1, 2).reshape(tokens, width)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(1, len(x), self._heads, -1).transpose(1, 2)


def _scaled(linear: Any, scale: Any) -> Linear:
    """A projection with the layer scale behind it folded in."""
    if isinstance(scale, nn.Identity):
        return Linear(linear.weight, linear.bias)
    return Linear(linear.weight * scale.scale[:, None], linear.bias * scale.scale)


def _normed(x: Tensor, norm: Any) -> Tensor:
    """Group norm with one group: over all tokens and their width together."""
    mean = x.mean()
    variance = (x.square().mean() - mean * mean).clamp_(0)  # var_mean takes 25 times as long
    gain = norm.weight * torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias - mean * gain, x, gain)


def _tokens(x: Tensor, up: Any) -> Tensor:
    flat = x.reshape(len(x), -1).T
    return flat.contiguous() if up is None else functional.linear(flat, up.weight[:, :, 0], up.bias)


def _channels(x: Tensor, down: Any, shape: torch.Size) -> Tensor:
    out = (
        x.T.contiguous()
        if down is None
        else torch.addmm(down.bias[:, None], down.weight[:, :, 0], x.T)
    )
    return out.view(shape)

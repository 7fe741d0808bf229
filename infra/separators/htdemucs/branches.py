"""HTDemucs' convolutional layers for one segment on a CPU, computed a few rows at a time.

The weights are those of ``demucs.hdemucs.HEncLayer`` and ``HDecLayer``; so is the mathematics,
term by term. What differs is the order of the work. A tensor is (channels, rows, columns): the
frequency branch has a row per frequency and a column per frame, the time branch one row and a
column per sample. Everything in a layer but its two strided convolutions treats each row alone, so
a layer runs through slices of rows that stay in the processor's cache, and no tensor is
so large that the allocator fetches it from the system, and gives it back, at each use. Page
faults alone took a sixth of the package's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_SLICE_BYTES = 16 << 20  # of a layer's widest tensor; 6 and 32 MiB measure 3 and 1 % slower


class Residual:
    """One dilated residual branch (``DConv`` layer): convolve, normalise, GELU, widen, GLU, add.

    Its widening 1x1 convolution, from C/8 to 2C channels, took 18 % of the package's time as a
    convolution of (rows, C/8, 1, columns). Here it is one matrix product, and the group norm
    after it never reads its result: mean and variance of W h + b over channels and columns
    follow from the mean and the covariance of h over columns, C/8 numbers and their square,
    so the norm, its affine part and the layer scale are folded into the product.
    """

    def __init__(self, layer: Any) -> None:
        narrow, norm, _, wide, wide_norm, _, scale = layer
        hidden, channels, width = narrow.weight.shape
        self._dilation, self._hidden = narrow.dilation[0], hidden
        assert width == 3
        self._narrow = narrow.weight.permute(2, 0, 1).reshape(3 * hidden, channels).contiguous()
        self._bias = narrow.bias[:, None, None]
        self._gain, self._offset = norm.weight[:, None, None], norm.bias[:, None, None]
        self._eps, self._wide_eps = norm.eps, wide_norm.eps
        weight, bias = wide.weight[:, :, 0], wide.bias
        self._mean = torch.cat((weight.mean(0), bias.mean()[None]))[:, None]
        self._spread = torch.cat((weight - weight.mean(0), (bias - bias.mean())[:, None]), 1)
        self._square = (weight.T @ weight / len(weight)).flatten()[:, None]
        columns = [wide_norm.weight[:, None] * weight, (wide_norm.weight * bias)[:, None]]
        folded = torch.cat([*columns, -wide_norm.weight[:, None], wide_norm.bias[:, None]], 1)
        folded[: len(scale.scale)] *= scale.scale[:, None]
        self._folded = folded.contiguous()

    def add_to(self, x: Tensor) -> None:
        """Adds the branch of ``x``, (channels, rows, columns) in one piece, to it in place."""
        channels, rows, columns = x.shape
        h = self._narrowed(x)
        one = h.new_empty(self._hidden + 3, rows, columns)
        deviation, mean = self._statistics(h)
        torch.mul(h, deviation[:, None], out=one[: self._hidden])
        one[self._hidden] = deviation[:, None]
        one[self._hidden + 1] = (mean * deviation)[:, None]
        one[self._hidden + 2] = 1
        wide = self._folded @ one.view(len(one), -1)
        value, gate = wide[:channels], wide[channels:].sigmoid_()
        x.view(channels, -1).addcmul_(value, gate)

    def _narrowed(self, x: Tensor) -> Tensor:
        d = self._dilation
        taps = (self._narrow @ x.view(len(x), -1)).view(3, self._hidden, *x.shape[1:])
        h: Tensor = taps[1].add_(self._bias)
        if x.shape[2] > d:
            h[..., d:] += taps[0][..., :-d]
            h[..., :-d] += taps[2][..., d:]
        # Two sums each: var_mean over two dimensions takes fifteen times as long.
        mean = h.mean(2, keepdim=True).mean(0, keepdim=True)
        variance = h.square().mean(2, keepdim=True).mean(0, keepdim=True) - mean * mean
        gain = self._gain * torch.rsqrt(variance.clamp_(0) + self._eps)
        torch.addcmul(self._offset - mean * gain, h, gain, out=h)
        torch.ops.aten.gelu_(h)
        return h

    def _statistics(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """1/deviation and mean of the widened rows, from ``h`` before it is widened: (rows,)."""
        columns, by_row = h.shape[2], h.transpose(0, 1)
        mean = by_row.mean(2)
        covariance = torch.bmm(by_row, by_row.transpose(1, 2)) / columns
        covariance -= mean[:, :, None] * mean[:, None, :]
        known = torch.cat((mean, mean.new_ones(len(mean), 1)), 1)
        between = (known @ self._spread.T).square().mean(1)
        variance = (covariance.flatten(1) @ self._square)[:, 0] + between
        return torch.rsqrt(variance.clamp_(0) + self._wide_eps), (known @ self._mean)[:, 0]


class Encoder:
    """A layer that divides rows (``freq``) or columns by four and gives more channels."""

    def __init__(self, layer: Any) -> None:
        self._freq: bool = layer.freq
        self._stride: int = layer.stride
        self._weight, self._bias = layer.conv.weight, layer.conv.bias
        if not self._freq:
            self._weight = self._weight[:, :, None]
        self._residuals = [Residual(r) for r in layer.dconv.layers] if layer.dconv else []
        self._rewrite = _with_bias(layer.rewrite.weight.flatten(1), layer.rewrite.bias)

    def __call__(self, x: Tensor) -> Tensor:
        """(channels, rows, columns) to (more channels, rows / 4, columns) or columns / 4."""
        channels, columns = len(self._weight), x.shape[2]
        if not self._freq:
            x = functional.pad(x, (2, 2 + -columns % self._stride))
            columns = (x.shape[2] - 4) // self._stride
        out = x.new_empty(channels, x.shape[1] // (4 if self._freq else 1), columns)
        for start, end in _slices(out.shape[1], 2 * channels * columns):
            y = _with_ones(channels, end - start, columns)
            torch.ops.aten.gelu.out(self._convolved(x, start, end), out=y[:-1])
            for residual in self._residuals:
                residual.add_to(y[:-1])
            wide = (self._rewrite @ y.view(channels + 1, -1)).view(2 * channels, -1, columns)
            torch.ops.aten.glu.out(wide, 0, out=out[:, start:end])
        return out

    def _convolved(self, x: Tensor, start: int, end: int) -> Tensor:
        if not self._freq:
            return functional.conv2d(x[None], self._weight, self._bias, (1, self._stride))[0]
        low, high = 4 * start - 2, 4 * end + 2
        piece = functional.pad(
            x[:, max(0, low) : high], (0, 0, max(0, -low), max(0, high - x.shape[1]))
        )
        return functional.conv2d(piece[None], self._weight, self._bias, (self._stride, 1))[0]


class Decoder:
    """A layer that undoes an encoder's division; ``kept``: the output channels wanted, all if None.

    The transposed convolution, kernel 8 and stride 4, is one matrix product to eight rows per row
    and the sum of their overlapping halves; as ``conv_transpose2d`` from 48 to 16 channels it
    took ten times as long as its multiplications do.
    """

    def __init__(self, layer: Any, kept: Tensor | None = None) -> None:
        self._freq: bool = layer.freq
        self._last: bool = layer.last
        self._rewrite, self._rewrite_bias = layer.rewrite.weight, layer.rewrite.bias
        weight, bias = layer.conv_tr.weight, layer.conv_tr.bias
        if not self._freq:
            self._rewrite = self._rewrite[:, :, None]
        if kept is not None:
            weight, bias = weight[:, kept].contiguous(), bias[kept]
        self._weight, self._bias = weight, bias
        self._residuals = [Residual(r) for r in layer.dconv.layers] if layer.dconv else []
        if self._freq:
            taps = weight[..., 0].permute(2, 1, 0).reshape(-1, weight.shape[0])
            half = len(taps) // 2
            none = torch.zeros_like(bias).repeat(4)
            self._low = _with_bias(taps[:half], none)
            self._high = _with_bias(taps[half:], bias.repeat(4))

    def __call__(self, x: Tensor, skip: Tensor, columns: int) -> Tensor:
        """The layer's output, four times the rows; of the time branch, ``columns`` columns."""
        return self._by_rows(x, skip) if self._freq else self._whole(x, skip, columns)

    def _whole(self, x: Tensor, skip: Tensor, columns: int) -> Tensor:
        y = functional.glu(self._rewritten(x + skip), 0)
        for residual in self._residuals:
            residual.add_to(y)
        z = functional.conv_transpose1d(y.view(1, len(y), -1), self._weight, self._bias, 4)
        z = z[0, :, None, 2 : 2 + columns]
        return z if self._last else functional.gelu(z)

    def _by_rows(self, x: Tensor, skip: Tensor) -> Tensor:
        channels, rows, columns = x.shape
        wanted = len(self._bias)
        out = x.new_empty(wanted, rows + 1, 4, columns)
        out[:, 0] = self._bias[:, None, None]
        for start, end in _slices(rows, 2 * channels * columns):
            y = _with_ones(channels, end - start, columns)
            wide = self._rewritten(_summed(x, skip, start, end))
            torch.ops.aten.glu.out(wide, 0, out=y[:-1])
            for residual in self._residuals:
                residual.add_to(y[:-1])
            flat, shape = y.view(channels + 1, -1), (4, wanted, end - start, columns)
            out[:, start + 1 : end + 1] = (self._high @ flat).view(shape).permute(1, 2, 0, 3)
            done = out[:, start:end]
            done += (self._low @ flat).view(shape).permute(1, 2, 0, 3)
            if not self._last:
                torch.ops.aten.gelu_(done)
        if not self._last:
            torch.ops.aten.gelu_(out[:, rows])
        return out.view(wanted, 4 * (rows + 1), columns)[:, 2:-2]

    def _rewritten(self, x: Tensor) -> Tensor:
        return functional.conv2d(x[None], self._rewrite, self._rewrite_bias, padding=(0, 1))[0]


def _summed(x: Tensor, skip: Tensor, start: int, end: int) -> Tensor:
    """Rows start-1 to end of the sum, zeros beyond the edges: what a 3x3 kernel looks at."""
    low, high = max(0, start - 1), min(x.shape[1], end + 1)
    out = x.new_zeros(len(x), end - start + 2, x.shape[2])
    torch.add(x[:, low:high], skip[:, low:high], out=out[:, low - start + 1 : high - start + 1])
    return out


def _slices(rows: int, numbers: int) -> Iterator[tuple[int, int]]:
    step = max(1, _SLICE_BYTES // (4 * numbers))
    return ((start, min(rows, start + step)) for start in range(0, rows, step))


def _with_bias(weight: Tensor, bias: Tensor) -> Tensor:
    return torch.cat((weight, bias[:, None]), 1).contiguous()


def _with_ones(channels: int, rows: int, columns: int) -> Tensor:
    """Room for a tensor and, after it, a channel of ones, which meets the bias in a product."""
    out = torch.empty(channels + 1, rows, columns)
    out[channels] = 1
    return out

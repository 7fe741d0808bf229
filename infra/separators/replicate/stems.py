"""From a file that the provider made to blocks that fit the song's, sample for sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from domain.audio import Audio
from domain.errors import MediaError
from infra import media
from infra.media.sound import BLOCK
from infra.separators.replicate import failures
from infra.separators.replicate.song import closed, time_limit

_TOLERANCE = 0.5  # seconds by which a stem may be longer or shorter than the song

Block = NDArray[np.float32]


class Stem:
    """One file of the provider's. It is measured at once, as untrusted as any upload.

    Raises ModelError ``provider_failed`` for what is no sound or not as long as the song;
    Cancelled.
    """

    def __init__(
        self, name: str, path: Path, song: Audio, gain: float, cancelled: Callable[[], bool]
    ) -> None:
        self._name, self._path, self._song = name, path, song
        self._scale, self._cancelled = np.float32(1 / gain), cancelled
        self._given = self._measured()
        if abs(self._given.seconds - song.seconds) > _TOLERANCE:
            raise failures.unusable(
                f"its {name} lasts {self._given.seconds:.1f} seconds and the song "
                f"{song.seconds:.1f}"
            )

    def blocks(self) -> Iterator[Block]:
        """Blocks of (the song's channels, BLOCK), the last one shorter, as long as the song."""
        left = self._song.samples
        waiting = np.zeros((self._song.channels, 0), np.float32)
        with closed(self._resampled()) as pieces:
            for piece in pieces:
                waiting = np.concatenate((waiting, piece), axis=1)
                while waiting.shape[1] >= BLOCK and left > 0:
                    n = min(BLOCK, left)
                    yield waiting[:, :n]
                    waiting, left = waiting[:, n:], left - n
        while left > 0:
            n = min(BLOCK, left)
            yield np.pad(waiting[:, :n], ((0, 0), (0, n - waiting[:, :n].shape[1])))
            waiting, left = waiting[:, n:], left - n

    def _measured(self) -> Audio:
        try:
            return media.measure(
                self._path,
                max_seconds=int(self._song.seconds + 2),
                timeout=time_limit(self._song.seconds),
                cancelled=self._cancelled,
            ).audio
        except MediaError as error:
            raise self._no_sound(error) from error

    def _resampled(self) -> Iterator[Block]:
        """At the song's rate. soxr removes its own delay, so that samples stay where they are."""
        given, song = self._given, self._song
        if given.rate == song.rate:
            yield from self._decoded()
            return
        stream = soxr.ResampleStream(
            given.rate, song.rate, song.channels, dtype="float32", quality="VHQ"
        )
        with closed(self._decoded()) as pieces:
            for piece in pieces:
                frames = np.ascontiguousarray(piece.T, dtype=np.float32)
                yield np.ascontiguousarray(stream.resample_chunk(frames, last=False).T)
        nothing = np.zeros((0, song.channels), np.float32)
        yield np.ascontiguousarray(stream.resample_chunk(nothing, last=True).T)

    def _decoded(self) -> Iterator[Block]:
        """At the file's own rate, with the song's channels and level."""
        pieces = media.blocks(
            self._path,
            audio=self._given,
            timeout=time_limit(self._song.seconds),
            cancelled=self._cancelled,
        )
        try:
            with closed(pieces):
                for piece in pieces:
                    yield self._fitted(piece) * self._scale
        except MediaError as error:
            raise self._no_sound(error) from error

    def _fitted(self, piece: Block) -> Block:
        if len(piece) == self._song.channels:
            return piece
        if self._song.channels == 1:
            return np.asarray(piece.mean(axis=0, keepdims=True), np.float32)
        return np.repeat(piece, self._song.channels, axis=0)

    def _no_sound(self, error: MediaError) -> Exception:
        return failures.unusable(f"its {self._name} is no sound that we can read ({error.code})")

"""One wanted output on its way: written once while the network works, delivered when it is over.

The samples are kept as a ``Master`` until the gain common to all outputs is known. Where that is
1 and FLAC is wanted, the master is the file; floats need no gain and are written at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
from msgspec import Struct

from domain.audio import Audio, Format
from domain.errors import MediaError
from infra import media
from infra.media.sound import Block
from infra.stems.levels import Levels
from infra.stems.waveform import Waveform


class Delivered(Struct, frozen=True):
    """Files of a finished output and what was measured. samples: as decoding the file gives."""

    name: str
    file: Path
    preview: Path
    waveform: Path
    samples: int
    peak: float
    over: int
    silence: float


class Track:
    """A context manager while it is written; leaving it before ``finish`` removes the file.

    timeout: seconds that we wait for ffmpeg. Errors are those of ``media.Encoder``.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        audio: Audio,
        format: Format,  # noqa: A002 - the field's word
        *,
        timeout: float,
        cancelled: Callable[[], bool],
    ) -> None:
        self.name, self._audio, self._format = name, audio, format
        self._directory, self._timeout = directory, timeout
        self._levels, self._waveform = Levels(audio.rate), Waveform(audio)
        self._path = directory / f"{name}.{format.extension if format.floating else 'flac'}"
        self._writer: media.Master | media.Encoder = (
            media.Encoder(self._path, audio, format, timeout=timeout, cancelled=cancelled)
            if format.floating
            else media.Master(self._path, audio, timeout=timeout, cancelled=cancelled)
        )

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)

    @property
    def peak(self) -> float:
        """The largest absolute sample so far."""
        return self._levels.peak

    def write(self, block: Block) -> None:
        """The next (channels, n) samples."""
        self._levels.add(block)
        self._waveform.add(block)
        self._writer.write(block)

    def finish(self) -> None:
        """All samples are there."""
        self._writer.finish()

    def deliver(self, gain: float, cancelled: Callable[[], bool]) -> Delivered:
        """The files, at ``gain`` (floats at 1, but for their preview). The master is gone then.

        Raises MediaError ``ffmpeg_failed`` when the file does not decode to the song's length.
        """
        file = self._directory / f"{self.name}.delivered.{self._format.extension}"
        preview = self._directory / f"{self.name}.preview.mp3"
        waveform = self._directory / f"{self.name}.waveform.json"
        waveform.write_bytes(self._waveform.document(gain))
        formats = {preview: media.PREVIEW}
        if not self._is_file(gain):
            formats[file] = self._format
        # Nobody gets a stem that was cut or that does not play: every file is decoded once more.
        # One that was written already was, for its preview, and ``media.blocks`` is as strict.
        self._encode(formats, gain, cancelled)
        samples = self._counted(file, cancelled) if file in formats else self._audio.samples
        # Only now, because a delivery that was interrupted is made again from the master.
        if file in formats:
            self._path.unlink()
        else:
            self._path.rename(file)
        return Delivered(
            self.name, file, preview, waveform, samples,
            self._levels.peak, self._levels.over, self._levels.silence,
        )  # fmt: skip

    def _is_file(self, gain: float) -> bool:
        if isinstance(self._writer, media.Encoder):
            return True
        return self._format.name == "flac" and gain == 1 and self._writer.plain

    def _encode(
        self, formats: dict[Path, Format], gain: float, cancelled: Callable[[], bool]
    ) -> None:
        with ExitStack() as stack:
            encoders = [
                stack.enter_context(
                    media.Encoder(
                        path, self._audio, form, timeout=self._timeout, cancelled=cancelled
                    )
                )
                for path, form in formats.items()
            ]
            for block in self._blocks(cancelled):
                scaled = block * np.float32(gain) if gain != 1 else block
                for encoder in encoders:
                    encoder.write(scaled)
            for encoder in encoders:
                encoder.finish()

    def _blocks(self, cancelled: Callable[[], bool]) -> Iterator[Block]:
        if isinstance(self._writer, media.Master):
            return self._writer.blocks(timeout=self._timeout, cancelled=cancelled)
        return media.blocks(
            self._path, audio=self._audio, timeout=self._timeout, cancelled=cancelled
        )

    def _counted(self, file: Path, cancelled: Callable[[], bool]) -> int:
        found = media.count(
            file,
            max_seconds=math.ceil(self._audio.seconds) + 2,
            timeout=self._timeout,
            cancelled=cancelled,
        )
        expected = -(-self._audio.samples * found.rate // self._audio.rate)
        if found.samples != expected:
            raise MediaError(
                "ffmpeg_failed",
                f"The {self._format.name} file has {found.samples} samples instead of "
                f"{expected}; try again.",
            )
        return found.samples

"""The sound of one attempt at one job: from the downloaded file to files of every output.

Decoding, the network and the writing of outputs overlap: ffmpeg decodes ahead into a pipe, the
network takes blocks from it, and each output runs into an ffmpeg of its own. Memory does not grow
with the song, and no samples are left on disk but those of the outputs, as FLAC.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from msgspec import Struct

from domain.audio import FORMATS, Audio
from domain.errors import MediaError
from domain.job import SeparationRequested
from domain.stems import without
from handlers.worker.stages import Watch
from infra import heap, media
from infra.media.sound import Block
from infra.separators import Request, Separator
from infra.separators.held import Held
from infra.stems.levels import Residual
from infra.stems.track import Delivered, Track

# Seconds of audio after which free memory is given back, and again at the end.
_TIDY_SECONDS = 20


class Spent(Struct):
    """Seconds of the overlapped part by stage: waiting for ffmpeg, the network, writing outputs."""

    decode: float = 0.0
    separate: float = 0.0
    encode: float = 0.0


class Pipeline:
    """source: where the downloaded file is put. wanted: the outputs that are still to be made."""

    def __init__(
        self, asked: SeparationRequested, wanted: Sequence[str], directory: Path, max_seconds: int
    ) -> None:
        self._asked, self._wanted = asked, tuple(wanted)
        self._directory, self._max_seconds = directory, max_seconds
        self.source = directory / "source"
        self._format = FORMATS[asked.format]
        self._audio = Audio(asked.samples, asked.rate, asked.channels)
        self._mean, self._deviation = 0.0, 1.0
        self._residual, self._tracks = Residual(), dict[str, Track]()
        self.spent = Spent()

    def probe(self, watch: Watch) -> None:
        """Measure the file again: what was paid for must be what is separated."""
        found = media.measure(
            self.source, max_seconds=self._max_seconds, timeout=watch.seconds, cancelled=watch
        )
        if abs(found.audio.samples - self._asked.samples) > self._asked.rate:
            raise MediaError(
                "media_changed",
                "The file is not as long as it was when it was measured. Upload it again.",
            )
        self._audio = found.audio
        self._mean, self._deviation = found.mean, found.deviation

    def separate(
        self, separator: Separator, watch: Watch, progress: Callable[[float], None]
    ) -> None:
        """Decode, separate and write the wanted outputs, all at once. May be done again.

        progress: told 0..1 of the network's work.
        """
        begun, self.spent, self._residual = time.monotonic(), Spent(), Residual()
        audio = self._audio
        request = Request(
            audio.rate, audio.channels, audio.samples, self._mean, self._deviation,
            self._asked.prompt,
        )  # fmt: skip
        song = Held(audio.channels)
        sound = media.blocks(self.source, audio=audio, timeout=watch.seconds, cancelled=watch)
        with ExitStack() as stack:
            stack.enter_context(closing(sound))
            tracks = [stack.enter_context(self._track(name, watch)) for name in self._wanted]
            stems = separator.separate(self._heard(sound, song), request, progress, watch)
            stack.enter_context(closing(stems))  # type: ignore[type-var]  # a generator
            tidied = 0
            for block in stems:
                self._write(tracks, block, song)
                if song.taken - tidied >= _TIDY_SECONDS * audio.rate:
                    heap.give_back()
                    tidied = song.taken
            for track in tracks:
                track.finish()
        heap.give_back()
        self._tracks = {track.name: track for track in tracks}
        self.spent.separate = time.monotonic() - begun - self.spent.decode - self.spent.encode

    def _track(self, name: str, watch: Watch) -> Track:
        return Track(
            name, self._directory, self._audio, self._format,
            timeout=watch.seconds, cancelled=watch,
        )  # fmt: skip

    def _heard(self, sound: Iterable[Block], song: Held) -> Iterator[Block]:
        """The blocks on their way to the network; the song is kept until its stems are there."""
        blocks = iter(sound)
        while True:
            begun = time.monotonic()
            block = next(blocks, None)
            self.spent.decode += time.monotonic() - begun
            if block is None:
                return
            song.put(block)
            yield block

    def _write(self, tracks: Iterable[Track], stems: dict[str, Block], song: Held) -> None:
        begun = time.monotonic()
        piece = song.take(next(iter(stems.values())).shape[1])
        self._residual.add(piece, np.sum(list(stems.values()), axis=0, dtype=np.float32))
        outputs = stems | {
            without(name): piece - stem
            for name, stem in stems.items()
            if without(name) in self._wanted
        }
        for track in tracks:
            track.write(outputs[track.name])
        self.spent.encode += time.monotonic() - begun

    @property
    def gain_db(self) -> float:
        """The gain common to all outputs in decibels, 0 or below: none of them may clip.

        Floats need none. Rounded down, because later attempts are told this number.
        """
        if self._format.floating:
            return 0.0
        return self._needed_db

    @property
    def _needed_db(self) -> float:
        peak = max((track.peak for track in self._tracks.values()), default=0.0)
        return 0.0 if peak <= 1 else math.floor(-20 * math.log10(peak) * 1e4) / 1e4

    @property
    def residual_db(self) -> float | None:
        """See ``domain.job.StemStored``."""
        return self._residual.decibels

    def deliver(self, name: str, gain_db: float, watch: Watch) -> Delivered:
        """The files of one output at the job's gain."""
        decibels = min(gain_db, self._needed_db) if self._format.floating else gain_db
        return self._tracks[name].deliver(10 ** (decibels / 20), watch)

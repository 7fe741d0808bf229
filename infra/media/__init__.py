"""Sound in and out of files, by ffmpeg, as a stream of blocks.

``measure`` finds out what a file holds and ``count`` how long it is, ``blocks`` decodes it,
``Encoder`` makes a file that people play and ``Master`` keeps a stem until its gain is known.
Blocks are float32 of shape (channels, n), one or two channels, at the song's own rate. Memory does
not grow with the song.

Whatever touches an upload runs with named demuxers and the file protocol only, confined to
that one file, under a time limit and a cancellation check.

All failures are ``domain.errors.MediaError``; its texts never carry ffmpeg's own output,
which names local paths. Cancelling raises ``domain.audio.Cancelled``.
"""

from domain.audio import Cancelled
from infra.media.decode import Measured, blocks, count, measure
from infra.media.encode import Encoder
from infra.media.formats import PREVIEW
from infra.media.master import Master
from infra.media.process import binary
from infra.media.sandbox import confinement

__all__ = [
    "PREVIEW",
    "Cancelled",
    "Encoder",
    "Master",
    "Measured",
    "binary",
    "blocks",
    "confinement",
    "count",
    "measure",
]

"""Sound in and out of files, by ffmpeg: measure, decode to a spool, encode from it.

A *spool* is a headerless file of interleaved little-endian float32 at the source's rate,
with one or two channels. Whatever touches an upload runs with named demuxers and the file
protocol only, under a time limit and a cancellation check, in bounded memory.

All failures are ``domain.errors.MediaError``; its texts never carry ffmpeg's own output,
which names local paths. Cancelling raises ``domain.audio.Cancelled``.
"""

from domain.audio import Cancelled
from infra.media.decode import Measured, decode, measure
from infra.media.encode import encode
from infra.media.process import binary
from infra.media.spool import read_blocks

__all__ = ["Cancelled", "Measured", "binary", "decode", "encode", "measure", "read_blocks"]

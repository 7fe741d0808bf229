"""Which files ffmpeg may open, and what its refusals mean for the person who uploaded.

A container may point at other files: playlists (HLS, DASH, concat), QuickTime external
references, image sequences. ``-protocol_whitelist`` alone lets those through (it governs
how to open, not what), so the demuxers are named too and everything else is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ffmpeg

from domain.errors import MediaError

# Demuxers that hold their own samples. None of them opens a second file: QuickTime's
# external references stay off by ffmpeg's default (enable_drefs=0), and the tests prove it.
DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,"
    "3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,ogg,oma,tak,tta,voc,w64,wav,wv"
)
PROTOCOLS = "file,pipe"

_SNIFF_BYTES = 4096
_POINTERS = re.compile(
    rb"#EXTM3U|ffconcat version|<MPD[\s>]|\[playlist\]|<asx|\[Reference\]|<CompositionPlaylist",
    re.IGNORECASE,
)
_FORBIDDEN_LOG = re.compile(
    r"\[(?:hls|dash|concat|imf|sdp|rtsp|avisynth|webm_dash_manifest)[^\]]* @|opening external "
    r"track|not on whitelist '(?:file|crypto|http|https|tcp|subfile|data|concat)"
)
_INPUT = re.compile(r"^Input #0, ([a-z0-9_,]{1,64}), from", re.MULTILINE)
_CODEC = re.compile(r"^  Stream #0:\d+[^\n:]*: Audio: ([a-z0-9_]{1,32})", re.MULTILINE)

_UNREADABLE = (
    "This is not audio or video that we can read. Upload a song as MP3, WAV, FLAC, AAC, Ogg or "
    "a video with sound."
)


def opened(path: Path) -> Any:
    """The first audio stream of a local file, as an ffmpeg-python stream.

    The ``file:`` prefix keeps a name like ``concat:a|b`` or ``subfile:...`` a plain name.
    """
    source = ffmpeg.input(
        f"file:{path.absolute()}",
        protocol_whitelist=PROTOCOLS,
        format_whitelist=DEMUXERS,
        # More threads cost memory each and would only fill the pipe sooner.
        threads=1,
    )
    return source["a:0"]


def check(path: Path) -> None:
    """Raises MediaError for what no decoder needs to see: nothing at all, or a playlist."""
    with path.open("rb") as file:
        head = file.read(_SNIFF_BYTES)
    if not head:
        raise MediaError("media_empty", "The file is empty. Upload it again.")
    # Only text is searched: compressed audio may hold any bytes.
    if b"\0" not in head and _POINTERS.search(head):
        raise forbidden()


def forbidden() -> MediaError:
    """The refusal of containers that point elsewhere."""
    return MediaError(
        "media_forbidden",
        "This file points at other files instead of holding sound itself (a playlist or a "
        "reference). Upload the song itself.",
    )


def refusal(log: str) -> MediaError:
    """What a run without a single sample means, from the head of ffmpeg's log."""
    if _FORBIDDEN_LOG.search(log):
        return forbidden()
    if _INPUT.search(log) and not _CODEC.search(log):
        return MediaError("no_audio", "There is no sound in this file. Upload one with audio.")
    if _CODEC.search(log) and not _complains(log):
        return MediaError("media_empty", "The audio in this file has no samples. Upload it again.")
    return MediaError("media_unreadable", _UNREADABLE)


def names(log: str) -> tuple[str, str]:
    """Container and codec as ffmpeg calls them, ``unknown`` where it does not say."""
    container, codec = _INPUT.search(log), _CODEC.search(log)
    return (
        container.group(1) if container else "unknown",
        codec.group(1) if codec else "unknown",
    )


def _complains(log: str) -> bool:
    return bool(re.search(r"Invalid data|Error|error|Could not|could not|corrupt", log))

"""The LAME tag of an MP3: how many samples to drop at both ends so that no gap remains.

ffmpeg (9.0.2) states up to 46 samples too few of padding when the last frame holds less
than 48 samples, so decoded stems would be longer than the song. The tag is the extension
of the Xing header in the first frame: 12 bits of encoder delay, 12 bits of padding, and a
CRC-16 over the frame's bytes before it ("MP3 Info Tag", gabriel.mp3-tech.org).
"""

from __future__ import annotations

from pathlib import Path

_FRAMES, _DELAY, _CRC = 8, 141, 154  # offsets from "Xing"
_HEAD = 4096  # the first frame, after ffmpeg's small ID3 tag


def correct_padding(path: Path, samples: int, rate: int) -> None:
    """Makes the tag say that ``samples`` per channel remain after trimming.

    rate: Hz, which decides the samples per frame (1152 in MPEG-1, else 576).
    Raises ValueError when the file has no such tag.
    """
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEAD))
        at = max(head.find(b"Xing"), head.find(b"Info"))
        if at < 0:
            raise ValueError(f"{path.name} has no gapless header")
        frame = head.rfind(b"\xff", 0, at - 3)
        while frame >= 0 and head[frame + 1] & 0xE0 != 0xE0:
            frame = head.rfind(b"\xff", 0, frame)
        frames = int.from_bytes(head[at + _FRAMES : at + _FRAMES + 4], "big")
        place = at + _DELAY
        delay = head[place] << 4 | head[place + 1] >> 4
        padding = frames * (1152 if rate >= 32_000 else 576) - delay - samples
        if not 0 <= padding < 4096:
            raise ValueError(f"{path.name}: {frames} frames cannot hold {samples} samples")
        head[place + 1] = head[place + 1] & 0xF0 | padding >> 8
        head[place + 2] = padding & 0xFF
        end = at + _CRC
        head[end : end + 2] = _crc16(head[frame:end]).to_bytes(2, "big")
        file.seek(0)
        file.write(head)


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16/ARC, the tag's checksum."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value

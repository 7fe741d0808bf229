"""Small files that unpack to much: hours of silence, thousands of streams, huge tags."""

from __future__ import annotations

import struct
import subprocess
import zlib

from infra import media
from tests.infra.hostile.damage import Files
from tests.infra.hostile.headers import wav


def element(identity: int, body: bytes) -> bytes:
    """A Matroska element (RFC 8794): identity, size as eight bytes, body."""
    raw = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    return raw + (len(body) | 1 << 56).to_bytes(8, "big") + body


def number(identity: int, value: int) -> bytes:
    """A Matroska element that holds a number."""
    return element(identity, value.to_bytes(8, "big"))


def track(index: int, rate: float, channels: int, packing: bytes = b"") -> bytes:
    """A TrackEntry of 16-bit PCM."""
    sound = element(0xB5, struct.pack(">d", rate)) + number(0x9F, channels) + number(0x6264, 16)
    head = number(0xD7, index) + number(0x73C5, index) + number(0x83, 2)
    return element(0xAE, head + element(0x86, b"A_PCM/INT/LIT") + packing + element(0xE1, sound))


def matroska(tracks: bytes, blocks: list[bytes], *, track_count: int = 1) -> bytes:
    """A file of one cluster; the blocks go to the tracks in turn."""
    head = element(0x1A45DFA3, element(0x4282, b"matroska") + number(0x4287, 4))
    cluster = number(0xE7, 0)
    for at, block in enumerate(blocks):
        index = (at % track_count + 1) | 0x4000
        cluster += element(0xA3, struct.pack(">Hhb", index, at % 30_000, -128) + block)
    body = element(0x1549A966, number(0x2AD7B1, 1_000_000)) + element(0x1654AE6B, tracks)
    return head + element(0x18538067, body + element(0x1F43B675, cluster))


def matroska_bombs() -> Files:
    """Blocks packed by zlib, headers stripped to hours, rates and channels out of bounds."""
    zlibbed = element(0x6D80, element(0x6240, element(0x5034, number(0x4254, 0))))
    million = zlib.compress(bytes(4_000_000), 9)
    yield "mkv-zlib-hours.mka", matroska(track(1, 8000.0, 1, zlibbed), [million] * 200)
    yield "mkv-zlib-loud.mka", matroska(track(1, 768_000.0, 2, zlibbed), [million] * 100)
    single = zlib.compress(bytes(200_000_000), 9)
    yield "mkv-zlib-one.mka", matroska(track(1, 44_100.0, 2, zlibbed), [single])
    stripped = element(0x5034, number(0x4254, 3) + element(0x4255, bytes(100_000)))
    packing = element(0x6D80, element(0x6240, stripped))
    yield "mkv-stripped.mka", matroska(track(1, 8000.0, 1, packing), [b""] * 20_000)
    for name, rate, channels in (
        ("rate-inf", float("inf"), 2), ("rate-nan", float("nan"), 2), ("rate-minus", -1.0, 2),
        ("rate-huge", 1e300, 2), ("channels-0", 44_100.0, 0), ("channels-max", 44_100.0, 2**63),
        ("channels-255", 44_100.0, 255),
    ):  # fmt: skip
        yield f"mkv-{name}.mka", matroska(track(1, rate, channels), [bytes(51_000)])
    good = matroska(track(1, 44_100.0, 2), [bytes(4000)] * 9)
    yield "mkv-size-max.mka", good.replace(b"\x18\x53\x80\x67\x01", b"\x18\x53\x80\x67\xff", 1)
    nested = b""
    for _ in range(3000):
        nested = element(0x1654AE6B, nested)
    yield "mkv-deep.mka", matroska(nested, [])
    laced = struct.pack(">Hhb", 0x4001, 0, 6) + b"\xff" * 600
    yield "mkv-lace.mka", matroska(track(1, 44_100.0, 2), [laced])


def many_streams() -> Files:
    """Ten thousand of them, in each container that numbers them."""
    tracks = b"".join(track(index + 1, 44_100.0, 2) for index in range(10_000))
    yield "mkv-10000-tracks.mka", matroska(tracks, [bytes(400)] * 10_000, track_count=10_000)
    head = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 2, 44_100, 0, 128_000, 0, 0xB8, 1)
    page = b"OggS\x00\x02" + bytes(8) + b"%b" + bytes(4) + b"%b" + bytes([1, len(head)]) + head
    yield (
        "ogg-10000-streams.ogg",
        b"".join(
            page % (struct.pack("<I", serial), struct.pack("<I", serial))
            for serial in range(10_000)
        ),
    )
    strl = b"strh" + struct.pack("<I", 56) + b"auds" + bytes(52)
    strl += b"strf" + struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 176_400, 4, 16)
    lists = (b"LIST" + struct.pack("<I", len(strl) + 4) + b"strl" + strl) * 10_000
    avih = b"avih" + struct.pack("<I", 56) + bytes(24) + struct.pack("<I", 10_000) + bytes(28)
    hdrl = b"LIST" + struct.pack("<I", 4 + len(avih) + len(lists)) + b"hdrl" + avih + lists
    body = b"AVI " + hdrl + b"LIST\x04\x00\x00\x00movi"
    yield "avi-10000-streams.avi", b"RIFF" + struct.pack("<I", len(body)) + body


def hours_of_silence() -> Files:
    """What compresses silence best, for hours."""
    recipes = {
        "silence.flac": "-c:a flac -compression_level 0 -frame_size 4608 -ar 8000",
        "silence-fast.flac": "-c:a flac -frame_size 65535 -ar 384000 -strict -2 -t 90",
        "silence.m4a": "-c:a alac -ar 8000 -f ipod",
        "silence.opus": "-c:a libopus -b:a 6k -frame_duration 60 -f ogg -t 90",
        "silence.wv": "-c:a wavpack -ar 8000 -f wv -t 900",
    }
    for name, words in recipes.items():
        source = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "3600")
        command = [media.binary(), "-v", "error", "-nostdin", *source, *words.split()]
        pipe = ["-movflags", "frag_keyframe+empty_moov"] if name.endswith("m4a") else []
        kind = ["-f", "flac"] if name.endswith("flac") else []
        command += [*pipe, *kind, "-fflags", "+bitexact", "pipe:1"]
        done = subprocess.run(command, check=True, timeout=60, capture_output=True)
        yield name, done.stdout
    yield "hours.wav", wav(bytes(4_000_000), channels=1, rate=1000, bits=8)


def tags(mp3: bytes, flac: bytes) -> Files:
    """ID3 and APE tags and covers far larger than the song."""
    yield "id3-big.mp3", _id3(bytes(20_000_000)) + mp3
    yield "id3-lies.mp3", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + mp3
    yield "id3-many.mp3", _id3(bytes(50)) * 3000 + mp3
    # ffmpeg compares each word with all before it: three times as many take ten times as long.
    words = b"".join(_frame(b"TXXX", b"\x03" + b"k%d\0v" % k) for k in range(3000))
    yield "id3-words.mp3", _id3(words) + mp3
    cover = _frame(b"APIC", b"\x00image/png\x00\x03\x00" + b"\x89PNG" + bytes(8_000_000))
    yield "id3-cover.mp3", _id3(cover) + mp3
    yield "id3-packed.mp3", _id3(_frame(b"TIT2", zlib.compress(bytes(9_000_000)), 0x0009)) + mp3
    yield "id3-on-flac.flac", _id3(bytes(3000)) + flac
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 2**31, 2**31, 0xA0000000) + bytes(8)
    yield "apetag.mp3", mp3 + ape
    vendor = struct.pack("<I", 0xFFFFFFFF) + b"x" * 100
    comment = b"\x84" + len(vendor).to_bytes(3, "big") + vendor
    yield "flac-comment.flac", flac[:4] + b"\x00" + flac[5:42] + comment + flac[42:]


def _id3(body: bytes) -> bytes:
    size = len(body)
    return b"ID3\x04\x00\x00" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + body


def _frame(kind: bytes, body: bytes, flags: int = 0) -> bytes:
    size = bytes((len(body) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return kind + size + struct.pack(">H", flags) + body

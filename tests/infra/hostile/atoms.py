"""MP4 and QuickTime whose atoms lie (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.infra.hostile.damage import Files

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def atom(kind: bytes, body: bytes) -> bytes:
    """One atom."""
    return struct.pack(">I4s", len(body) + 8, kind) + body


def lying(m4a: bytes) -> Files:
    """A good file with one field overwritten."""
    for name, kind, offset, value in (
        ("size-0", b"moov", -4, 0), ("size-7", b"moov", -4, 7), ("size-long", b"moov", -4, 2**31),
        ("trak-0", b"trak", -4, 0), ("trak-long", b"trak", -4, 2**32 - 1),
        ("stbl-9", b"stbl", -4, 9), ("mdat-0", b"mdat", -4, 0),
        ("mdat-long", b"mdat", -4, 2**32 - 1),
        ("timescale-0", b"mdhd", 16, 0), ("timescale-max", b"mdhd", 16, 2**32 - 1),
        ("movie-timescale-0", b"mvhd", 16, 0), ("stsz-count", b"stsz", 12, 2**32 - 1),
        ("stsz-each", b"stsz", 8, 2**31 - 1), ("stts-count", b"stts", 8, 2**32 - 1),
        ("stts-samples", b"stts", 12, 2**32 - 1), ("stts-delta", b"stts", 16, 2**32 - 1),
        ("stts-none", b"stts", 16, 0), ("stsc-count", b"stsc", 8, 2**32 - 1),
        ("stsc-chunk", b"stsc", 16, 2**32 - 1), ("stco-count", b"stco", 8, 2**32 - 1),
        ("stco-far", b"stco", 12, 2**32 - 1), ("stco-self", b"stco", 12, 0),
        ("elst-long", b"elst", 12, 2**32 - 1), ("elst-late", b"elst", 16, 2**31 - 1),
        ("elst-count", b"elst", 8, 2**32 - 1), ("channels", b"mp4a", 20, 0xFFFF_0010),
        ("rate", b"mp4a", 28, 2**32 - 1), ("esds", b"esds", -4, 2**31), ("hdlr", b"hdlr", 12, 0),
    ):  # fmt: skip
        at = m4a.index(kind) + offset
        yield f"mp4-{name}.m4a", m4a[:at] + struct.pack(">I", value) + m4a[at + 4 :]
    for size in (0, 8, 2**63 - 1, 2**64 - 1):
        wide = struct.pack(">I4sQ", 1, b"free", size)
        yield f"mp4-wide-{size}.m4a", m4a[:28] + wide + m4a[28:]


def deep() -> Files:
    """Atoms in atoms in atoms, and atoms that are empty, 100,000 of them."""
    for kind in (b"moov", b"udta", b"meta"):
        body = b""
        for _ in range(5000):
            body = struct.pack(">I4s", len(body) + 8, kind) + body
        yield f"mp4-deep-{kind.decode()}.mp4", atom(b"ftyp", b"M4A \0\0\0\0") + body
    yield "mp4-empty-atoms.mp4", atom(b"ftyp", b"M4A \0\0\0\0") + atom(b"free", b"") * 100_000


def compressed(m4a: bytes) -> Files:
    """A ``moov`` packed by zlib (QuickTime's cmov), honest, lying about its size, and a bomb."""
    for name, plain, claimed in (
        ("honest", _body(m4a), None), ("lies", _body(m4a), 2**32 - 1),
        ("bomb", bytes(64 << 20), None),
    ):  # fmt: skip
        packed = zlib.compress(plain, 9)
        size = len(plain) if claimed is None else claimed
        parts = atom(b"dcom", b"zlib") + atom(b"cmvd", struct.pack(">I", size) + packed)
        yield (
            f"mp4-cmov-{name}.mov",
            atom(b"ftyp", b"qt  \0\0\0\0") + atom(b"moov", atom(b"cmov", parts)),
        )


def many_tracks(m4a: bytes) -> Files:
    """Ten thousand tracks, and one track ten thousand chunks of nothing."""
    moov = _body(m4a)[8:]
    at = moov.index(b"trak") - 4
    track = moov[at : at + int.from_bytes(moov[at : at + 4], "big")]
    movie = atom(b"moov", moov[:at] + track * 10_000)
    yield "mp4-10000-tracks.mp4", atom(b"ftyp", b"M4A \0\0\0\0") + movie + atom(b"mdat", bytes(99))


def without_samples(m4a: bytes) -> Files:
    """Tables with no entries, and media data that is not there."""
    for kind in (b"stsz", b"stts", b"stco"):
        at = m4a.index(kind) + (12 if kind == b"stsz" else 8)
        yield f"mp4-no-{kind.decode()}.m4a", m4a[:at] + bytes(4) + m4a[at + 4 :]
    yield "mp4-no-moov.m4a", m4a.replace(b"moov", b"free")
    yield "mp4-no-mdat.m4a", b"".join(_without(m4a, b"mdat"))


def _body(m4a: bytes) -> bytes:
    """The moov atom with its header."""
    at = m4a.index(b"moov") - 4
    return m4a[at : at + int.from_bytes(m4a[at : at + 4], "big")]


def _without(data: bytes, kind: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] != kind:
            yield data[at : at + size]
        at += max(8, size)

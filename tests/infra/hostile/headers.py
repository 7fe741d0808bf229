"""Headers that claim what is not so: rates, channels, lengths, sizes; and samples of no sound."""

from __future__ import annotations

import struct

import numpy as np

from tests.infra.hostile.damage import Files

_HOUR = 3600


def wav(
    data: bytes = bytes(8000),
    *,
    tag: int = 1,
    channels: int = 2,
    rate: int = 44_100,
    bits: int = 16,
    align: int | None = None,
    claimed: int | None = None,
) -> bytes:
    """A WAV whose fields say what they are told to."""
    align = channels * bits // 8 & 0xFFFF if align is None else align
    speed = min(rate * align, 0xFFFFFFFF)
    kind = struct.pack("<HHIIHH", tag, channels, rate, speed, align, bits)
    size = len(data) if claimed is None else claimed
    head = b"WAVEfmt " + struct.pack("<I", len(kind)) + kind + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def waves() -> Files:
    """WAV fields out of bounds, one by one."""
    for rate in (0, 1, 999, 768_001, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"wav-rate-{rate}.wav", wav(rate=rate)
    for channels in (0, 3, 64, 255, 65_535):
        yield f"wav-channels-{channels}.wav", wav(bytes(70_000), channels=channels)
    for bits in (0, 1, 7, 64, 255, 65_535):
        yield f"wav-bits-{bits}.wav", wav(bits=bits)
    for align in (0, 1, 65_535):
        yield f"wav-align-{align}.wav", wav(align=align)
    for claimed in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"wav-length-{claimed}.wav", wav(claimed=claimed)
    for tag in (0, 2, 6, 0x11, 0x31, 0x50, 0x55, 0x161, 0xFF, 0xFFFE, 0xFFFF):
        yield f"wav-codec-{tag}.wav", wav(np.random.default_rng(tag).bytes(9000), tag=tag)
    yield "wav-no-fmt.wav", b"RIFF\x40\x00\x00\x00WAVEdata\x34\x00\x00\x00" + bytes(52)
    yield "wav-no-data.wav", wav(b"")
    yield "wav-chunk-lies.wav", wav().replace(b"data", b"LIST\xff\xff\xff\xffdata")
    rf64 = b"RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00" + b"\xff" * 28
    yield "rf64-lies.wav", rf64 + wav()[12:]


def no_sound() -> Files:
    """Float samples that are no numbers, or no sound."""
    values = {
        "nan": np.nan, "inf": np.inf, "minus-inf": -np.inf, "huge": 3e38, "denormal": 1e-42,
        "minus-zero": -0.0, "loud": 900.0,
    }  # fmt: skip
    for name, value in values.items():
        samples = np.full(20_000, value, "<f4")
        yield f"float-{name}.wav", wav(samples.tobytes(), tag=3, bits=32)
        samples[::3] = 0.25
        yield f"float-some-{name}.wav", wav(samples.tobytes(), tag=3, bits=32)
    doubles = np.array([1e308, -1e308, np.nan, 5e-324] * 3000, "<f8")
    yield "double-wild.wav", wav(doubles.tobytes(), tag=3, bits=64)
    patterns = np.random.default_rng(13).bytes(60_000)
    yield "float-random-bits.wav", wav(patterns, tag=3, bits=32)


def flac_claims(flac: bytes) -> Files:
    """STREAMINFO (RFC 9639, 8.2) that the frames behind it do not bear out."""
    base = int.from_bytes(flac[18:26], "big")
    for name, rate, channels, bits, samples in (
        ("rate-0", 0, 2, 16, 1000), ("rate-1048575", 1_048_575, 2, 16, 1000),
        ("channels-8", 44_100, 8, 16, 1000), ("bits-4", 44_100, 2, 4, 1000),
        ("bits-32", 44_100, 2, 32, 1000), ("hours", 44_100, 2, 16, 2**36 - 1),
        ("none", 44_100, 2, 16, 0),
    ):  # fmt: skip
        claim = rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | samples
        assert claim != base
        yield f"flac-{name}.flac", flac[:18] + claim.to_bytes(8, "big") + flac[26:]
    yield "flac-blocks.flac", flac[:8] + b"\xff\xff\xff\xff" + flac[12:]
    yield "flac-only-head.flac", flac[:42]
    for kind, size in ((4, 0xFFFFFF), (6, 0xFFFFFF), (3, 0xFFFFFF), (2, 0)):
        block = bytes([kind]) + size.to_bytes(3, "big")
        yield f"flac-block-{kind}-{size}.flac", flac[:42] + block + flac[42:]
    image = struct.pack(">IIII", 3, 0xFFFFFFFF, 0, 0) + bytes(40)
    picture = b"\x06" + len(image).to_bytes(3, "big") + image
    yield "flac-picture.flac", flac[:42] + picture + flac[42:]


def others() -> Files:
    """The remaining formats' headers: counts and offsets that overflow."""
    random = np.random.default_rng(14)
    for offset, size, kind, rate, channels in (
        (0xFFFFFFFF, 0, 3, 44_100, 2), (0, 0, 3, 44_100, 2), (24, 0xFFFFFFFF, 3, 0, 2),
        (24, 0xFFFFFFFF, 3, 44_100, 0), (24, 0xFFFFFFFF, 3, 44_100, 0x7FFFFFFF),
        (24, 0xFFFFFFFF, 255, 44_100, 2), (24, 0xFFFFFFFF, 7, 44_100, 2),
    ):  # fmt: skip
        head = struct.pack(">4sIIIII", b".snd", offset, size, kind, rate, channels)
        yield f"au-{offset}-{kind}-{rate}-{channels}.au", head + random.bytes(9000)
    for name, extended in (("nan", "7fffc000000000000000"), ("inf", "7fff8000000000000000"),
                           ("zero", "0" * 20), ("minus", "c00eac44000000000000")):  # fmt: skip
        comm = struct.pack(">HIH", 2, 0xFFFFFFFF, 16) + bytes.fromhex(extended)
        body = b"AIFFCOMM" + struct.pack(">I", len(comm)) + comm + b"SSND\x7f\xff\xff\xff"
        yield f"aiff-rate-{name}.aiff", b"FORM\x7f\xff\xff\xff" + body + bytes(5000)
    desc = struct.pack(">d4sIIIII", 44_100.0, b"lpcm", 0, 4, 1, 2, 16)
    for name, size in (("long", 2**62), ("minus", 2**64 - 1), ("none", 0)):
        chunks = b"desc" + struct.pack(">Q", 32) + desc + b"data" + struct.pack(">Q", size)
        yield f"caf-{name}.caf", b"caff\x00\x01\x00\x00" + chunks + bytes(9000)
    table = b"pakt" + struct.pack(">QQQII", 24, 2**62, 2**62, 2**31, 2**31)
    yield "caf-packets.caf", b"caff\x00\x01\x00\x00desc" + struct.pack(">Q", 32) + desc + table
    tta = struct.pack("<4sHHHII", b"TTA1", 1, 65_535, 24, 44_100, 0xFFFFFFFF)
    yield "tta-channels.tta", tta + random.bytes(5000)
    tta = struct.pack("<4sHHHII", b"TTA1", 1, 2, 16, 44_100, 0xFFFFFFFF)
    yield "tta-hours.tta", tta + random.bytes(5000)
    ape = struct.pack("<4sHHIIIIIII", b"MAC ", 3990, 0, 52, 24, 0xFFFFFF, 0, 0, 0, 0)
    yield "ape-table.ape", ape + struct.pack("<HHIIIHHI", 5000, 0, 2**31, 1, 2**31, 16, 2, 1)
    block = (2**20, 0x410, 0, 0, 2**32 - 1, 0, 22_050, 0xFFFFFFFF, 0)
    yield "wv-block.wv", b"wvpk" + struct.pack("<IHBBIIIII", *block) + random.bytes(9000)
    dsf = struct.pack("<4sQQQ", b"DSD ", 28, 10**9, 0)
    dsf += struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 7, 255, 2**32 - 1, 1, 2**63, 4096, 0)
    yield "dsf-claims.dsf", dsf + b"data" + struct.pack("<Q", 2**63) + bytes(9000)
    yield "amr-noise.amr", b"#!AMR\n" + random.bytes(5000)
    repeat = b"\x06\x02\x00\x00\xff\xff\x07\x00\x00\x00"
    voc = b"Creative Voice File\x1a\x1a\x00\x0a\x01\x29\x11"
    yield "voc-loops.voc", voc + repeat * 500
    yield (
        "mpeg-headers.mp3",
        b"".join(
            bytes([0xFF, 0xE0 | int(a), int(b), int(c)]) + random.bytes(100)
            for a, b, c in random.integers(0, [32, 256, 256], (300, 3))
        ),
    )
    yield "adts-headers.aac", (b"\xff\xf1\x50\x80\x04\x1f\xfc" + random.bytes(25)) * 300

"""Good files cut off, overwritten, renamed; and bytes that never were a file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Files = Iterator[tuple[str, bytes]]

_SONGS = ("song.", "deep.", "alac.", "film.")
_MAGIC = {
    "riff": b"RIFF\xff\xff\xff\x7fWAVEfmt ",
    "rf64": b"RF64\xff\xff\xff\xffWAVEds64",
    "w64": b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    "flac": b"fLaC\x00\x00\x00\x22",
    "ogg": b"OggS\x00\x02" + bytes(8),
    "id3": b"ID3\x04\x00\x00\x00\x00\x0f\x76",
    "mp3": b"\xff\xfb\x90\x64",
    "mp4": b"\x00\x00\x00\x18ftypM4A \x00\x00\x02\x00isommp42",
    "mkv": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01",
    "aiff": b"FORM\x00\x0f\xff\xffAIFFCOMM",
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "au": b".snd\x00\x00\x00\x18",
    "caf": b"caff\x00\x01\x00\x00desc",
    "wv": b"wvpk\x00\x10\x00\x00\x10\x04",
    "tta": b"TTA1\x01\x00\x02\x00\x10\x00",
    "ape": b"MAC \x96\x0f\x00\x00",
    "mpc": b"MPCKSH",
    "mpc7": b"MP+\x07",
    "amr": b"#!AMR\n",
    "adts": b"\xff\xf1\x50\x80\x02\x1f\xfc",
    "ac3": b"\x0b\x77\x00\x00\x14\x40",
    "dts": b"\x7f\xfe\x80\x01",
    "dsf": b"DSD \x1c\x00\x00\x00\x00\x00\x00\x00",
    "flv": b"FLV\x01\x05\x00\x00\x00\x09",
    "avi": b"RIFF\xff\xff\xff\x7fAVI LIST",
    "ts": b"\x47\x40\x00\x10\x00",
    "voc": b"Creative Voice File\x1a\x1a\x00",
    "tak": b"tBaK",
    "oma": b"EA3\x03\x00\x00\x00\x00",
}


def cut(bases: dict[str, bytes]) -> Files:
    """Cut at the start of the header, inside it, and inside the sound."""
    for name, data in _songs(bases):
        for at in (3, 30, 200, len(data) // 10, len(data) // 2, len(data) - 5):
            yield f"cut-{at:06d}-{name}", data[:at]


def flipped(bases: dict[str, bytes]) -> Files:
    """Single bits flipped anywhere or in the first 300 bytes, and runs overwritten."""
    for number, (name, data) in enumerate(_songs(bases)):
        random = np.random.default_rng(number)
        for times in (1, 2, 3):
            yield f"flip-any-{times}-{name}", _flip(data, random.integers(0, len(data), 40), random)
        for times in (1, 2):
            places = random.integers(0, min(300, len(data)), 4)
            yield f"flip-head-{times}-{name}", _flip(data, places, random)
        start = int(random.integers(len(data) // 4, len(data) // 2))
        patch = random.bytes(len(data) // 10)
        yield f"noise-inside-{name}", data[:start] + patch + data[start + len(patch) :]


def missing_heads(bases: dict[str, bytes]) -> Files:
    """The second half alone, as of an upload that lost its first part."""
    for name, data in _songs(bases):
        yield f"tail-{name}", data[len(data) // 2 :]


def misnamed(bases: dict[str, bytes]) -> Files:
    """Right bytes under a wrong name: content decides, never the name."""
    wrong = {
        "song.mp3": "wav", "song.wav": "mp3", "song.flac": "m3u8", "song.m4a": "ogg",
        "song.ogg": "mpd", "song.opus": "sdp", "film.mp4": "txt", "still.png": "mp3",
        "still.jpg": "flac", "still.gif": "wav", "still.bmp": "m4a", "song.aac": "ffconcat",
    }  # fmt: skip
    for name, extension in wrong.items():
        yield f"misnamed-{name}.{extension}", bases[name]


def without_sound(bases: dict[str, bytes]) -> Files:
    """Films without a sound track."""
    for name, data in bases.items():
        if name.startswith("silent"):
            yield name, data


def bytes_of_no_file() -> Files:
    """Nothing, repetitions, randomness, and other kinds of file."""
    random = np.random.default_rng(11)
    yield from {
        "empty.mp3": b"", "one-byte.wav": b"R", "zeros.flac": bytes(100_000),
        "ones.mp3": b"\xff" * 100_000, "newlines.m4a": b"\n" * 5000, "tags.mp3": b"TAG" * 5000,
        "text.mp3": b"Dear diary, this is not a song.\n" * 200,
        "page.wav": b"<!doctype html><title>404</title>" * 50,
        "paper.mp3": b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n" * 40,
        "archive.flac": b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + random.bytes(3000),
        "program.wav": b"\x7fELF\x02\x01\x01" + random.bytes(3000),
        "zip.gz": b"\x1f\x8b\x08\x00" + random.bytes(3000),
        "xml.mp3": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>&b;',
    }.items()  # fmt: skip
    for size in (2, 64, 511, 4096, 20_000, 100_000, 300_000):
        yield f"random-{size}.mp3", random.bytes(size)


def magic_and_noise() -> Files:
    """Each format's first bytes with randomness, or with zeros, behind."""
    random = np.random.default_rng(12)
    for name, magic in _MAGIC.items():
        yield f"magic-{name}.bin", magic + random.bytes(20_000)
        yield f"magic-zeros-{name}.bin", magic + bytes(2000)


def _songs(bases: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    return ((name, data) for name, data in bases.items() if name.startswith(_SONGS))


def _flip(data: bytes, places: np.ndarray, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[int(place)] ^= 1 << int(random.integers(8))
    return bytes(changed)

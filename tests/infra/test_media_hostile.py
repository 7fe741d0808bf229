"""Files that would make ffmpeg open other files; each attack is shown to work without us."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np

from infra import media
from tests.infra.media_files import ffmpeg, measured, refused, tone


def test_what_is_no_audio(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:size=16x16", "-frames:v", "1", tmp_path / "i.png")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="secret.wav"/></svg>'
    files = {
        "empty.mp3": b"",
        "text.mp3": b"Dear diary, this is not a song.\n" * 200,
        "i.mp3": (tmp_path / "i.png").read_bytes(),
        "s.mp3": svg,
        "noise.bin": np.random.default_rng(3).bytes(50000),
    }
    codes = {}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        codes[name] = refused(tmp_path / name).code
    assert codes.pop("empty.mp3") == "media_empty"
    assert set(codes.values()) <= {"media_unreadable", "no_audio"}
    header = tone(tmp_path / "none.wav", n=0)
    assert refused(header).code == "media_empty"


def hostile(secret: Path) -> dict[str, bytes]:
    """Files that ask a player to open ``secret``."""
    uri, name = f"file://{secret}", secret.name
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT5S"><Period><AdaptationSet mimeType="audio/wav">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{uri}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    return {
        "a.m3u8": hls.format(uri).encode(),
        "b.mp3": hls.format(name).encode(),
        "late.mp3": b"#EXTM3U\n#" + b" " * 9000 + hls.format(uri).encode(),
        "crypto.m3u8": hls.format("crypto:" + uri).encode(),
        "c.mp3": f"ffconcat version 1.0\nfile '{name}'\n".encode(),
        "d.ffconcat": f"ffconcat version 1.0\nfile '{uri}'\n".encode(),
        "e.mpd": mpd.encode(),
        "f.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=audio 5004 RTP/AVP 0\n",
        "g.pls": f"[playlist]\nFile1={uri}\n".encode(),
        "h.avs": f'WavSource("{secret}")\n'.encode(),
        "i.m3u8.gz": b"\x1f\x8b" + b"#EXTM3U\n",
    }


def reaches(*arguments: str | Path) -> bool:
    """The control: a plain ffmpeg does follow this file, so a refusal means something."""
    command = [media.binary(), "-loglevel", "error", *map(str, arguments), "-f", "s16le", "-"]
    return bool(subprocess.run(command, capture_output=True, timeout=30, check=False).stdout)


def test_playlists_do_not_reach_other_files(tmp_path: Path) -> None:
    secret = tone(tmp_path / "secret.wav")
    ffmpeg("-i", secret, "-c:a", "aac", tmp_path / "secret.ts")
    codes = {}
    for name, data in hostile(secret).items():
        (tmp_path / name).write_bytes(data)
        codes[name] = refused(tmp_path / name).code
    (tmp_path / "x.m3u8").write_bytes(hostile(tmp_path / "secret.ts")["a.m3u8"])
    assert reaches("-i", tmp_path / "x.m3u8")
    assert reaches("-i", tmp_path / "c.mp3")
    assert refused(tmp_path / "x.m3u8").code == "media_forbidden"
    assert set(codes.values()) <= {"media_forbidden", "media_unreadable"}
    for name in ("a.m3u8", "b.mp3", "late.mp3", "c.mp3", "d.ffconcat", "e.mpd", "g.pls"):
        assert codes[name] == "media_forbidden", name


def test_quicktime_external_reference_is_not_followed(tmp_path: Path) -> None:
    """The same movie with samples inside plays; with a dref to the secret it does not."""
    secret = tone(tmp_path / "secret.wav", channels=1)
    ffmpeg("-i", secret, "-c:a", "pcm_s16be", "-f", "mov", tmp_path / "plain.mov")
    assert measured(tmp_path / "plain.mov").audio.samples == 44100
    movie = with_external_reference((tmp_path / "plain.mov").read_bytes(), secret)
    (tmp_path / "ref.mov").write_bytes(movie)
    assert reaches("-enable_drefs", "1", "-use_absolute_path", "1", "-i", tmp_path / "ref.mov")
    assert refused(tmp_path / "ref.mov").code == "media_forbidden"


def with_external_reference(movie: bytes, secret: Path) -> bytes:
    """Replaces the self reference in every dref by an ``alis`` record that names a file."""
    path, name = str(secret).encode(), secret.name.encode()
    record = bytearray(150)
    record[4:8] = struct.pack(">HH", 150, 2)
    record[10:38] = bytes([4]) + b"root".ljust(27, b"\0")
    record[50:114] = bytes([len(name)]) + name.ljust(63, b"\0")
    record[130:134] = struct.pack(">HH", 1, 1)
    tags = struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2)
    tags += struct.pack(">HH", 18, len(path)) + path + b"\0" * (len(path) % 2)
    tags += struct.pack(">HH", 0xFFFF, 0)
    body = bytes(4) + bytes(record) + tags
    alias = struct.pack(">I4s", len(body) + 8, b"alis") + body
    assert movie.find(b"moov") > movie.find(b"mdat"), "sample offsets stay where they were"
    while (at := movie.find(b"dref")) >= 0:
        size = int.from_bytes(movie[at - 4 : at], "big")
        box = struct.pack(">I4sII", 16 + len(alias), b"DREF", 0, 1) + alias
        movie = movie[: at - 4] + box + movie[at - 4 + size :]
        for parent in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
            # the innermost parents of this dref: the last of their kind before it
            up = movie.rfind(parent, 0, at)
            if up < 0:
                continue
            old = int.from_bytes(movie[up - 4 : up], "big")
            new = struct.pack(">I", old + len(box) - size)
            movie = movie[: up - 4] + new + movie[up:]
    return movie.replace(b"DREF", b"dref")


def test_names_that_are_protocols_stay_names(tmp_path: Path) -> None:
    secret = tone(tmp_path / "secret.wav")
    for name in ("subfile,,start,0,end,0,,:secret.wav", "concat:secret.wav|x", "-y", "%d.wav"):
        odd = tmp_path / name
        odd.write_bytes(secret.read_bytes())
        assert measured(odd).audio.samples == 44100
        odd.write_bytes(b"not audio")
        assert refused(odd).code == "media_unreadable"

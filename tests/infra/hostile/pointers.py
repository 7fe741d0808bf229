"""Files that ask a player to open others, and names that are more than names."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.infra.hostile.bases import other_song
from tests.infra.hostile.damage import Files

_HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"
_KEY = (
    '#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXTINF:5,\n{}\n'
    "#EXT-X-ENDLIST\n"
)
_MPD = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT5S"><Period><AdaptationSet mimeType="audio/wav">'
    '<Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>"
)


def playlists(secret: Path) -> Files:
    """Every kind of list, naming the secret in every way."""
    wav, ts = secret / "secret.wav", secret / "secret.ts"
    ways = {
        "path": str(wav), "uri": f"file://{wav}", "near": "secret/secret.wav", "ts": str(ts),
        "up": "../../../../../../etc/passwd", "http": "http://127.0.0.1:9/x", "pipe": "pipe:0",
        "concat": f"concat:{wav}|{ts}", "subfile": f"subfile,,start,0,end,0,,:{wav}",
        "crypto": f"crypto:file://{wav}", "data": "data:audio/wav;base64,UklGRg==",
        "tcp": "tcp://127.0.0.1:9", "unix": "unix:/var/run/docker.sock", "fd": "fd:0",
    }  # fmt: skip
    for name, where in ways.items():
        yield f"hls-{name}.m3u8", _HLS.format(where).encode()
        yield f"concat-{name}.ffconcat", f"ffconcat version 1.0\nfile '{where}'\n".encode()
        yield f"dash-{name}.mpd", _MPD.format(where).encode()
    yield "hls-key.m3u8", _KEY.format(secret / "secret.txt", ts).encode()
    yield "hls-master.mp3", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{ts}\n".encode()
    yield "hls-map.m3u8", _HLS.format(f'x\n#EXT-X-MAP:URI="{wav}"\n{ts}').encode()
    yield "hls-late.mp3", b"#EXTM3U\n#" + b" " * 9000 + _HLS.format(wav).encode()
    yield "hls-mark.mp3", b"\xef\xbb\xbf" + _HLS.format(wav).encode()
    yield "hls-wide.mp3", _HLS.format(wav).encode("utf-16")
    yield "hls-gzip.m3u8.gz", gzip.compress(_HLS.format(wav).encode(), mtime=0)
    yield (
        "concat-options.mp3",
        (f"ffconcat version 1.0\nfile '{wav}'\noption safe 0\ninpoint 0\noutpoint 1\n".encode()),
    )


def scripts(secret: Path) -> Files:
    """Session descriptions, scripts, sheets and pictures that name files."""
    wav = secret / "secret.wav"
    texts = {
        "rtp.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 5004 RTP/AVP 0\n",
        "list.pls": f"[playlist]\nFile1={wav}\nNumberOfEntries=1\n",
        "list.asx": f'<asx version="3.0"><entry><ref href="{wav}"/></entry></asx>',
        "list.ref": f"[Reference]\nRef1={wav}\n",
        "list.wpl": f'<?wpl version="1.0"?><smil><body><media src="{wav}"/></body></smil>',
        "list.xspf": f'<playlist version="1"><trackList><location>{wav}</location></trackList>',
        "list.smil": f'<smil><body><audio src="{wav}"/></body></smil>',
        "sheet.cue": f'FILE "{wav}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
        "script.avs": f'WavSource("{wav}")\n',
        "script.vpy": f"import vapoursynth\nopen('{wav}')\n",
        "drawing.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{wav}"/></svg>',
        "words.srt": f"1\n00:00:00,000 --> 00:00:05,000\n{wav}\n",
        "words.ass": "[Script Info]\n[Fonts]\nfontname: x\n",
        "meta.ffmeta": f";FFMETADATA1\ntitle={wav}\n",
        "cpl.xml": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/">'
        f"<Id>{wav}</Id></CompositionPlaylist>",
        "graph.txt": f"amovie={wav}[out0]",
        "crc.ffindex": f"file '{wav}'\n",
    }
    for name, text in texts.items():
        yield f"script-{name}", text.encode()
    yield "sequence-%03d.png", (secret / "secret001.png").read_bytes()
    yield "glob-*.png", (secret / "secret001.png").read_bytes()


def polyglots(bases: dict[str, bytes], secret: Path) -> Files:
    """Two kinds of file in one: a list before, behind or inside something harmless."""
    lists = _HLS.format(secret / "secret.ts").encode()
    concat = f"ffconcat version 1.0\nfile '{secret / 'secret.wav'}'\n".encode()
    for name in ("song.mp3", "song.flac", "song.wav", "song.ogg"):
        yield f"poly-list-before-{name}", lists + bases[name]
        yield f"poly-list-behind-{name}", bases[name] + lists
        yield f"poly-concat-before-{name}", concat + bases[name]
    yield "poly-id3-list.mp3", b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + lists
    yield "poly-png-list.mp3", bases["still.png"] + lists
    yield "poly-zip-song.mp3", b"PK\x03\x04" + bytes(26) + bases["song.mp3"]
    yield "poly-song-song.mp3", bases["song.mp3"] + bases["song.flac"] + bases["song.wav"]
    yield "poly-page-song.html", b"<html><script>alert(1)</script>" + bases["song.mp3"]
    title = lists.ljust(400, b" ")
    info = b"LIST" + (len(title) + 12).to_bytes(4, "little") + b"INFOINAM"
    info += len(title).to_bytes(4, "little") + title
    yield "poly-title-list.wav", bases["song.wav"][:12] + info + bases["song.wav"][12:]


def names(bases: dict[str, bytes]) -> Files:
    """Names that ffmpeg or a shell would take for something else; song and noise alike."""
    for name in (
        "concat:a|b", "subfile,,start,0,end,0,,:secret", "pipe:0", "-y", "-i", "data:,x", "%d.wav",
        "http:x", "a b;touch x.wav", "$(id).wav", "a\nb.wav", "\u202evaw.gnos", "'quote\".wav",
    ):  # fmt: skip
        yield name, bases["song.wav"]
        yield f"{name}~", b"not audio"


def changing(bases: dict[str, bytes], directory: Path) -> Files:
    """Songs whose rate, channels or codec change midway, chained and interleaved."""
    mp3 = ("-f", "mp3", "-write_xing", "0", "-id3v2_version", "0")
    yield "change-rate.mp3", bases["song.mp3"] + other_song(directory, 48_000, 2, *mp3)
    yield "change-mono.mp3", bases["song.mp3"] + other_song(directory, 22_050, 1, *mp3)
    adts = other_song(directory, 96_000, 1, "-c:a", "aac", "-f", "adts")
    yield "change-rate.aac", bases["song.aac"] + adts
    yield "change-rate.ac3", bases["song.ac3"] + other_song(directory, 32_000, 1, "-f", "ac3")
    flac = other_song(directory, 96_000, 1, "-f", "flac")
    yield "change-rate.flac", bases["song.flac"] + flac
    vorbis = other_song(directory, 22_050, 1, "-c:a", "libvorbis", "-f", "ogg")
    yield "chain-rate.ogg", bases["song.ogg"] + vorbis
    yield "chain-codec.ogg", bases["song.ogg"] + bases["song.opus"]
    yield "chain-many.ogg", bases["song.opus"] * 20
    yield "chain-junk.ogg", bases["song.ogg"] + bytes(5000) + vorbis
    ogg, other = bases["song.ogg"], bases["song.opus"]
    yield (
        "interleaved.ogg",
        b"".join(ogg[i : i + 700] + other[i : i + 700] for i in range(0, len(ogg), 700)),
    )
    yield "change-rate.ts", bases["film.ts"] + bases["silent.ts"] + bases["film.ts"]

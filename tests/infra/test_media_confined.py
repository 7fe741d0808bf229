"""What a confined program cannot do; each attempt is shown to work without us."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.audio import FORMATS, Audio
from domain.errors import MediaError
from infra import media
from infra.media import process, sandbox
from infra.media.sandbox import Limits, confined
from tests.infra.media_files import ffmpeg, measured, noise, tone

pytestmark = pytest.mark.skipif(
    not re.search("seccomp.*Landlock|Landlock.*seccomp", media.confinement()),
    reason="this kernel cannot confine",
)

SECRET = b"canary 7f1c9e"
# A Python without our packages and with all of its own library readable.
PYTHON = (sys.executable, "-I", "-S", "-c")
LIBRARY = (Path(sys.base_prefix), Path(sys.prefix) / "pyvenv.cfg", Path(os.__file__).parent)


def attempt(
    *command: str,
    read: tuple[Path, ...] = (),
    write: tuple[Path, ...] = (),
    limits: Limits = Limits(),  # noqa: B008 - it cannot change
) -> subprocess.CompletedProcess[bytes]:
    launched = confined(list(command), read=read, write=write, limits=limits)
    return subprocess.run(launched, capture_output=True, timeout=60, check=False)


def python(code: str, limits: Limits = Limits()) -> subprocess.CompletedProcess[bytes]:  # noqa: B008
    return attempt(*PYTHON, code, read=LIBRARY, limits=limits)


def free(code: str) -> subprocess.CompletedProcess[bytes]:
    """The control: the same attempt, not confined."""
    return subprocess.run([*PYTHON, code], capture_output=True, timeout=60, check=False)


def test_reads_nothing_but_what_it_was_given(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for file in (mine, other):
        file.write_bytes(SECRET)
    assert attempt("/bin/cat", str(mine), read=(mine,)).stdout == SECRET
    for path in (other, Path("/etc/passwd"), Path("/proc/self/environ"), Path("/proc/1/maps")):
        refused = attempt("/bin/cat", str(path), read=(mine,))
        assert (refused.returncode, refused.stdout) == (1, b"")
    assert attempt("/bin/ls", str(tmp_path), read=(mine,)).stdout == b""
    assert attempt("/bin/ls", str(tmp_path), read=(tmp_path,)).stdout == b"mine\nother\n"
    (tmp_path / "link").symlink_to(other)
    assert attempt("/bin/cat", str(tmp_path / "link"), read=(mine,)).stdout == b""


def test_writes_nothing_but_what_it_was_given(tmp_path: Path) -> None:
    mine, other, new = (tmp_path / name for name in ("mine", "other", "new"))
    mine.touch()
    other.write_bytes(SECRET)
    code = "import os,sys\ntry: {}\nexcept OSError as e: print(e.errno)"
    attempts = {
        f"open({str(other)!r},'w')": b"13",
        f"open({str(other)!r},'a')": b"13",
        f"open({str(new)!r},'w')": b"13",
        f"os.unlink({str(other)!r})": b"13",
        f"os.rename({str(other)!r},{str(new)!r})": b"13",
        f"os.mkdir({str(new)!r})": b"13",
        f"os.symlink({str(other)!r},{str(new)!r})": b"13",
        f"os.truncate({str(other)!r},0)": b"13",
        f"os.chmod({str(other)!r},0o777)": b"1",
        f"os.chown({str(other)!r},0,0)": b"1",
        f"os.utime({str(other)!r})": b"1",
    }
    for what, errno in attempts.items():
        done = attempt(*PYTHON, code.format(what), read=(*LIBRARY, other), write=(mine,))
        assert done.stdout.strip() == errno, (what, done)
    assert sorted(tmp_path.iterdir()) == [mine, other]
    assert other.read_bytes() == SECRET
    writes = f"open({str(mine)!r},'w').write('x')"
    attempt(*PYTHON, writes, read=LIBRARY, write=(mine,), limits=Limits(file=100))
    assert mine.read_bytes() == b"x"


def test_has_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
        connect = f"import _socket as s; c=s.socket(2,1); c.connect({where!r}); print('in')"
        assert free(connect).stdout == b"in\n"
        refused = python(connect)
        assert refused.stdout == b""
        assert b"PermissionError" in refused.stderr
        server.settimeout(0.2)
        server.accept()[0].close()  # the control's
        with pytest.raises(TimeoutError):
            server.accept()
        url = f"http://127.0.0.1:{where[1]}/x"
        attempt(media.binary(), "-i", url, "-f", "null", "-")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork(); print('done')",
        "import os; os.posix_spawn('/bin/true', ['true'], {}); print('done')",
        "import os; os.execv('/bin/echo', ['echo', 'done'])",
        "import os; os.kill(os.getppid(), 0); print('done')",
        "import os; os.setgid(os.getgid()); print('done')",
        "import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); print('done')",
        "import ctypes as c; print('done' if c.CDLL(None).ptrace(0, 0, 0, 0) == 0 else 'refused')",
        "import ctypes as c; print('done' if c.CDLL(None).unshare(0) == 0 else 'refused')",
    ],
)
def test_touches_no_other_process(code: str) -> None:
    assert b"done" in free(code).stdout
    assert b"done" not in python(code).stdout


def test_threads_work() -> None:
    code = "import _thread as t,time; t.start_new_thread(print, ('done',)); time.sleep(0.2)"
    assert python(code).stdout == b"done\n"


def test_keeps_no_capability() -> None:
    code = "print(open('/proc/self/status').read())"
    done = attempt(*PYTHON, code, read=(*LIBRARY, Path("/proc")))
    held = re.findall(rb"Cap(?:Prm|Eff):\s*(\w+)", done.stdout)
    assert len(held) == 2
    assert {int(h, 16) for h in held} == {0}
    assert re.search(rb"NoNewPrivs:\s*1", done.stdout)
    assert re.search(rb"Seccomp:\s*2", done.stdout)


def test_memory_time_and_file_size_end(tmp_path: Path) -> None:
    assert b"MemoryError" in python("bytearray(10 << 30)").stderr
    assert b"MemoryError" in python("x = [bytearray(1 << 20) for _ in range(10_000)]").stderr
    assert python("while True: pass", Limits(cpu_seconds=1)).returncode == -signal.SIGKILL
    big = tmp_path / "big"
    big.touch()
    code = f"f = open({str(big)!r}, 'wb', 0)\nwhile True: f.write(bytes(1 << 20))"
    done = attempt(*PYTHON, code, read=LIBRARY, write=(big,), limits=Limits(file=5 << 20))
    assert done.returncode != 0
    assert big.stat().st_size == 5 << 20


@pytest.mark.skipif(
    os.getuid() != 0 or not Path("/usr/bin/python3").exists(),
    reason="only root can become another user, who needs a Python",
)
def test_confines_an_ordinary_user_as_well() -> None:
    """Landlock and seccomp need no rights. Everything on the way must be open to nobody."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        launcher = place / "confined.py"
        launcher.write_bytes(Path(sandbox.__file__).with_name("confined.py").read_bytes())
        (place / "mine").write_bytes(SECRET)
        (place / "other").write_bytes(SECRET)

        def cat(path: Path) -> bytes:
            command = confined(["/bin/cat", str(path)], read=[place / "mine"])
            command[:4] = ["/usr/bin/python3", "-I", "-S", str(launcher)]
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=20, user=65_534, group=65_534,
                extra_groups=[],
            )  # fmt: skip
            return done.stdout

        assert cat(place / "mine") == SECRET
        assert cat(place / "other") == b""
        assert cat(Path("/etc/passwd")) == b""


def hls(folder: Path) -> tuple[str, ...]:
    ffmpeg("-i", tone(folder / "secret.wav"), "-c:a", "aac", folder / "secret.ts")
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nsecret.ts\n#EXT-X-ENDLIST\n"
    (folder / "in").write_text(text)
    return ("-f", "hls", "-allowed_extensions", "ALL", "-i", str(folder / "in"))


def concat(folder: Path) -> tuple[str, ...]:
    tone(folder / "secret.wav")
    (folder / "in").write_text("ffconcat version 1.0\nfile secret.wav\n")
    return ("-f", "concat", "-safe", "0", "-i", str(folder / "in"))


def subfile(folder: Path) -> tuple[str, ...]:
    (folder / "in").touch()
    return ("-i", f"subfile,,start,0,end,0,,:{tone(folder / 'secret.wav')}")


def image_sequence(folder: Path) -> tuple[str, ...]:
    (folder / "in").touch()
    picture = ("-f", "lavfi", "-i", "color=red:size=16x16", "-frames:v", "1")
    ffmpeg(*picture, folder / "secret1.png")
    return ("-f", "image2", "-i", str(folder / "secret%d.png"), "-pix_fmt", "gray")


@pytest.mark.parametrize("trick", [hls, concat, subfile, image_sequence])
def test_ffmpeg_without_our_lists_reaches_nothing(
    tmp_path: Path, trick: Callable[[Path], tuple[str, ...]]
) -> None:
    asks = trick(tmp_path)
    kind = "rawvideo" if trick is image_sequence else "s16le"
    command = [media.binary(), "-v", "error", "-protocol_whitelist", "ALL", *asks]
    command += ["-f", kind, "-"]
    command.remove("ALL")
    command.insert(command.index("-protocol_whitelist") + 1, "file,subfile,crypto,data,pipe,concat")
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).stdout
    refused = attempt(*command, read=(tmp_path / "in",))
    assert refused.returncode > 0
    assert refused.stdout == b""


def test_our_own_runs_are_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What measure, blocks and Encoder start is the launcher, with one file each."""
    started: list[list[str]] = []
    start = process.Child.__init__

    def spy(child: process.Child, command: list[str], **options: Any) -> None:
        started.append(command)
        start(child, command, **options)

    song = tone(tmp_path / "a.wav")
    measured(song)  # asks for the layers and the libraries
    monkeypatch.setattr(process.Child, "__init__", spy)
    audio = measured(song).audio
    list(media.blocks(song, audio=audio, timeout=20))
    with media.Encoder(tmp_path / "o", audio, FORMATS["flac"], timeout=20) as encoder:
        encoder.write(noise(2, audio.samples))
        encoder.finish()
    assert len(started) == 3
    for command in started:
        assert command[3].endswith("confined.py")
    files = [
        {w for w in c if str(tmp_path) in w and w.startswith(("read", "write"))} for c in started
    ]
    assert files == [{f"read={song}"}, {f"read={song}"}, {f"write={tmp_path / 'o'}"}]


def test_an_ffmpeg_that_cannot_start_is_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tone(tmp_path / "a.wav")
    monkeypatch.setenv("SPLITSOUND_FFMPEG", str(tmp_path / "none"))
    with pytest.raises(MediaError, match="ask the operator") as caught:
        measured(song)
    assert caught.value.code == "ffmpeg_failed"


def test_encoding_more_than_announced_stops(tmp_path: Path) -> None:
    """A disk is not filled by a stem that never ends."""
    target, audio = tmp_path / "o", Audio(10, 44100, 2)
    with media.Encoder(target, audio, FORMATS["wav"], timeout=60) as encoder:

        def endless() -> None:
            for _ in range(1000):
                encoder.write(np.zeros((2, 65_536), np.float32))

        with pytest.raises(MediaError):
            endless()
        assert target.stat().st_size < 32 << 20
    assert not target.exists()

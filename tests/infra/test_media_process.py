"""ffmpeg as a child: time limits, cancellation, death with its parent, being stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from domain.audio import FORMATS, Audio, Cancelled
from domain.errors import MediaError, Unavailable
from infra import media
from infra.media import process
from tests.infra.media_files import ffmpeg, float_wav, noise, refused, tone


def test_time_limit_and_cancellation(tmp_path: Path) -> None:
    source = tone(tmp_path / "a.wav", n=44100 * 20)
    with pytest.raises(MediaError) as caught:
        media.measure(source, max_seconds=60, timeout=0.0)
    assert caught.value.code == "ffmpeg_timeout"
    with pytest.raises(Cancelled):
        media.measure(source, max_seconds=60, timeout=20, cancelled=lambda: True)
    target, audio = tmp_path / "t", Audio(10**6, 44100, 2)
    with pytest.raises(Cancelled):
        next(media.blocks(source, audio=audio, timeout=20, cancelled=lambda: True))
    encoder = media.Encoder(target, audio, FORMATS["flac"], timeout=20, cancelled=lambda: True)
    with pytest.raises(Cancelled), encoder:
        encoder.write(noise(2, 10**6))
    assert not target.exists()


def test_a_hung_child_is_killed_within_its_limit() -> None:
    polls: list[float] = []

    def poll() -> bool:
        polls.append(time.monotonic())
        return False

    started = time.monotonic()
    with process.Child(["/bin/sleep", "60"], timeout=1.0, cancelled=poll, stdout=True) as child:
        with pytest.raises(MediaError, match="longer than its time limit"):
            child.read(bytearray(1))
        assert alive(children()[-1])
    assert time.monotonic() - started < 2
    assert len(polls) >= 4
    assert not children()


def test_a_child_that_stalls_is_killed_long_before_a_long_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "STALL_SECONDS", 0.5)
    started = time.monotonic()
    with (
        process.Child(["/bin/sleep", "60"], timeout=3600, stdout=True) as child,
        pytest.raises(MediaError, match="longer than its time limit"),
    ):
        child.read(bytearray(1))
    assert time.monotonic() - started < 2


def test_processor_time_is_limited_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is a time limit's, not that of a decoder that somebody stopped."""
    written = process.arguments
    endless = ("-stream_loop", "-1")
    monkeypatch.setattr(process, "arguments", lambda s: [written(s)[0], *endless, *written(s)[1:]])
    for name in ("decode", "ending"):
        monkeypatch.setattr(sys.modules[f"infra.media.{name}"], "cpu_limit", lambda _: 1)
    with pytest.raises(MediaError) as caught:
        media.measure(tone(tmp_path / "a.wav"), max_seconds=10**9, timeout=60)
    assert caught.value.code == "ffmpeg_timeout"


def test_the_head_and_the_end_of_the_log_are_kept() -> None:
    code = "import sys; [sys.stderr.write(f'{n}\\n') for n in range(200_000)]"
    with process.Child([sys.executable, "-c", code], timeout=30) as child:
        log = child.end().log
    assert log.startswith("0\n1\n")
    assert log.endswith("\n199999\n")
    assert len(log) <= process.LOG_BYTES


def test_a_busy_consumer_is_not_ffmpegs_fault(tmp_path: Path) -> None:
    """Nor does ffmpeg run ahead of it: it fills its pipe and waits."""
    x = noise(2, 44100 * 30)
    source = float_wav(tmp_path / "a.wav", x)
    decoding = media.blocks(source, audio=Audio(x.shape[1], 44100, 2), timeout=2.0)
    first = next(decoding)
    time.sleep(2.5)
    assert np.array_equal(np.concatenate([first, *decoding], 1), x)
    audio = Audio(200_000, 44100, 2)
    with media.Encoder(tmp_path / "o.flac", audio, FORMATS["flac"], timeout=2.0) as encoder:
        encoder.write(x[:, :100_000])
        time.sleep(2.5)
        encoder.write(x[:, 100_000:200_000])
        encoder.finish()


def test_giving_up_leaves_no_child_and_no_file(tmp_path: Path) -> None:
    source = float_wav(tmp_path / "a.wav", noise(2, 44100 * 30))
    decoding = media.blocks(source, audio=Audio(44100 * 30, 44100, 2), timeout=20)
    next(decoding)
    assert children()
    begun = time.monotonic()
    decoding.close()
    assert time.monotonic() - begun < 0.5
    assert not children()
    target = tmp_path / "o.flac"
    with media.Encoder(target, Audio(10**6, 44100, 2), FORMATS["flac"], timeout=20) as encoder:
        encoder.write(noise(2, 1000))
        assert children()
    assert not children()
    assert not target.exists()


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, Unavailable), (signal.SIGSEGV, MediaError)]
)
def test_an_encoder_that_died_is_an_error_and_no_file(
    tmp_path: Path, number: signal.Signals, said: type[Exception]
) -> None:
    """One that somebody stopped may be tried again, as a decoder may."""
    target = tmp_path / "o.flac"
    with media.Encoder(target, Audio(10**7, 44100, 2), FORMATS["flac"], timeout=20) as encoder:
        os.kill(children()[-1], number)
        with pytest.raises(said) as caught:
            encoder.write(noise(2, 10**6))
        assert getattr(caught.value, "code", "") in {"ffmpeg_failed", "unavailable"}
    assert not target.exists()


def children() -> list[int]:
    """This thread's children that still run, those from before the test aside."""
    return [child for child in _mine() if child not in _before and alive(child)]


_before: set[int] = set()


@pytest.fixture(autouse=True)
def before() -> None:
    """An emulator for other tests may run in this process, too."""
    _before.clear()
    _before.update(_mine())


def _mine() -> list[int]:
    mine = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    return [int(child) for child in mine.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_the_child_dies_with_its_parent() -> None:
    code = (
        "import os\nfrom infra.media import process, sandbox\n"
        "mine = f'/proc/self/task/{os.getpid()}/children'\n"
        "tell = lambda: print(open(mine).read(), flush=True)\n"
        "command = sandbox.confined(['/bin/sleep', '60'])\n"
        "process.Child(command, timeout=60, cancelled=tell).end()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    """Running: neither gone nor a zombie whom nobody has asked for yet."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_decoder_measures_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """What ffmpeg counted until somebody stopped it must not become the length that is paid."""
    source = tone(tmp_path / f"song-{number}.wav", n=44100 * 60)
    written = process.arguments
    # reads in real time, so that there is time to stop it
    monkeypatch.setattr(process, "arguments", lambda s: [written(s)[0], "-re", *written(s)[1:]])
    asked = [0]

    def stop_it() -> bool:
        asked[0] += 1
        if asked[0] == 4:
            for process_id in running_on(source):
                os.kill(process_id, number)
        return False

    with pytest.raises(Unavailable):
        media.measure(source, max_seconds=600, timeout=30, cancelled=stop_it)


def test_a_decoder_that_answers_255_by_itself_was_not_stopped(tmp_path: Path) -> None:
    """ASF's demuxer does so for a header that is cut off; trying again would never end."""
    ffmpeg("-i", tone(tmp_path / "a.wav"), "-c:a", "wmav2", tmp_path / "a.wma")
    (tmp_path / "b.wma").write_bytes((tmp_path / "a.wma").read_bytes()[:200])
    assert refused(tmp_path / "b.wma").code == "media_unreadable"


def running_on(source: Path) -> list[int]:
    found = []
    for commands in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = commands.read_bytes().split(b"\0")
            if any(str(source).encode() in w for w in words):
                found.append(int(commands.parent.name))
    return found

"""Send a file in presigned parts, four at a time; what storage already has is not sent again."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

import httpx
from msgspec import Struct

from domain.errors import SplitSoundError
from handlers.cli.answers import Asset, MissingPart, Upload
from handlers.cli.client import Api, as_problem, http_for
from handlers.cli.outcome import BadInput, Problem
from handlers.cli.words import command_line, named, plain

_AT_ONCE = 4
_TRIES = 5
_CHUNK = 128 * 1024
_SESSIONS = 50
# What befell the platform and not the song: the same file may well be taken next time.
_NOT_THE_SONGS_FAULT = {"probe_failed", "ffmpeg_timeout", "ffmpeg_failed", "source_missing"}


class SongFile(Struct, frozen=True):
    """A local file, read once to know it again. digest: SHA-256 of its bytes."""

    path: Path
    size: int
    digest: str

    @property
    def name(self) -> str:
        """The file's name as text, whatever bytes it is made of."""
        return plain(self.path.name)

    @property
    def media_type(self) -> str:
        """A guess from the name; the probe looks at the bytes."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def check_path(path: Path) -> int:
    """The file's size in bytes. Raises BadInput when it cannot be a song."""
    if not path.exists():
        raise BadInput(f"There is no file {named(path)}.")
    if not path.is_file():
        raise BadInput(f"{named(path)} is not a file; name one song.")
    if not os.access(path, os.R_OK):
        raise BadInput(f"{named(path)} may not be read by you; check its permissions.")
    size = path.stat().st_size
    if not size:
        raise BadInput(f"{named(path)} is empty; name a file with sound in it.")
    return size


def read_song(path: Path, seen: Callable[[int], None] = lambda _: None) -> SongFile:
    """Hash the file. seen: called with the bytes read so far. Raises BadInput."""
    size = check_path(path)
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            seen(done)
    return SongFile(path, size, digest.hexdigest())


def open_session(api: Api, song: SongFile, lost: Collection[str] = ()) -> Upload:
    """The upload session of this very content: an interrupted run finds its own again.

    A session that was given up, lost its parts or was rejected for no fault of the song's is
    followed by the next one. lost: assets whose file is known to be gone from storage.
    """
    asked = {"filename": song.name, "size": song.size, "content_type": song.media_type}
    name = hashlib.sha256(song.name.encode()).hexdigest()[:16]
    for number in range(1, _SESSIONS):
        key = f"cli-upload-{song.digest[:40]}-{name}-{number}"
        try:
            opened = api.post("/v1/uploads", asked, Upload, key)
        except Problem as problem:
            if problem.code != "upload_expired":
                raise
            continue
        if opened.asset_id not in lost and not _ended_in_vain(opened):
            return opened
    raise SplitSoundError(f"This upload failed too often; run `{command_line('doctor')}`.")


def _ended_in_vain(session: Upload) -> bool:
    if session.status == "rejected" and session.failure is not None:
        return session.failure.code in _NOT_THE_SONGS_FAULT
    return session.status == "aborted"


def send(api: Api, song: SongFile, session: Upload, sent: Callable[[int], None]) -> Asset:
    """Send what is missing and complete the upload. sent: called with all bytes so far."""
    meter = _Meter(sum(part.size for part in session.received), sent)
    etags = {part.number: part.etag for part in session.received}
    path = f"/v1/uploads/{session.asset_id}"
    page = session
    while page.missing:
        arrived = _send_parts(song, session.part_size, page.missing, meter)
        etags |= arrived
        expired = [p.number for p in page.missing if p.number not in arrived]
        after = min(expired) - 1 if expired else page.missing[-1].number
        page = api.get(path, Upload, after=after)
        etags |= {part.number: part.etag for part in page.received}
    parts = [{"number": number, "etag": etags[number]} for number in sorted(etags)]
    return api.post(f"{path}/complete", {"parts": parts}, Asset)


class _Meter:
    """Counts bytes from several threads."""

    def __init__(self, done: int, sent: Callable[[int], None]) -> None:
        self._done = done
        self._sent = sent
        self._lock = threading.Lock()
        sent(done)

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._sent(self._done)


def _send_parts(
    song: SongFile, part_size: int, missing: list[MissingPart], meter: _Meter
) -> dict[int, str]:
    """ETags of the parts that arrived: all but those whose URL had expired meanwhile."""
    stop = threading.Event()
    with (
        song.path.open("rb") as file,
        http_for(missing[0].url) as http,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        sender = _Sender(http, file.fileno(), song, part_size, meter, stop)
        running = {pool.submit(sender.send, part): part.number for part in missing}
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            etags = {running[f]: f.result() for f in _failed_first(done)}
        finally:
            # On an error or Ctrl-C the other parts must not hold us up.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    arrived = {number: etag for number, etag in etags.items() if etag}
    if not arrived:
        raise SplitSoundError(
            "Storage refuses the presigned URLs (403): the clock of this machine may be wrong, "
            f"or its keys have changed. Run `{command_line('doctor')}`."
        )
    return arrived


def _failed_first(done: set[Future[str]]) -> list[Future[str]]:
    return sorted(done, key=lambda future: future.exception() is None)


class _Stopped(Exception):
    """Another part failed, or somebody pressed Ctrl-C."""


class _Sender:
    """Sends single parts, each in its own thread."""

    def __init__(
        self,
        http: httpx.Client,
        file: int,
        song: SongFile,
        part_size: int,
        meter: _Meter,
        stop: threading.Event,
    ) -> None:
        self._http = http
        self._file = file
        self._song = song
        self._part_size = part_size
        self._meter = meter
        self._stop = stop

    def send(self, part: MissingPart) -> str:
        """PUT a part, several times if need be; its ETag, or nothing when the URL has expired."""
        for attempt in range(1, _TRIES + 1):
            moved = _Moved(self._meter)
            try:
                answer = self._http.put(
                    part.url,
                    content=self._bytes(part, moved),
                    headers={"Content-Length": str(part.size)},
                    timeout=httpx.Timeout(60.0, connect=5.0),
                )
                if answer.is_success and (etag := answer.headers.get("ETag")):
                    return str(etag)
                problem: Exception = as_problem(answer)
                final = answer.status_code in (400, 404)
                if answer.status_code == 403:
                    moved.undo()
                    return ""
            except httpx.TransportError as error:
                problem, final = error, False
            moved.undo()
            if final or attempt == _TRIES or self._stop.is_set():
                raise _refused(part, problem) from problem
            time.sleep(random.uniform(0.5, 1.0) * 0.2 * 2**attempt)  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    def _bytes(self, part: MissingPart, moved: _Moved) -> Iterator[bytes]:
        position = (part.number - 1) * self._part_size
        left = part.size
        while left:
            if self._stop.is_set():
                raise _Stopped
            chunk = os.pread(self._file, min(_CHUNK, left), position)
            if not chunk:
                raise BadInput(
                    f"{named(self._song.path)} became shorter while it was sent; try again."
                )
            yield chunk
            position += len(chunk)
            left -= len(chunk)
            moved.add(len(chunk))


class _Moved:
    """What one try has sent, so that a failed try can be taken back from the meter."""

    def __init__(self, meter: _Meter) -> None:
        self._meter = meter
        self._count = 0

    def add(self, count: int) -> None:
        self._count += count
        self._meter.add(count)

    def undo(self) -> None:
        self._meter.add(-self._count)


def _refused(part: MissingPart, problem: Exception) -> SplitSoundError:
    return SplitSoundError(
        f"Part {part.number} could not be sent ({problem}). Run the same command again: what "
        "arrived is kept."
    )

"""Send a file in presigned parts, four at a time; what storage already has is not sent again.

An upload that was interrupted, by whatever, goes on where it was: the same bytes under the same
name find their session again, since its ``Idempotency-Key`` is made of them.
"""

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
from handlers.client.bodies import Completion, MissingPart, NamedPart, NewUpload, Upload
from handlers.client.client import Client
from handlers.client.exchange import http_for
from handlers.client.problems import Gone, as_problem

_AT_ONCE = 4
_TRIES = 5
_CHUNK = 128 * 1024
_SESSIONS = 50
# What befell the platform and not the song: the same file may well be taken next time.
_NOT_THE_SONGS_FAULT = {"probe_failed", "ffmpeg_timeout", "ffmpeg_failed", "source_missing"}


class UploadFailed(SplitSoundError):
    """The file did not arrive; what did is kept, and the same upload goes on from there."""

    code = "upload_failed"


class FileChanged(SplitSoundError):
    """The file is not any more what it was when it was read."""

    code = "file_changed"
    status = 422


class File(Struct, frozen=True):
    """A local file, read once to know it again. digest: SHA-256 of its bytes."""

    path: Path
    size: int
    digest: str

    @property
    def name(self) -> str:
        """The file's name as text, whatever bytes it is made of."""
        return os.fsencode(self.path.name).decode(errors="replace")

    @property
    def media_type(self) -> str:
        """A guess from the name; the probe looks at the bytes."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def read(path: Path, seen: Callable[[int], None] = lambda _: None) -> File:
    """Hash the file. seen: called with the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            seen(done)
    return File(path, done, digest.hexdigest())


def upload(client: Client, file: File, sent: Callable[[int], None] = lambda _: None) -> Upload:
    """The file's upload, complete; it is probed next, which ``get_asset`` tells."""
    session = open_session(client, file)
    return send(client, file, session, sent) if session.status == "uploading" else session


def open_session(client: Client, file: File, lost: Collection[str] = ()) -> Upload:
    """The upload session of this very content: an interrupted run finds its own again.

    A session that was given up, lost its parts or was rejected for no fault of the song's is
    followed by the next one. lost: assets whose file is known to be gone from storage.
    """
    asked = NewUpload(filename=file.name, size=file.size, content_type=file.media_type)
    name = hashlib.sha256(file.name.encode()).hexdigest()[:16]
    for number in range(1, _SESSIONS):
        key = f"upload-{file.digest[:40]}-{name}-{number}"
        try:
            opened = client.start_upload(asked, idempotency_key=key)
        except Gone as problem:
            if problem.code != "upload_expired":
                raise
            continue
        if opened.status == "uploading":
            # The first answer may be replayed, with URLs of then: ask how it stands now.
            opened = client.get_upload(opened.asset_id)
        if opened.asset_id not in lost and not _ended_in_vain(opened):
            return opened
    raise UploadFailed("This upload failed too often.")


def _ended_in_vain(session: Upload) -> bool:
    if session.status == "rejected" and session.failure is not None:
        return session.failure.code in _NOT_THE_SONGS_FAULT
    return session.status == "aborted"


def send(client: Client, file: File, session: Upload, sent: Callable[[int], None]) -> Upload:
    """Send what is missing and complete the upload. sent: called with all bytes so far."""
    meter = _Meter(sum(part.size for part in session.received), sent)
    etags = {part.number: part.etag for part in session.received}
    page = session
    while page.missing:
        arrived = _send_parts(file, session.part_size, page.missing, meter)
        etags |= arrived
        expired = [p.number for p in page.missing if p.number not in arrived]
        after = min(expired) - 1 if expired else page.missing[-1].number
        page = client.get_upload(session.asset_id, after=after)
        etags |= {part.number: part.etag for part in page.received}
    parts = [NamedPart(number=number, etag=etags[number]) for number in sorted(etags)]
    return client.complete_upload(session.asset_id, Completion(parts=parts))


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
    file: File, part_size: int, missing: list[MissingPart], meter: _Meter
) -> dict[int, str]:
    """ETags of the parts that arrived: all but those whose URL had expired meanwhile."""
    stop = threading.Event()
    with (
        file.path.open("rb") as opened,
        http_for(missing[0].url) as http,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        sender = _Sender(http, opened.fileno(), file, part_size, meter, stop)
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
        raise UploadFailed(
            "Storage refuses the presigned URLs (403): the clock of this machine may be wrong, "
            "or the API's keys have changed."
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
        descriptor: int,
        source: File,
        part_size: int,
        meter: _Meter,
        stop: threading.Event,
    ) -> None:
        self._http = http
        self._descriptor = descriptor
        self._source = source
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
            chunk = os.pread(self._descriptor, min(_CHUNK, left), position)
            if not chunk:
                raise FileChanged(f"{self._source.name!r} became shorter while it was sent.")
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
    return UploadFailed(
        f"Part {part.number} could not be sent ({problem}). Upload the same file again: what "
        "arrived is kept."
    )

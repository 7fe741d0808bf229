"""A provider on this machine that speaks Replicate's wire format, and fails as it is told to.

Two servers, as in life: the API, which wants the token, and the delivery of files, which must
never see it. Predictions fetch their input by its URL and are made by ffmpeg; their states move
on by one with each look at them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock, Thread
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from infra import media

TOKEN = "r8_aVerySecretTokenOfTheOperator"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
USUAL = ("starting", "processing", "processing", "succeeded")
ENDED = {"succeeded", "failed", "canceled", "aborted"}


class Fault(Struct):
    """What goes wrong with one request.

    status None: the connection breaks; after: what was asked for is done nevertheless; cut: so
    many bytes of the body are sent and no more; hang: seconds before anything happens.
    """

    status: int | None = None
    body: bytes = b'{"detail": "as scripted"}'
    headers: dict[str, str] = {}
    after: bool = False
    cut: int | None = None
    hang: float = 0


class Made(Struct):
    """A prediction."""

    id: str
    body: dict[str, Any]
    states: list[str]
    headers: dict[str, str]
    output: Any = None
    error: Any = None
    logs: str = ""
    completed_at: str | None = None
    song: bytes = b""
    seen: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        return self.states[0]

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": self.body["version"],
            "input": self.body["input"],
            "status": self.status,
            "output": self.output,
            "error": self.error,
            "logs": self.logs,
            "completed_at": self.completed_at,
            "data_removed": False,
            "metrics": {"predict_time": 1.5} if self.status == "succeeded" else {},
            "urls": {"get": "https://elsewhere.invalid/", "cancel": "https://elsewhere.invalid/"},
        }


class Provider:
    """Both servers. states, outputs, logs and error are what the next prediction is like."""

    def __init__(self, directory: Path, now: Callable[[], float] = time.time) -> None:
        self.directory, self.now = directory, now
        self.states, self.logs, self.error = list(USUAL), "", None
        self.outputs: dict[str, list[str]] = {
            "target": ["-af", "volume=0.25", "-ar", "48000", "-ac", "1", "-c:a", "pcm_s24le"],
            "residual": ["-af", "volume=0.75", "-ar", "48000", "-ac", "1", "-c:a", "pcm_s24le"],
        }
        self.shape: Callable[[dict[str, str]], Any] = lambda urls: urls
        self.made: dict[str, Made] = {}
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.requests: list[str] = []
        self.raw: dict[str, Callable[[], bytes]] = {}
        self.ranges: list[str] = []
        self.leaks: list[str] = []
        self.lock = RLock()
        self.api = _serve(partial(_Api, self))
        self.delivery = _serve(partial(_Delivery, self))
        self.base = f"http://127.0.0.1:{self.api.server_port}"
        self.files_base = f"http://127.0.0.1:{self.delivery.server_port}"

    def close(self) -> None:
        for server in (self.api, self.delivery):
            server.shutdown()
            server.server_close()

    def fail(self, request: str, *faults: Fault) -> None:
        """request: as in "POST /v1/predictions", ids as {id}."""
        self.faults[request] += faults

    @property
    def running(self) -> list[str]:
        return [p.id for p in self.made.values() if p.status not in ENDED]

    @contextmanager
    def publish(self, path: Path) -> Iterator[str]:
        target = self.directory / f"published-{len(list(self.directory.iterdir()))}.flac"
        shutil.copy(path, target)
        try:
            yield f"{self.files_base}/{target.name}?signature=secret"
        finally:
            target.unlink()

    def create(self, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        wrong = _wrong(body, headers)
        if wrong:
            return 422, {"title": "Input validation failed", "detail": wrong, "status": 422}
        made = Made(f"p{len(self.made)}xyz", body, list(self.states), headers)
        self.made[made.id] = made
        self._enter(made)
        return 201, made.document()

    def look(self, id_: str) -> tuple[int, Any]:
        if id_ not in self.made:
            return 404, {"detail": "Not found."}
        made = self.made[id_]
        if len(made.states) > 1:
            made.states.pop(0)
            self._enter(made)
        return 200, made.document()

    def cancel(self, id_: str) -> tuple[int, Any]:
        if id_ not in self.made:
            return 404, {"detail": "Not found."}
        made = self.made[id_]
        if made.status not in ENDED:
            made.states = ["canceled"]
        return 200, made.document()

    def _enter(self, made: Made) -> None:
        made.seen.append(made.status)
        made.logs = self.logs
        if made.status == "processing" and not made.song:
            made.song = self._fetched(made.body["input"]["audio"])
        if made.status == "succeeded":
            made.output = self.shape(self._separated(made))
        if made.status == "failed":
            made.error = self.error
        if made.status in ENDED:
            made.completed_at = datetime.fromtimestamp(self.now(), UTC).isoformat()

    def _fetched(self, url: str) -> bytes:
        place = urlsplit(url)
        if url.startswith(self.base):
            return self.files[place.path.rpartition("/")[2]]
        return (self.directory / place.path[1:]).read_bytes()

    def _separated(self, made: Made) -> dict[str, str]:
        source = self.directory / f"{made.id}.in"
        source.write_bytes(made.song or self._fetched(made.body["input"]["audio"]))
        urls = {}
        for name, options in self.outputs.items():
            target = self.directory / f"{made.id}-{name}.wav"
            command = [media.binary(), "-loglevel", "error", "-y", "-i", str(source)]
            subprocess.run([*command, *options, str(target)], check=True, timeout=30)
            urls[name] = f"{self.files_base}/{target.name}"
        return urls


def _wrong(body: Any, headers: dict[str, str]) -> str | None:
    if headers.get("content-type") != "application/json" or not isinstance(body, dict):
        return "a JSON object is expected"
    if not {"version", "input"} <= set(body) <= {"version", "input", "webhook"}:
        return f"the fields {sorted(body)} are not those of a prediction"
    if body["version"] != VERSION:
        return "Invalid version or not permitted"
    if not str(body["input"].get("audio", "")).startswith("http"):
        return "- input.audio: Does not match format 'uri'"
    return None


def _serve(handler: Any) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, provider: Provider, *arguments: Any) -> None:
        self.provider = provider
        super().__init__(*arguments)

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""

    def answer(self, status: int, body: bytes, headers: dict[str, str], cut: int | None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def next_fault(self, request: str) -> Fault | None:
        with self.provider.lock:
            self.provider.requests.append(request)
            waiting = self.provider.faults[request]
            fault = waiting.pop(0) if waiting else None
        if fault and fault.hang:
            time.sleep(fault.hang)
        return fault


class _Api(_Handler):
    def handle_any(self) -> None:
        path = urlsplit(self.path).path
        parts = path.strip("/").split("/")
        known = parts[2] if len(parts) > 2 else ""
        request = f"{self.command} {path.replace(known, '{id}') if known else path}"
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.next_fault(request)
        if fault and not fault.after:
            self._break(fault)
            return
        if path in self.provider.raw and self._allowed():
            self.answer(200, self.provider.raw[path](), {}, None)
            return
        with self.provider.lock:
            status, document = self._done(request, known, content)
        if fault and fault.after:
            self._break(fault)
            return
        self.answer(
            status, json.dumps(document).encode() if document is not None else b"", {}, None
        )

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the library's names

    def _break(self, fault: Fault) -> None:
        if fault.status is None:
            self.close_connection = True
            return
        self.answer(fault.status, fault.body, fault.headers, fault.cut)

    def _done(self, request: str, id_: str, content: bytes) -> tuple[int, Any]:
        if not self._allowed():
            return 401, {"title": "Unauthenticated", "detail": "no valid token"}
        headers = {name.lower(): value for name, value in self.headers.items()}
        provider = self.provider
        if request == "POST /v1/predictions":
            return provider.create(json.loads(content), headers)
        if request == "GET /v1/predictions":
            latest = [p.document() for p in reversed(provider.made.values())]
            return 200, {"next": None, "previous": None, "results": latest}
        if request == "GET /v1/predictions/{id}":
            return provider.look(id_)
        if request == "POST /v1/predictions/{id}/cancel":
            return provider.cancel(id_)
        if request == "POST /v1/files":
            return self._file(content)
        if request == "DELETE /v1/files/{id}":
            return (204, None) if provider.files.pop(id_, None) else (404, {"detail": "Not found."})
        return 404, {"detail": "Not found."}

    def _allowed(self) -> bool:
        return self.headers.get("authorization") == f"Bearer {TOKEN}"

    def _file(self, content: bytes) -> tuple[int, Any]:
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        form = message_from_bytes(head + content, policy=HTTP)
        (part,) = form.iter_parts()
        assert part.get_param("name", header="content-disposition") == "content"
        id_ = f"f{len(self.provider.files)}"
        sound = part.get_payload(decode=True)
        assert isinstance(sound, bytes)
        self.provider.files[id_] = sound
        return 201, {"id": id_, "urls": {"get": f"{self.provider.base}/v1/files/{id_}"}}


class _Delivery(_Handler):
    def do_GET(self) -> None:
        name = urlsplit(self.path).path[1:]
        if self.headers.get("authorization"):
            self.provider.leaks.append(name)
        kind = name.rpartition("-")[2].removesuffix(".wav")
        fault = self.next_fault(f"GET {kind}")
        path = self.provider.directory / name
        wanted = self.headers.get("range")
        if wanted:
            self.provider.ranges.append(wanted)
        if fault and fault.status is not None:
            self.answer(fault.status, fault.body, fault.headers, None)
        elif not path.is_file():
            self.answer(404, b"", {}, None)
        else:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            body = path.read_bytes()
            place = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            self.answer(
                206 if wanted else 200,
                body[start:],
                place if wanted else {},
                fault.cut if fault else None,
            )

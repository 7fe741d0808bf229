"""Requests written byte by byte, as no decent client would."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tests.handlers.api.people import CORE


class Answer(Struct, frozen=True):
    """headers: names in lower case. body: of a problem document; of other answers, what came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_problem(self) -> bool:
        """By its content type."""
        return self.headers.get("content-type") == "application/problem+json"


def connected(url: str, seconds: float = 10) -> socket.socket:
    """A connection that waits so long for an answer."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), seconds)


def raw(url: str, *pieces: bytes) -> Answer:
    """Send that, whatever it is; what came back."""
    with closing(connected(url)) as wire:
        for piece in pieces:
            try:
                wire.sendall(piece)
            except OSError:  # answered, and closed, before all was sent
                break
        return read(wire)


def ask(url: str, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
    """A request that is whole, with a target that need not be one."""
    sent = {"Host": "api.example", "Connection": "close"}
    if body is not None:
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items())
    return raw(url, head.encode("utf-8") + b"\r\n" + (body or b""))


def read(wire: socket.socket) -> Answer:
    """The head of the answer, and its body as far as it is a problem document."""
    with wire.makefile("rb") as file:
        first = file.readline()
        assert first.startswith(b"HTTP/1.1 "), first
        headers: dict[str, str] = {}
        while line := file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        # Others may be streams without an end.
        whole = headers.get("content-type") == "application/problem+json"
        body = file.read(int(headers.get("content-length", "0"))) if whole else b""
        return Answer(int(first.split()[1]), headers, body)


def assert_refused(answer: Answer, *statuses: int) -> str:
    """A whole problem document, of a client's mistake; its code."""
    assert 400 <= answer.status < 500, answer
    assert not statuses or answer.status in statuses, answer
    assert answer.is_problem, answer
    problem = msgspec.json.decode(answer.body)
    assert problem.keys() >= CORE, answer
    assert problem["status"] == answer.status
    assert problem["request_id"] == answer.headers["x-request-id"]
    code: str = problem["code"]
    assert problem["type"] == f"urn:splitsound:problem:{code}"
    return code

"""Requests in parallel over connections that stay open, and the CPU of who answers them."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

_TICKS = os.sysconf("SC_CLK_TCK")


class Caller(Struct, frozen=True):
    """Somebody with a token, and the body of what they ask for."""

    token: str
    body: bytes = b""


def post(url: str, path: str, callers: Sequence[Caller], each: int) -> None:
    """Every caller posts their body ``each`` times, all callers at once. Raises on a refusal."""

    def ask(caller: Caller) -> None:
        with _Connection(url, caller.token) as connection:
            for _ in range(each):
                connection.ask("POST", path, caller.body, 201)

    with ThreadPoolExecutor(len(callers)) as pool:
        list(pool.map(ask, callers))


def get(
    url: str, callers: Sequence[Caller], paths: Sequence[Sequence[str]], each: int
) -> list[float]:
    """Every caller gets their paths in turn, all at once; how long each answer took, in seconds."""

    def ask(caller: Caller, own: Sequence[str]) -> list[float]:
        with _Connection(url, caller.token) as connection:
            return [connection.ask("GET", own[n % len(own)], b"", 200) for n in range(each)]

    with ThreadPoolExecutor(len(callers)) as pool:
        return sorted(took for many in pool.map(ask, callers, paths) for took in many)


def cpu_seconds(pid: int) -> float:
    """CPU of all threads of a process so far, its children's apart."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class _Connection:
    """One connection that stays open."""

    def __init__(self, url: str, token: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: bytes, expected: int) -> float:
        begun = time.perf_counter()
        self._http.request(method, path, body or None, self._headers)
        answer = self._http.getresponse()
        text = answer.read()
        took = time.perf_counter() - begun
        if answer.status != expected:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:300]!r}")
        return took


def wish(asset_id: str) -> bytes:
    """The body of a request for a separation, which both sides take."""
    return msgspec.json.encode({"asset_id": asset_id, "model": "spleeter-2stems"})

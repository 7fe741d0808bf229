"""Requests and answers over HTTP: what may be tried again is, within reason."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from msgspec import Struct

from handlers.client.problems import Problem, Unreachable, as_problem

_TRIES = 6
_LONGEST_WAIT = 10.0
# An API that answered before may be restarting: how many seconds we wait for it.
PATIENCE = 60.0
_AGAIN = {429, 502, 503, 504}
_SOON = {"conflict", "idempotency_key_in_use"}


class Request(Struct, frozen=True, kw_only=True):
    """One request. path: from the API's root on; body: what msgspec encodes, or None."""

    method: str
    path: str
    body: Any = None
    query: dict[str, Any] = {}
    headers: dict[str, str] = {}


class Exchange:
    """One HTTP client of the API at ``url``; used from one thread.

    notice: hears, in words, when we wait for an API that was there before.
    """

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport | None,
        pause: Callable[[float], object],
        notice: Callable[[str], object],
    ) -> None:
        self.url = url.rstrip("/")
        self.http = http_for(self.url, transport)
        self.pause = pause
        self._notice = notice
        self._answered = False

    def send(self, asked: Request, token: str | None) -> httpx.Response:
        """The answer, once there is a good one. Raises Problem or Unreachable."""
        built = self.build(asked, token)
        deadline = time.monotonic() + (PATIENCE if self._answered else 0)
        tries = 0
        while True:
            tries += 1
            try:
                answer = self.http.send(built)
            except httpx.TransportError as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Unreachable(f"No API answers at {self.url} ({error}).") from error
                if tries == 1:
                    self._notice(f"the API does not answer; trying again for {left:.0f} s")
                self.pause(backoff(tries))
                continue
            self._answered = True
            if answer.is_success or answer.is_redirect:
                return answer
            problem = as_problem(answer)
            if tries >= _TRIES or not _may_retry(problem):
                raise problem
            self.pause(_wait(problem, tries))

    def build(self, asked: Request, token: str | None) -> httpx.Request:
        """The request as it goes over the wire."""
        headers = {"X-Requested-With": "splitsound-client"} | asked.headers
        content = None if asked.body is None else msgspec.json.encode(asked.body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        query = {name: _plain(value) for name, value in asked.query.items() if value is not None}
        return self.http.build_request(
            asked.method, self.url + asked.path, content=content, headers=headers, params=query
        )


def http_for(url: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client for that host. A proxy of the shell must not carry what stays on this machine."""
    local = (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(
        transport=transport,
        trust_env=not local,
        timeout=httpx.Timeout(30.0, connect=5.0),
        limits=httpx.Limits(max_connections=8),
    )


def segment(text: str) -> str:
    """An id as it stands in a path, whatever it holds."""
    return quote(text, safe="")


def backoff(tries: int) -> float:
    """Seconds to wait after so many tries, with jitter."""
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return min(jitter * 0.2 * float(2**tries), _LONGEST_WAIT)


def _may_retry(problem: Problem) -> bool:
    # What operators hold shut opens in their own time; they said why, and people should read it.
    if problem.code == "paused":
        return False
    # asset_not_ready may be repeated too, but whoever waits for a probe asks the library instead.
    return problem.http_status in _AGAIN or problem.code in _SOON


def _wait(problem: Problem, tries: int) -> float:
    told = problem.retry_after
    return backoff(tries) if told is None else min(told, _LONGEST_WAIT)


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value

"""A synchronous client of the HTTP API: signs in, retries what may be retried."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from handlers.cli.answers import Session
from handlers.cli.outcome import Problem, Unreachable
from handlers.cli.words import command_line

T = TypeVar("T")

_TRIES = 6
_LONGEST_WAIT = 10.0
# A stack that answered before may be restarting: how many seconds we wait for it.
_PATIENCE = 60.0
_AGAIN = {429, 502, 503, 504}


class Api:
    """One user's conversation with the API at ``url``; used from one thread.

    notice: hears, in words, when we wait for an API that was there before.
    """

    def __init__(
        self,
        url: str,
        email: str,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
        notice: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.url = url.rstrip("/")
        self.email = email
        self._http = http_for(self.url, transport)
        self._pause = pause
        self._notice = notice
        self._token = ""
        self._answered = False
        self.user_id = ""

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self) -> Session:
        """Get an access token for the e-mail address."""
        answer = self._send("POST", "/v1/session", {"email": self.email}, {})
        session = _read(answer, Session)
        self._token, self.user_id = session.access_token, session.user_id
        return session

    def get(self, path: str, kind: type[T], **query: Any) -> T:
        """GET ``path``."""
        given = {k: v for k, v in query.items() if v is not None}
        return _read(self._call("GET", path, None, {}, given), kind)

    def post(self, path: str, body: object, kind: type[T], key: str | None = None) -> T:
        """POST ``body``. key: the Idempotency-Key, without which nothing is sent twice."""
        headers = {"Idempotency-Key": key} if key else {}
        return _read(self._call("POST", path, body, headers), kind)

    def _call(
        self,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
        query: dict[str, Any] | None = None,
    ) -> httpx.Response:
        if not self._token:
            self.sign_in()
        for fresh in (False, True):
            signed = headers | {"Authorization": f"Bearer {self._token}"}
            try:
                return self._send(method, path, body, signed, query)
            except Problem as problem:
                # An access token lives for minutes and an upload for hours.
                if problem.http_status != 401 or fresh:
                    raise
            self.sign_in()
        raise AssertionError("unreachable")

    def _send(
        self,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
        query: dict[str, Any] | None = None,
    ) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers = headers | {"Content-Type": "application/json"}
        deadline = time.monotonic() + (_PATIENCE if self._answered else 0)
        tries = 0
        while True:
            tries += 1
            try:
                answer = self._http.request(
                    method, self.url + path, content=content, headers=headers, params=query
                )
            except httpx.TransportError as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _unreachable(self.url, error) from error
                if tries == 1:
                    self._notice(f"the API does not answer; trying again for {left:.0f} s")
                self._pause(_backoff(tries))
                continue
            self._answered = True
            if answer.is_success:
                return answer
            problem = as_problem(answer)
            if tries >= _TRIES or not _may_retry(problem):
                raise problem
            self._pause(_wait(answer, tries))


def http_for(url: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client for that host. A proxy of the shell must not carry what stays on this machine."""
    local = (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(
        transport=transport,
        trust_env=not local,
        timeout=httpx.Timeout(30.0, connect=5.0),
        limits=httpx.Limits(max_connections=8),
    )


def as_problem(answer: httpx.Response) -> Problem:
    """The problem document in an answer, or one that says what came instead."""
    try:
        document = msgspec.json.decode(answer.content, type=dict[str, Any])
        code, detail = str(document["code"]), str(document["detail"])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        code, document = "http_error", {}
        detail = f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}."
    kept = ("request_id", "required", "available", "retryable", "limit", "reason", "errors")
    return Problem(
        code, detail, answer.status_code, **{k: document[k] for k in kept if k in document}
    )


def _may_retry(problem: Problem) -> bool:
    # What operators hold shut opens in their own time; they said why, and people should read it.
    if problem.code == "paused":
        return False
    # asset_not_ready is retryable too, but whoever waits for a probe asks the library instead.
    return problem.http_status in _AGAIN or problem.code == "conflict"


def _wait(answer: httpx.Response, tries: int) -> float:
    told = answer.headers.get("Retry-After", "")
    return min(float(told), _LONGEST_WAIT) if told.isdigit() else _backoff(tries)


def _backoff(tries: int) -> float:
    jitter = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return min(jitter * 0.2 * float(2**tries), _LONGEST_WAIT)


def _unreachable(url: str, error: Exception) -> Unreachable:
    return Unreachable(
        f"No API answers at {url} ({error}). Start one with `{command_line('up')}`, or name "
        "another with --api or SPLITSOUND_API."
    )


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Unreachable(
            f"{answer.request.url} does not answer like the SplitSound API ({error}); "
            "check --api or SPLITSOUND_API."
        ) from error

"""The client: every operation of the API as a method, with tokens, retries and typed answers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx
import msgspec

from handlers.client.credentials import Credentials
from handlers.client.events import Event, listen
from handlers.client.exchange import Exchange, Request
from handlers.client.operations import Operations
from handlers.client.problems import SignInNeeded, Unreachable

T = TypeVar("T")


class Client(Operations):
    """One caller's conversation with the API at ``url``; used from one thread.

    credentials: None calls only what needs none. notice: hears, in words, when we wait for an API
    that was there before. pause: sleeps, for so many seconds.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], object] = time.sleep,
        notice: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._exchange = Exchange(url, transport, pause, notice)
        self._credentials = credentials
        self._token = ""
        self.user_id = ""
        """Whom the token speaks for, once there is one that tells."""

    @property
    def url(self) -> str:
        """The API's address."""
        return self._exchange.url

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._exchange.http.close()

    def authenticate(self) -> None:
        """Get a token now, not at the first request that needs one."""
        if self._credentials is not None:
            access = self._credentials.fetch(self)
            self._token, self.user_id = access.token, access.user_id

    def _call(self, asked: Request, kind: type[T], *, signed: bool = True) -> T:
        answer = self._signed(asked) if signed else self._exchange.send(asked, None)
        return _read(answer, kind)

    def _text(self, asked: Request) -> str:
        return self._signed(asked).text

    def _bytes(self, asked: Request) -> Iterator[bytes]:
        """The body, bit by bit."""
        built = self._exchange.build(asked, self._ready_token())
        answer = self._exchange.http.send(built, stream=True)
        try:
            if not answer.is_success:
                answer.read()
                # A token that died meanwhile, or a problem to be raised or tried again.
                answer = self._signed(asked)
            yield from answer.iter_bytes()
        finally:
            answer.close()

    def _location(self, asked: Request) -> str:
        """Where the API sends the browser."""
        return str(self._exchange.send(asked, None).headers["Location"])

    def _listen(self, asked: Request, last_event_id: str | None) -> Iterator[Event]:
        return listen(self._exchange, asked, self._tokens, last_event_id)

    def _keyed(self, key: str | None) -> dict[str, str]:
        """A POST that is sent again must not act again, so each has a key."""
        return {"Idempotency-Key": key or f"client-{uuid.uuid4().hex}"}

    def _signed(self, asked: Request) -> httpx.Response:
        try:
            return self._exchange.send(asked, self._ready_token())
        except SignInNeeded:
            # An access token lives for minutes and an upload for hours.
            if self._credentials is None or not self._credentials.renewable:
                raise
        return self._exchange.send(asked, self._tokens(fresh=True))

    def _tokens(self, *, fresh: bool = False) -> str:
        if fresh:
            self._token = ""
        return self._ready_token()

    def _ready_token(self) -> str:
        if not self._token:
            self.authenticate()
        return self._token


def _read(answer: httpx.Response, kind: type[T]) -> T:
    if kind is type(None):
        return None
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Unreachable(
            f"{answer.request.url} does not answer like the SplitSound API ({error})."
        ) from error

"""Server-sent events, read by the rules of WHATWG HTML (9.2.5, 9.2.6) and resumed for as long as
the server has more to tell.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import httpx
import msgspec
from msgspec import Struct

from handlers.client.exchange import Exchange, Request, backoff
from handlers.client.problems import Problem, SignInNeeded, Unreachable, as_problem

T = TypeVar("T")

MEDIA_TYPE = "text/event-stream"
END = "end"
"""The event after which nothing more comes."""
SIGN_IN_AGAIN = "sign_in_again"
"""The token's time is over; with another one it goes on."""
SILENCE_SECONDS = 45.0
"""Without a sign of life for so long, a connection is taken for dead; the server pings oftener."""
_TRIES = 8


class Event(Struct, frozen=True):
    """id: the last that was told, to resume after. name: ``message`` where the server gave none."""

    name: str
    data: str
    id: str = ""

    def read(self, kind: type[T] = dict[str, Any]) -> T:  # type: ignore[assignment]
        """The data, which is JSON."""
        return msgspec.json.decode(self.data, type=kind)


class Parser:
    """Bytes in, events out. retry: seconds that the server asked to wait before coming back."""

    def __init__(self, last_event_id: str = "", retry: float | None = None) -> None:
        self.last_event_id = last_event_id
        self.retry = retry
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._id = last_event_id

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete. What is incomplete at the end never comes."""
        self._rest += self._decoder.decode(chunk)
        while (found := _line_end(self._rest)) is not None:
            end, following = found
            line, self._rest = self._rest[:end], self._rest[following:]
            if event := self._line(line):
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value) / 1000
        return None

    def _dispatch(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        self.last_event_id = self._id
        return Event(name or "message", "\n".join(data), self._id) if data else None


def _line_end(text: str) -> tuple[int, int] | None:
    """Where the first line ends, and the next begins; a CR at the very end may be half a CRLF."""
    for place, sign in enumerate(text):
        if sign == "\n":
            return place, place + 1
        if sign == "\r":
            if place + 1 == len(text):
                return None
            return place, place + (2 if text[place + 1] == "\n" else 1)
    return None


class Tokens(Protocol):
    """Gives the bearer token; fresh: another one, because the last was refused."""

    def __call__(self, *, fresh: bool = False) -> str:
        """The token."""


def listen(
    exchange: Exchange, asked: Request, tokens: Tokens, last_event_id: str | None
) -> Iterator[Event]:
    """Events until the server says ``end``, or that all was told before; a connection that breaks
    is taken up where it was.

    Raises Problem for what will not get better, and Unreachable after some tries in vain.
    """
    parser = Parser(last_event_id or "")
    fresh, tries = False, 0
    while True:
        # Of an event that was cut off in the middle nothing is kept.
        parser = Parser(parser.last_event_id, parser.retry)
        try:
            for event in _connection(exchange, asked, tokens(fresh=fresh), parser):
                fresh, tries = False, 0
                yield event
                if event.name == END:
                    return
            told = parser.retry
        except _Over:
            return
        except SignInNeeded:
            if fresh:
                raise
            fresh = True
            continue
        except (Problem, httpx.TransportError) as error:
            told = _wait(error) or parser.retry
        tries += 1
        if tries > _TRIES:
            raise Unreachable(f"The events of {exchange.url}{asked.path} do not come.")
        exchange.pause(backoff(tries) if told is None else told)


def _wait(error: Exception) -> float | None:
    """Seconds, where the server says so. Raises a Problem that will not get better."""
    if isinstance(error, Problem):
        if not error.may_repeat:
            raise error
        return error.retry_after
    return None


class _Over(Exception):
    """The caller has everything, and nothing more comes."""


def _connection(exchange: Exchange, asked: Request, token: str, parser: Parser) -> Iterator[Event]:
    headers = {"Accept": MEDIA_TYPE, "Cache-Control": "no-store"}
    if parser.last_event_id:
        headers["Last-Event-ID"] = parser.last_event_id
    request = msgspec.structs.replace(asked, headers={**asked.headers, **headers})
    built = exchange.build(request, token)
    built.extensions["timeout"] = httpx.Timeout(30.0, connect=5.0, read=SILENCE_SECONDS).as_dict()
    answer = exchange.http.send(built, stream=True)
    try:
        if not answer.is_success:
            answer.read()
            raise as_problem(answer)
        if answer.status_code == 204:
            raise _Over
        for chunk in answer.iter_bytes():
            for event in parser.feed(chunk):
                if event.name == SIGN_IN_AGAIN:
                    raise SignInNeeded("sign_in_again", "The token's time is over.", 401)
                yield event
    finally:
        answer.close()

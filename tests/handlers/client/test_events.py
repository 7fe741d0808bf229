"""Server-sent events by the rules of WHATWG HTML 9.2.6, and coming back when they break."""

from __future__ import annotations

import httpx
import pytest

from handlers.client.client import Client
from handlers.client.credentials import Access, Renewing
from handlers.client.events import Event, Parser
from handlers.client.problems import Absent, SignInNeeded, Unreachable


def parse(*chunks: bytes) -> list[Event]:
    parser = Parser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def test_lines_end_in_lf_cr_or_crlf_wherever_the_bytes_are_cut() -> None:
    text = "event: a\r\ndata: 1\r\n\r\nid: 7\rdata: 2\r\rdata: ä\ndata:  4\n\n".encode()
    whole = [Event("a", "1"), Event("message", "2", "7"), Event("message", "ä\n 4", "7")]
    for cut in range(len(text) + 1):
        assert parse(text[:cut], text[cut:]) == whole


def test_comments_unknown_fields_nul_ids_and_a_byte_order_mark_count_for_nothing() -> None:
    text = "\ufeff: ping\n\nevent: x\n\nwhat: 1\ndata\n\nid: a\0b\ndata: 2\n\n".encode()
    assert parse(text) == [Event("message", ""), Event("message", "2")]
    assert parse(b"data: cut off") == []


def test_retry_is_taken_when_it_is_digits() -> None:
    parser = Parser()
    assert list(parser.feed(b"retry: 1500\n\nretry: soon\n\n")) == []
    assert parser.retry == 1.5


class Server:
    """Answers from a list, and remembers what it was asked."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None]] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = request.headers
        self.asked.append((headers["Authorization"], headers.get("Last-Event-ID")))
        return self.answers.pop(0)

    def events(self) -> list[str]:
        number = iter(range(1, 9))
        client = Client(
            "http://api.test",
            Renewing(lambda: Access(f"t{next(number)}")),
            transport=httpx.MockTransport(self),
            pause=self.waits.append,
        )
        return [f"{event.name} {event.data}" for event in client.follow_job("job_1")]


def stream(text: str) -> httpx.Response:
    return httpx.Response(200, content=text, headers={"Content-Type": "text/event-stream"})


def problem(status: int, code: str, **told: object) -> httpx.Response:
    document = {"code": code, "detail": code, **told}
    return httpx.Response(status, json=document, headers={"Retry-After": "7"})


END = stream("event: end\ndata: {}\n\n")


def test_what_breaks_is_taken_up_after_the_last_id_until_the_server_says_end() -> None:
    server = Server(
        stream("retry: 2000\nid: 1\ndata: a\n\nid: 2\ndata: cut"),
        problem(503, "unavailable", retryable=True),
        END,
    )
    assert server.events() == ["message a", "end {}"]
    assert [last for _, last in server.asked] == [None, "1", "1"]
    assert server.waits == [2.0, 7.0]


def test_a_token_that_died_is_fetched_anew_once() -> None:
    server = Server(problem(401, "unauthenticated"), END)
    assert server.events() == ["end {}"]
    assert [token for token, _ in server.asked] == ["Bearer t1", "Bearer t2"]
    with pytest.raises(SignInNeeded):
        Server(problem(401, "unauthenticated"), problem(401, "unauthenticated")).events()


def test_a_token_whose_time_is_over_is_followed_by_another() -> None:
    again = stream("id: 3\ndata: a\n\nevent: sign_in_again\ndata: {}\n\n")
    server = Server(again, httpx.Response(204))
    assert server.events() == ["message a"]
    assert server.asked == [("Bearer t1", None), ("Bearer t2", "3")]
    assert server.waits == []


def test_what_will_not_get_better_is_an_error() -> None:
    server = Server(problem(404, "not_found", retryable=False))
    with pytest.raises(Absent):
        server.events()
    with pytest.raises(Unreachable):
        Server(*[problem(503, "unavailable", retryable=True) for _ in range(20)]).events()

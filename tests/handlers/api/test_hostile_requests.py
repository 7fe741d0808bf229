"""What no decent client sends: each gets a problem document that is declared, or is harmless."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from handlers.api import wire
from handlers.api.app import BODY_BYTES
from tests.handlers.api.conftest import Served
from tests.handlers.api.documented import Document
from tests.handlers.api.people import Person
from tests.handlers.api.wired import Answer, ask, assert_refused, connected, raw, read

MIB = 1024 * 1024
DEEP = b'{"a":' * 10_000
JOB = "job_" + "0" * 26
# By Litestar or uvicorn, of any route, before one is chosen.
ANYWHERE = {404, 405, 429}


class Hostile:
    """Sends as somebody who may, and holds what comes back to the document."""

    def __init__(self, served: Served, document: Document, person: Person, admin: Person) -> None:
        self.url, self.document = served.url, document
        self._tokens = {
            admin: who.http.headers["authorization"]
            for admin, who in ((False, person), (True, admin))
        }
        self.operations = [
            (method.upper(), path, operation)
            for path, each in document.text["paths"].items()
            for method, operation in each.items()
        ]

    def send(
        self, method: str, path: str, target: str, body: bytes | None = None, **headers: str
    ) -> Answer:
        """path: the template. The answer is no 5xx; a refusal is a declared problem document."""
        told = {"Authorization": self._tokens["/admin" in path or path == "/metrics"], **headers}
        answer = ask(self.url, method, target, body, **told)
        if path != "/readyz":
            assert answer.status < 500, (method, target, answer)
        if answer.status >= 400 and method != "HEAD":
            assert_refused(answer)
            operation = self.document.text["paths"].get(path, {}).get(method.lower())
            on_the_wire = msgspec.json.decode(answer.body)["instance"] == ""
            if operation and not on_the_wire:
                declared = {int(status) for status in operation["responses"]} | ANYWHERE
                assert answer.status in declared, (method, target, answer)
        return answer


@pytest.fixture
def hostile(served: Served, anyone: httpx.Client, person: Person, admin: Person) -> Hostile:
    return Hostile(served, Document(anyone), person, admin)


@pytest.fixture
def unbroken() -> Iterator[None]:
    """Nothing of what is sent breaks anything, as far as the log tells."""
    with capture_logs() as logs:
        yield
    assert not [line for line in logs if line["event"] == "request failed"]


# --- ids and query strings -------------------------------------------------------------------

WRONG_IDS = [
    "", "%20", ".", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", f"{JOB}%00", f"{JOB}%0a",
    JOB.upper(), "job_" + "i" * 26, "job_", "ast", "x" * 5000, "%F0%9F%8E%B5" * 30, "%ff", "%C0%AF",
    "%25", "%zz", "a%2Fb", "'%20or%201=1--", "%7Bjob_id%7D", "null", "-1", "9" * 400, "%e2%80%ae",
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_IDS)
def test_ids_of_every_wrong_shape(hostile: Hostile, unbroken: None, wrong: str) -> None:
    for method, path, operation in hostile.operations:
        if "{" in path:
            body = None
            if "requestBody" in operation:
                body = b'{"reason": "x"}' if "/admin/" in path else b"{}"
            answer = hostile.send(method, path, re.sub(r"\{\w+\}", wrong, path), body)
            # Without an id it is the path of a list.
            assert not wrong or answer.status >= 400, (method, path, answer)


ABSURD = ["", "-1", "0", "1e9", "9" * 30, "5.5", "NaN", "%00", "%ff", "x" * 6000, "true", "null",
          "2026-99-99", "..%2f", "%F0%9F%8E%B5", "1,2", "[]", "0x10", "%201"]  # fmt: skip


def test_absurd_query_strings(hostile: Hostile, unbroken: None) -> None:
    for method, path, operation in hostile.operations:
        if method != "GET":
            continue
        target = re.sub(r"\{\w+\}", "nothing", path)
        names = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
        for query in ("=", "&&&", "%", "%zz=%zz", "a" * 8000, "limit", "%00=%00", "\x7f"):
            hostile.send(method, path, f"{target}?{query}")
        for name in names:
            for value in ABSURD:
                hostile.send(method, path, f"{target}?{name}={value}")
            hostile.send(method, path, f"{target}?{name}=1&{name}=2")


# --- bodies ----------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "half": b"{",
    "a list": b"[]",
    "a string": b'"x"',
    "a number": b"1",
    "not UTF-8": b'{"\xff": "\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "with a mark": b"\xef\xbb\xbf{}",
    "half a surrogate": b'{"reason": "\\ud800", "filename": "\\ud800", "email": "\\ud800"}',
    "deep": DEEP,
    "deep list": b"[" * 60_000,
    "unknown field": b'{"constructor": {"prototype": 1}}',
    "NaN": b'{"size": NaN, "amount": NaN}',
    "Infinity": b'{"size": Infinity}',
    "two": b"{}{}",
    "twice the same": b'{"reason": "a", "reason": "b", "size": 1, "size": 2}',
    "NUL": b'{"reason": "\\u0000", "name": "\\u0000"}\x00',
    "long name": b'{"' + b"a" * 50_000 + b'": 1}',
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_wrong_on_every_route(hostile: Hostile, unbroken: None, name: str) -> None:
    for method, path, operation in hostile.operations:
        if "requestBody" in operation:
            hostile.send(method, path, re.sub(r"\{\w+\}", "nothing", path), BODIES[name])


NUMBERS = [b"1" + b"0" * 4000, b"1e999", b"-1e999", b"9223372036854775808", b"-0", b"1e-400",
           b"18446744073709551616", b"0.1", b"true", b"null", b"{}", b"[]", b'""',
           b'"' + b"x" * 30_000 + b'"', b'"\\u0000"', b'"9999-12-31T23:59:59-23:59"']  # fmt: skip


def test_fields_that_are_absurd(hostile: Hostile, unbroken: None) -> None:
    schemas = hostile.document.text["components"]["schemas"]
    for method, path, operation in hostile.operations:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        named = re.findall(r"schemas/(\w+)", str(content))
        for field in {f for name in named for f in schemas[name].get("properties", {})}:
            for value in NUMBERS:
                body = msgspec.json.encode(field) + b": " + value
                target = re.sub(r"\{\w+\}", "nothing", path)
                hostile.send(method, path, target, b"{" + body + b"}")


KINDS = ["text/plain", "multipart/form-data", "multipart/form-data; boundary=x", "text/xml",
         "application/x-www-form-urlencoded", "application/msgpack", "image/png", "/", ";", "",
         "application/json; charset=nonsense", "application/json;;;=", "x" * 3000]  # fmt: skip


def test_content_types_that_are_wrong(hostile: Hostile, unbroken: None) -> None:
    for method, path, operation in hostile.operations:
        if "requestBody" in operation:
            for kind in KINDS:
                target = re.sub(r"\{\w+\}", "nothing", path)
                hostile.send(method, path, target, b"{}", Content_Type=kind)


def test_ten_megabytes_are_not_waited_for(hostile: Hostile) -> None:
    begun = time.monotonic()
    for method, path, operation in hostile.operations:
        if "requestBody" in operation:
            target = re.sub(r"\{\w+\}", "nothing", path)
            answer = hostile.send(method, path, target, b"{" * 10, Content_Length=str(10 * MIB))
            assert answer.status in (413, 404), (method, path, answer)
    assert time.monotonic() - begun < wire.BODY_SECONDS


def test_chunks_without_an_end_are_cut(person: Person, served: Served) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        yield (
            "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: {person.http.headers['authorization']}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode()
        for _ in range(160):
            sent += BODY_BYTES
            yield b"10000\r\n" + b" " * 65_536 + b"\r\n"
            time.sleep(0.01)

    answer = raw(served.url, *chunks())
    assert assert_refused(answer, 413) == "body_too_large"


# --- methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "CONNECT", "BREW", "get"])
def test_methods(hostile: Hostile, unbroken: None, method: str) -> None:
    for path in hostile.document.text["paths"]:
        answer = hostile.send(method, path, re.sub(r"\{\w+\}", "nothing", path))
        if method == "OPTIONS":
            assert answer.status in (204, 403), (path, answer)
        else:
            assert answer.status in (405, 400), (path, answer)


# --- the wire --------------------------------------------------------------------------------

HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
NO_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "an e-mail": b"EHLO example.org\r\n\r\n",
    "zeros": bytes(1000),
    "a name with a space": HEAD + b"X Y: 1\r\n\r\n",
    "NUL in a value": HEAD + b"X: a\x00b\r\n\r\n",
    "folded": HEAD + b" folded\r\n\r\n",
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": HEAD + b"Host: y\r\n\r\n",
    "a length that is none": POST + b"Content-Length: abc\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "endless length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{",
    "an odd coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "chunks of nonsense": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a negative chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n",
    "a chunk too long": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}{}{}\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_request(served: Served, unbroken: None, name: str) -> None:
    assert_refused(raw(served.url, NO_HTTP[name]), 400, 404, 413)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X: " + b"x" * 2 * wire.HEADER_BYTES + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n",
        b"GET /" + b"x" * 2 * wire.HEADER_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_floods_of_headers(served: Served, unbroken: None, head: bytes) -> None:
    assert assert_refused(raw(served.url, head), 431) == "head_too_large"


def test_many_headers_that_fit_are_harmless(served: Served, unbroken: None) -> None:
    head = HEAD + b"Connection: close\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(1000))
    assert raw(served.url, head + b"\r\n").status == 200
    for name in (b"Cookie", b"If-None-Match", b"X-Request-Id", b"Origin", b"Accept", b"Range"):
        value = b"\xff, " * 3000
        assert raw(served.url, HEAD + name + b": " + value + b"\r\n\r\n").status == 200


def test_lengths_and_chunks_at_once_are_one_request(served: Served, unbroken: None) -> None:
    both = POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    smuggled = b"GET /v1/admin/operations HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(connected(served.url)) as connection:
        connection.sendall(both + smuggled)
        assert read(connection).status in (400, 422)


# --- slow ones -------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that waits for nobody longer than moments."""
    monkeypatch.setattr(wire, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.3)


@pytest.mark.usefixtures("hasty", "unbroken")
class TestSlowClients:
    """Each is let go."""

    @pytest.mark.parametrize("begun", [b"", b"G", HEAD, HEAD + b"X: 1\r\n"])
    def test_a_head_that_does_not_come(self, served: Served, begun: bytes) -> None:
        assert assert_refused(raw(served.url, begun), 408) == "request_timeout"

    def test_a_head_that_drips(self, served: Served) -> None:
        begun = time.monotonic()
        with closing(connected(served.url)) as connection:
            for letter in HEAD[:4]:
                connection.sendall(bytes([letter]))
                time.sleep(0.06)
            assert_refused(read(connection), 408)
        assert time.monotonic() - begun < 1

    def test_a_second_head_that_does_not_come(self, served: Served) -> None:
        with closing(connected(served.url)) as connection:
            connection.sendall(HEAD + b"\r\n")
            while b'"ok"' not in connection.recv(4096):
                pass
            connection.sendall(b"GE")
            assert_refused(read(connection), 408)

    @pytest.mark.parametrize("begun", [b"", b'{"email": '])
    def test_a_body_that_does_not_come(self, served: Served, begun: bytes) -> None:
        answer = raw(served.url, POST + b"Content-Length: 50\r\n\r\n" + begun)
        assert assert_refused(answer, 408) == "request_timeout"
        assert answer.headers["connection"] == "close"

    def test_a_client_that_hangs_up_amid_its_body(self, served: Served) -> None:
        with closing(connected(served.url)) as connection:
            connection.sendall(POST + b"Content-Length: 50\r\n\r\n{")
        time.sleep(0.1)

    def test_others_are_served_meanwhile(self, served: Served, anyone: httpx.Client) -> None:
        waiting = [connected(served.url) for _ in range(100)]
        for connection in waiting:
            connection.sendall(HEAD)
        assert anyone.get("/healthz").status_code == 200
        for connection in waiting:
            connection.close()


# --- the same key ----------------------------------------------------------------------------


def test_two_users_may_send_the_same_idempotency_key(new_person: Callable[[], Person]) -> None:
    people = [new_person(), new_person()]
    uploads = [p.begin(key="the-same").json()["asset_id"] for p in people]
    assert len(set(uploads)) == 2
    jobs: list[dict[str, Any]] = [p.ask(p.song(), key="the-same").json() for p in people]
    assert len({job["job_id"] for job in jobs}) == 2
    for person, job in zip(people, jobs, strict=True):
        assert person.http.get(f"/v1/jobs/{job['job_id']}").status_code == 200

"""One POST to a stranger: what it may do to us, and what not."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.webhooks import AddressGuard, Answer, WebhookClient
from tests.infra.webhooks import receivers
from tests.infra.webhooks.receivers import LOOPBACK, Reply, Talk, receiving, talking

HERE = AddressGuard(LOOPBACK)
HEADERS = {"Content-Type": "application/json", "webhook-id": "msg_1"}


def post(url: str, seconds: float = 5.0, guard: AddressGuard = HERE) -> Answer:
    return WebhookClient(guard, seconds=seconds).post(url, HEADERS, b'{"a":1}')


def test_a_receiver_gets_what_is_sent() -> None:
    with receiving() as receiver:
        answer = post(receiver.url + "?token=x")
        (got,) = receiver.got
    assert (answer.status, answer.accepted, answer.excerpt) == (200, True, "thanks")
    assert (got.path, got.body) == ("/hook?token=x", b'{"a":1}')
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(status: int) -> None:
    with receiving() as target:
        reply = Reply(status, {"Location": target.url})
        with receiving(lambda _: reply) as receiver:
            answer = post(receiver.url)
        assert target.got == []
    assert (answer.status, answer.accepted) == (status, False)


@pytest.mark.parametrize("talk", [receivers.hang, receivers.trickle])
def test_time_is_up_however_the_other_side_plays_for_it(talk: Talk) -> None:
    with talking(talk) as port:
        begun = time.monotonic()
        answer = post(f"http://127.0.0.1:{port}/", seconds=0.6)
        took = time.monotonic() - begun
    assert (answer.status, answer.error) == (None, "timed_out")
    assert took < 3
    assert answer.milliseconds >= 500


def test_of_a_huge_answer_only_the_beginning_is_read() -> None:
    with talking(receivers.flood) as port:
        answer = post(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.excerpt) == (200, "f" * 1024)


@pytest.mark.parametrize(
    "talk", [receivers.gibberish, receivers.headers_without_end, receivers.breaks_off]
)
def test_what_is_no_http_is_a_failure(talk: Talk) -> None:
    with talking(talk) as port:
        answer = post(f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.error) == (None, "no_http_answer")


def test_what_an_answer_says_is_shown_without_control_characters() -> None:
    with receiving(lambda _: Reply(500, body=b"bad\x1b[31m\x00\xff\n")) as receiver:
        answer = post(receiver.url)
    assert answer.excerpt == "bad\ufffd[31m\ufffd\ufffd\n"


def test_nobody_listens() -> None:
    with socket.socket() as taken:  # bound, so that nobody else gets the port, and not listening
        taken.bind(("127.0.0.1", 0))
        assert post(f"http://127.0.0.1:{taken.getsockname()[1]}/").error == "not_connected"


def test_a_name_that_means_something_else_by_now_is_not_connected_to() -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    with receiving() as receiver:
        rebinding = AddressGuard((), lambda *_: answers.pop(0))
        url = f"https://rebind.example:{receiver.port}/"
        rebinding.check(url)  # as when the endpoint is added
        answer = post(url, guard=rebinding)
        assert receiver.got == []
    assert (answer.status, answer.error) == (None, "address_private_address")


def test_the_address_that_was_judged_is_the_one_that_is_connected_to() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    with receiving() as receiver:
        guard = AddressGuard(LOOPBACK, resolve)
        answer = post(f"http://once.example:{receiver.port}/", guard=guard)
        (got,) = receiver.got
    assert answer.accepted
    assert asked == ["once.example"]
    assert got.headers["host"] == f"once.example:{receiver.port}"


def test_a_name_server_that_hangs_costs_no_more_than_a_receiver_that_does() -> None:
    release = threading.Event()

    def resolve(*_: object) -> list[str]:
        release.wait(10)
        return ["127.0.0.1"]

    begun = time.monotonic()
    answer = post("http://slow.example/", 0.3, AddressGuard(LOOPBACK, resolve))
    release.set()
    assert answer.error == "timed_out"
    assert time.monotonic() - begun < 3


def certificate(directory: Path, name: str) -> Path:
    """A key and a certificate for that name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + made.public_bytes(serialization.Encoding.PEM)
    path = directory / "receiver.pem"
    path.write_bytes(pem)
    return path


def thanks(connection: socket.socket) -> None:
    """200, once all of the request is there: what is unread at the end resets the connection."""
    come = b""
    while not come.endswith(b"\r\n\r\n{}") and (more := connection.recv(65_536)):
        come += more
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_tls_is_verified_for_the_name_and_against_the_webs_certificates(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "hooks.example")
    guard = AddressGuard(LOOPBACK, lambda *_: ["127.0.0.1"])
    trusting = ssl.create_default_context(cafile=str(pem))
    with talking(thanks, tls=pem) as port:
        unknown = post(f"https://hooks.example:{port}/", guard=guard)
        client = WebhookClient(guard, trusting, 5.0)
        other_name = client.post(f"https://other.example:{port}/", HEADERS, b"{}")
        known = client.post(f"https://hooks.example:{port}/", HEADERS, b"{}")
    assert (unknown.status, unknown.error) == (None, "not_connected")
    assert (other_name.status, other_name.error) == (None, "not_connected")
    assert known.status == 200


def test_plain_http_where_tls_is_spoken_and_the_other_way_round() -> None:
    with receiving() as receiver:
        answer = post(f"https://127.0.0.1:{receiver.port}/")
    assert (answer.status, answer.error) == (None, "not_connected")

"""One answer is read as it is, or not at all; and never the rest of another."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from urllib3 import HTTPConnectionPool, Timeout

from infra.exchange import Exchange, Unheard, pool_of
from infra.straight import StraightClient

FOUND = b'{"Item": {"a": {"S": "b"}}}'


def told(body: bytes, *headers: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, *headers, b"Content-Length: %d" % len(body), b"", body])


def serve(connection: socket.socket, answers: Iterator[list[bytes] | None]) -> None:
    with closing(connection), suppress(ConnectionError):
        while connection.recv(65_536):
            pieces = next(answers, None)
            if pieces is None:
                return
            for piece in pieces:
                connection.sendall(piece)


@contextmanager
def answering(*answers: list[bytes] | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server's port. Each request is answered with those pieces; None closes the connection."""
    left = iter(answers)

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            threading.Thread(target=serve, args=(connection, left), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def exchange(port: int, seconds: float = 5) -> Exchange:
    return Exchange(HTTPConnectionPool("127.0.0.1", port, Timeout(connect=seconds, read=seconds)))


def test_answers_come_one_after_the_other_over_one_connection() -> None:
    whole, cut = told(b"first"), told(b"second" * 50_000, b"X-Amzn-RequestId:  ABC ")
    with answering([whole], [cut[:10], cut[10:60], cut[60:]], [told(b"")]) as port:
        asked = exchange(port)
        assert asked.post({"host": "x"}, b"{}").content == b"first"
        long = asked.post({}, b"{}")
        assert long.content == b"second" * 50_000
        assert long.headers == {"x-amzn-requestid": "ABC", "content-length": "300000"}
        assert asked.post({}, b"{}").content == b""
        assert asked._pool.num_connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [b"HTTP/1.1 200 OK\r\nContent-Le"],
        [told(b"cut")[:-1]],
        [told(b"x") + b"y"],
        [told(b"x", status=b"HTTP/1.0 200 OK")],
        [told(b"x", status=b"ICY 200 OK")],
        [b"HTTP/1.1 200 OK\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
        [told(b"1\r\nx\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")],
        [told(b"x", b"Content-Encoding: gzip")],
        [told(b"x", b"Content-Length: 2")],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000],
    ],
)
def test_what_is_strange_is_unheard_and_its_rest_is_nobodys(answer: list[bytes] | None) -> None:
    # Cut answers end by the server's going away, which here is its next answer.
    with answering(answer, [told(b"next")], [told(b"next")]) as port:
        asked = exchange(port, 0.5)
        with pytest.raises(Unheard):
            asked.post({}, b"{}")
        assert asked.post({}, b"{}").content == b"next"


def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    with answering([told(b"last", b"Connection: close")], [told(b"first")]) as port:
        asked = exchange(port)
        assert asked.post({}, b"{}").content == b"last"
        assert asked.post({}, b"{}").content == b"first"


def test_nobody_there_and_nobody_who_answers_are_unheard() -> None:
    with pytest.raises(Unheard):
        exchange(9).post({}, b"{}")
    with answering([]) as port, pytest.raises(Unheard):
        exchange(port, 0.1).post({}, b"{}")


# --- TLS and proxies are botocore's -----------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return path


def straight(url: str, **config: object) -> StraightClient:
    options = Config(retries={"mode": "standard", "total_max_attempts": 1}, **config)
    client = boto3.session.Session().client(
        "dynamodb", "us-east-1", endpoint_url=url, config=options
    )
    return StraightClient(client)


def test_only_who_is_believed_is_asked(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with answering([told(FOUND)], [told(FOUND)], context=context) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(SSLError):
            straight(url).get_item(TableName="t", Key={})
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        believed = straight(url)
        answer = believed._first_try("GetItem", {"TableName": "t"})
        assert answer == {"Item": {"a": {"S": "b"}}}


def test_behind_a_proxy_botocore_asks() -> None:
    proxied = straight("http://dynamodb.example", proxies={"http": "http://127.0.0.1:9"})
    assert pool_of(proxied._client) is None
    assert not proxied._usual

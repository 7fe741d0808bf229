"""Receivers of webhooks on this machine: honest ones, and such as break every rule of HTTP."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from msgspec import Struct
from standardwebhooks import Webhook

from infra.webhooks.networks import Network, networks

LOOPBACK: tuple[Network, ...] = networks("127.0.0.0/8,::1/128")


class Got(Struct, frozen=True):
    """One POST as it came in. headers: with small names."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        """Of Standard Webhooks."""
        return self.headers["webhook-id"]

    def verified_by(self, secret: str) -> bool:
        """Whether the specification's own library takes it."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except Exception:
            return False
        return True


class Reply(Struct, frozen=True):
    """How a receiver answers."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b"thanks"


class Receiver:
    """got: every POST in order. Answers with what ``reply`` gives for it."""

    def __init__(self, reply: Callable[[Got], Reply] = lambda _: Reply()) -> None:
        self.got: list[Got] = []
        self.reply = reply
        self._more = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got = Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                with receiver._more:
                    receiver.got.append(got)
                    receiver._more.notify_all()
                answer = receiver.reply(got)
                with suppress(OSError):
                    self.send_response(answer.status)
                    headers = {"Content-Length": str(len(answer.body))} | answer.headers
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, count: int, seconds: float = 20.0) -> list[Got]:
        """The first ``count`` POSTs, once they are there."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.got) >= count, seconds), self.got
            return self.got[:count]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(reply: Callable[[Got], Reply] = lambda _: Reply()) -> Iterator[Receiver]:
    """A receiver, until the block ends."""
    receiver = Receiver(reply)
    try:
        yield receiver
    finally:
        receiver.close()


Talk = Callable[[socket.socket], None]


@contextmanager
def talking(talk: Talk, tls: Path | None = None) -> Iterator[int]:
    """A server that does with each connection what it is told; its port on 127.0.0.1.

    tls: a PEM file with its key and certificate.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    context: ssl.SSLContext | None = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if context:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    talk(wrapped)
            else:
                talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def hang(connection: socket.socket) -> None:
    """Read, and never answer."""
    while connection.recv(65_536):
        pass


def trickle(connection: socket.socket) -> None:
    """An answer that never ends, a byte at a time."""
    connection.recv(65_536)
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    """200, and a body without end as fast as it goes."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"f" * 65_536 + b"\r\n")


def gibberish(connection: socket.socket) -> None:
    """Something that is not HTTP."""
    connection.recv(65_536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


def headers_without_end(connection: socket.socket) -> None:
    """More headers than anybody reads."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 60_000 + b"\r\n")


def breaks_off(connection: socket.socket) -> None:
    """204 would have come, but the line goes dead."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 2")

"""One POST to an address that a stranger chose, within hard limits of time and size.

The connection goes to an address that the guard has just judged, not to a name that is looked up
once more; TLS still verifies the name. Redirects are answers like any other, and proxies of the
environment are never asked (httpcore knows none).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

import certifi
import httpcore
from msgspec import Struct

from domain.errors import WebhookAddressRefused
from infra.webhooks.addresses import AddressGuard, Target, parse
from infra.webhooks.networks import Address

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
EXCERPT_BYTES = 1024
# Of a name with many addresses the first that answers will do.
_MOST_ADDRESSES = 4
# getaddrinfo cannot be interrupted, so what hangs in it hangs here and not in a sender.
_RESOLVERS = 32


class Answer(Struct, frozen=True):
    """What came of a POST. status: None without an answer; then error says why, for programs, and
    excerpt for people. excerpt: else the beginning of the body. retry_after: the header, if any.
    """

    milliseconds: int
    status: int | None = None
    error: str = ""
    excerpt: str = ""
    retry_after: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the receiver has taken the message: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


class WebhookClient:
    """Thread-safe. trust: the certificates that are believed; those of the web unless told."""

    def __init__(
        self,
        guard: AddressGuard,
        trust: ssl.SSLContext | None = None,
        seconds: float = TOTAL_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard
        self._trust = trust or ssl.create_default_context(cafile=certifi.where())
        self._seconds = seconds
        self._timer = timer
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolver")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it once; never raises for what the other side does or is."""
        began = self._timer()
        limit = _Limit(began + self._seconds, self._timer)
        try:
            target = parse(url)
            answer = self._exchange(target, headers, body, limit)
        except WebhookAddressRefused as error:
            answer = Answer(0, error=f"address_{error.extra['reason']}", excerpt=error.detail)
        except (httpcore.TimeoutException, _TimeIsUp):
            detail = f"There was no whole answer within {self._seconds:g} seconds."
            answer = Answer(0, error="timed_out", excerpt=detail)
        except httpcore.ConnectError as error:
            answer = Answer(0, error="not_connected", excerpt=_told(error))
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as e:
            answer = Answer(0, error="no_http_answer", excerpt=_told(e))
        took = round(1000 * (self._timer() - began))
        return Answer(took, answer.status, answer.error, answer.excerpt, answer.retry_after)

    def _exchange(
        self, target: Target, headers: Mapping[str, str], body: bytes, limit: _Limit
    ) -> Answer:
        origin = httpcore.Origin(target.scheme.encode(), target.host.encode(), target.port)
        url = httpcore.URL(
            scheme=origin.scheme, host=origin.host, port=origin.port, target=target.path.encode()
        )
        sent = [("Host", target.authority), ("Content-Length", str(len(body))), *headers.items()]
        request = httpcore.Request(
            "POST", url, headers=[(k.encode(), v.encode()) for k, v in sent], content=body
        )
        network = _GuardedNetwork(self._addresses, target, limit)
        connection = httpcore.HTTPConnection(
            origin, ssl_context=self._trust, network_backend=network
        )
        try:
            response = connection.handle_request(request)
            excerpt = _excerpt(response.iter_stream())
            return Answer(0, response.status, "", excerpt, _header(response, b"retry-after"))
        finally:
            connection.close()

    def _addresses(self, target: Target, seconds: float) -> list[Address]:
        asked = self._resolvers.submit(self._guard.addresses, target)
        try:
            return asked.result(seconds)
        except TookTooLong:
            asked.cancel()
            raise _TimeIsUp from None


class _TimeIsUp(Exception):
    """The whole exchange took longer than it may."""


class _Limit(Struct, frozen=True):
    """When everything must be over, by the timer."""

    deadline: float
    timer: Callable[[], float]

    def left(self, most: float | None = None) -> float:
        """Seconds that one step may take. Raises _TimeIsUp."""
        left = self.deadline - self.timer()
        if left <= 0:
            raise _TimeIsUp
        return left if most is None else min(left, most)


class _GuardedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that were judged a moment ago, whatever the name says next time."""

    def __init__(
        self, resolve: Callable[[Target, float], list[Address]], target: Target, limit: _Limit
    ) -> None:
        self._resolve = resolve
        self._target = target
        self._limit = limit
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the target's
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the limit's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """See NetworkBackend."""
        addresses = self._resolve(self._target, self._limit.left())[:_MOST_ADDRESSES]
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, self._limit.left(CONNECT_SECONDS), local_address,
                    socket_options or (),
                )  # fmt: skip
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _LimitedStream(stream, self._limit)
        assert failure is not None
        raise failure


class _LimitedStream(httpcore.NetworkStream):
    """No single byte that trickles in buys the other side more time."""

    def __init__(self, stream: httpcore.NetworkStream, limit: _Limit) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """See NetworkStream."""
        return self._stream.read(max_bytes, self._limit.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """See NetworkStream."""
        self._stream.write(buffer, self._limit.left())

    def close(self) -> None:
        """See NetworkStream."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """See NetworkStream."""
        stream = self._stream.start_tls(ssl_context, server_hostname, self._limit.left())
        return _LimitedStream(stream, self._limit)

    def get_extra_info(self, info: str) -> object:
        """See NetworkStream."""
        return self._stream.get_extra_info(info)


def _excerpt(chunks: Iterable[bytes]) -> str:
    """The beginning of a body. The status is what counts: a body may break off."""
    read = b""
    try:
        for chunk in chunks:
            read += chunk[:EXCERPT_BYTES]
            if len(read) >= EXCERPT_BYTES:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, _TimeIsUp):
        pass
    return _printable(read[:EXCERPT_BYTES].decode("utf-8", "replace"))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def _header(response: httpcore.Response, name: bytes) -> str:
    found = next((value for key, value in response.headers if key.lower() == name), b"")
    return found[:64].decode("latin-1")


def _told(error: Exception) -> str:
    return _printable(str(error))[:200] or type(error).__name__

"""One POST and its answer over a connection of botocore's own, with next to nothing around them.

Of a small request's CPU three quarters went to urllib3 and to http.client, which reads headers by
the parser of e-mail. Connections, their TLS and their pool are still urllib3's. Understood is what
every answer of DynamoDB is, and no more: a status, a length and so many bytes. Whatever else comes
ends the connection as ``Unheard``, and nobody knows then what became of the request.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from urllib3.exceptions import HTTPError

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_STRANGE = re.compile(rb"\r\n(?:transfer-encoding|content-encoding):", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_END = b"\r\n\r\n"
_MOST_HEAD, _READ = 32 * 1024, 64 * 1024


class Unheard(Exception):
    """No answer, or none that we understand."""


class Answer(Struct, frozen=True):
    """head: status and headers as they came."""

    status_code: int
    head: bytes
    content: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name in small letters."""
        lines = self.head.decode("latin-1").split("\r\n")[1:-1]
        pairs = (line.partition(":") for line in lines)
        return {name.lower(): value.strip() for name, _, value in pairs}


class Exchange:
    """pool: of urllib3, for one host, to which the requests go. Safe to share between threads."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def post(self, headers: dict[str, str], body: bytes) -> Answer:
        """Raises Unheard."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        try:
            # urllib3 has no public way to one of its connections. It gives none that was closed.
            connection = self._pool._get_conn()
        except HTTPError as error:
            raise Unheard from error
        try:
            self._open(connection)
            connection.sock.sendall(head.encode("latin-1") + body)
            answer = _read(connection.sock)
            if _CLOSE.search(answer.head):
                connection.close()
        except BaseException as error:
            # Nothing of this request may be taken for the answer to another.
            connection.close()
            if isinstance(error, OSError | HTTPError):
                raise Unheard from error
            raise
        finally:
            self._pool._put_conn(connection)
        return answer

    def _open(self, connection: Any) -> None:
        timeouts = self._pool.timeout
        if connection.sock is None:
            connection.timeout = timeouts.connect_timeout
            connection.connect()
        connection.sock.settimeout(timeouts.read_timeout)


def pool_of(client: Any) -> Any:
    """The connections of a low-level boto3 client to its endpoint; None where a proxy stands
    between.
    """
    # botocore has no public way to them.
    session, url = client._endpoint.http_session, client.meta.endpoint_url
    if session._proxy_config.proxy_url_for(url):
        return None
    pool = session._manager.connection_from_url(url)
    session._setup_ssl_cert(pool, url, session._verify)
    return pool


def _read(sock: Any) -> Answer:
    """Raises Unheard, OSError."""
    come = sock.recv(_READ)
    while (end := come.find(_END)) < 0:
        come += _more(sock, come, _MOST_HEAD)
    head = come[: end + 2]
    status, lengths = _STATUS.match(head), _LENGTH.findall(head)
    if status is None or len(lengths) != 1 or _STRANGE.search(head):
        raise Unheard
    whole = end + len(_END) + int(lengths[0])
    parts, have = [come], len(come)
    while have < whole:
        parts.append(_more(sock, parts[-1], whole))
        have += len(parts[-1])
    if have > whole:
        raise Unheard
    return Answer(int(status[1]), head, b"".join(parts)[end + len(_END) :])


def _more(sock: Any, come: bytes, most: int) -> bytes:
    if not come or len(come) > most:
        raise Unheard
    more: bytes = sock.recv(_READ)
    return more

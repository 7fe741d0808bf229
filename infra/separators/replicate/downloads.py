"""Fetching the provider's files: whole, within limits, and from nowhere inside.

The addresses come from outside, so each hop is checked before anything is sent: https only, and
only to hosts whose every address is a public one; the connection then goes to the address that
was checked, not to what the name means a moment later. With the API itself on this machine (tests)
plain http and local addresses are fine.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from threading import Event

import httpx

from domain.errors import StorageFull
from infra.separators.replicate import failures
from infra.separators.replicate.api import Token, origin
from infra.separators.replicate.base import local
from infra.separators.replicate.timing import Patience, Timing, Unreached, again, watched

_REDIRECTS = 5
_READ_SECONDS = 30.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_GONE = {403, 404, 410}

Resolve = Callable[[str, int], Iterable[str]]


class Gone(Exception):
    """The file is not there: not any more, or its signed address has expired."""


def resolve(host: str, port: int) -> list[str]:
    """The host's addresses. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Downloads:
    """base: of the API, the only origin that is shown the token."""

    def __init__(
        self,
        base: httpx.URL,
        token: Token,
        timing: Timing,
        patience: Patience,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        self._base, self._token, self._resolve = base, token, resolve
        self._timing, self._patience = timing, patience
        self._inside = local(base.host)
        self._http = httpx.Client(
            trust_env=False,
            verify=tls,
            follow_redirects=False,
            timeout=httpx.Timeout(min(_READ_SECONDS, patience.download), connect=10.0),
        )

    def fetch(self, address: str, target: Path, limit: int, cancelled: Callable[[], bool]) -> None:
        """Writes the file to ``target``. limit: bytes.

        An interrupted transfer goes on where it stopped, if the server can do that.
        Raises Gone; ModelError ``provider_failed``, ``provider_unavailable``; StorageFull;
        Cancelled.
        """
        stop = Event()
        until = self._timing.elapsed() + self._patience.download
        target.unlink(missing_ok=True)

        def attempt() -> None:
            answer = self._opened(address, target)
            mode = "ab" if answer.status_code == 206 else "wb"
            with closing(answer), target.open(mode) as file:
                for chunk in answer.iter_raw():
                    file.write(chunk)
                    if file.tell() > limit:
                        raise failures.unusable(f"a file of more than {limit // 1024**2} MB")
                    if stop.is_set() or self._timing.elapsed() > until:
                        raise Unreached("a transfer that takes too long")

        try:
            again(
                lambda: watched(lambda: _reached(attempt), cancelled),
                self._patience.download,
                self._timing,
                cancelled,
            )
        finally:
            stop.set()

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def _opened(self, address: str, target: Path) -> httpx.Response:
        """The answer that has the file, after redirects; its body is not read yet."""
        url = _parsed(address)
        have = target.stat().st_size if target.exists() else 0
        for _ in range(_REDIRECTS + 1):
            answer = self._http.send(self._request(url, have), stream=True)
            if not answer.has_redirect_location:
                break
            answer.close()
            url = url.join(_parsed(answer.headers["location"]))
        else:
            raise failures.unusable("its files' addresses lead in circles")
        status, part = answer.status_code, answer.headers.get("content-range", "")
        if status == 200 or (status == 206 and part.startswith(f"bytes {have}-")):
            return answer
        answer.close()
        if status in {206, 416}:  # what we have and what there is do not fit: from the start
            target.unlink(missing_ok=True)
            raise Unreached("another part of a file than was asked for")
        raise self._failure(answer)

    def _failure(self, answer: httpx.Response) -> Exception:
        if answer.status_code in _GONE:
            return Gone()
        failure = failures.failure(answer.status_code, answer.headers, b"", self._timing.now())
        if isinstance(failure, Unreached):
            return failure
        return failures.unusable(f"HTTP status {answer.status_code} for one of its files")

    def _request(self, url: httpx.URL, have: int) -> httpx.Request:
        self._check_scheme(url)
        host, port = url.raw_host.decode("ascii"), origin(url)[2] or 443
        headers = {"Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        if origin(url) == origin(self._base):
            headers |= self._token.header()
        return self._http.build_request(
            "GET",
            url.copy_with(host=self._checked(host, port)),
            headers=headers,
            extensions={"sni_hostname": host},
        )

    def _check_scheme(self, url: httpx.URL) -> None:
        schemes = {"https", "http"} if self._inside else {"https"}
        if url.scheme not in schemes or not url.host or url.userinfo:
            raise failures.unusable("one of its files has no https:// address")

    def _checked(self, host: str, port: int) -> str:
        """An address of the host that may be connected to."""
        try:
            found = list(self._resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise Unreached("no such host") from error
        if not found:
            raise Unreached("no such host")
        if not self._inside and not all(_public(address) for address in found):
            raise failures.unusable("one of its files has an address that is not public")
        return found[0]


def _reached(attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("The disk for songs in progress is full. Try again later.") from error
        raise
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise Unreached(f"{type(error).__name__} while fetching a file") from error


def _parsed(address: str) -> httpx.URL:
    try:
        return httpx.URL(address)
    except (httpx.InvalidURL, TypeError) as error:
        raise failures.unusable("one of its files has no address") from error


def _public(address: str) -> bool:
    """Neither private, loopback, link-local (a machine's metadata) nor reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast

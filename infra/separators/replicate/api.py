"""Replicate's HTTP API: predictions and files. Each call asks once.

The token goes to the API's own origin and nowhere else; redirects are not followed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import structlog
from msgspec import Struct

from domain.audio import Cancelled
from domain.errors import JobError
from infra.separators.replicate import failures
from infra.separators.replicate.timing import Patience, Timing, Unreached, again

ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})

_LARGEST = 16 * 1024**2  # bytes of one answer; logs can be long
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_log = structlog.get_logger(component="replicate")
T = TypeVar("T")


class Prediction(Struct, frozen=True):
    """What the API says of one; fields that models shape themselves are of any type.

    completed_at: RFC 3339. data_removed: input and output are deleted, an hour after the end.
    """

    id: str
    status: str
    input: Any = None
    output: Any = None
    error: Any = None
    logs: Any = None
    metrics: Any = None
    completed_at: str | None = None
    data_removed: bool | None = None

    @property
    def ended(self) -> bool:
        """Nothing more is computed, nor paid for."""
        return self.status in ENDED


class _Page(Struct):
    results: list[Prediction]


class _File(Struct):
    id: str
    urls: dict[str, str]


class Token:
    """The operator's secret; shown to nobody."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Token(...)"

    def header(self) -> dict[str, str]:
        """The header that authorises."""
        return {"Authorization": f"Bearer {self._value}"}


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a secret may be told to."""
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port or default


class Api:
    """One account at one base address. Safe to use from several threads."""

    def __init__(self, base: httpx.URL, token: Token, timing: Timing, patience: Patience) -> None:
        self._base, self._token = base, token
        self._timing, self._patience = timing, patience
        # No proxies or .netrc from the environment: the token goes where the setting says.
        self._http = httpx.Client(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(patience.request, connect=min(10.0, patience.request)),
        )

    def create(self, version: str, given: dict[str, Any], cancel_after: float) -> Prediction:
        """A new prediction. cancel_after: seconds after which Replicate ends it by itself."""
        body = {"version": version, "input": given}
        headers = {"Cancel-After": f"{int(cancel_after)}s"}
        return self._prediction("POST", "/v1/predictions", json=body, headers=headers)

    def get(self, id_: str) -> Prediction:
        """Its present state. Raises ModelError ``provider_refused`` when there is none."""
        return self._prediction("GET", f"/v1/predictions/{id_}")

    def recent(self) -> list[Prediction]:
        """The account's latest hundred, the latest first."""
        return self._decoded(self._send("GET", "/v1/predictions"), _Page).results

    def cancel(self, id_: str) -> Prediction:
        """Ends it, if it has not ended already. Only its own word that it does counts."""
        return self._prediction("POST", f"/v1/predictions/{id_}/cancel")

    @contextlib.contextmanager
    def uploaded(self, path: Path, cancelled: Callable[[], bool]) -> Iterator[str]:
        """A file in Replicate's own storage while the context is open: its URL for inputs."""
        file = again(
            lambda: self._upload(path, cancelled), self._patience.create, self._timing, cancelled
        )
        try:
            url = file.urls.get("get")
            if not url:
                raise failures.unusable("an uploaded file has no address")
            yield url
        finally:
            self._delete(file.id)

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def _upload(self, path: Path, cancelled: Callable[[], bool]) -> _File:
        kind = f"audio/{path.suffix[1:]}"  # .flac or .wav
        with _Stoppable(path, cancelled) as content:
            body = self._send("POST", "/v1/files", files={"content": (path.name, content, kind)})
        file = self._decoded(body, _File)
        _check_id(file.id)
        return file

    def _delete(self, id_: str) -> None:
        try:
            again(
                lambda: self._send("DELETE", f"/v1/files/{id_}"),
                self._patience.cancel,
                self._timing,
                lambda: False,
            )
        except JobError as error:  # it expires by itself after a day
            _log.warning("provider_file_left", file=id_, reason=str(error))

    def _prediction(self, method: str, path: str, **options: Any) -> Prediction:
        prediction = self._decoded(self._send(method, path, **options), Prediction)
        _check_id(prediction.id)
        return prediction

    def _decoded(self, body: bytes, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Unreached("an answer that is not of its API") from error

    def _send(self, method: str, path: str, **options: Any) -> bytes:
        """The body of a success. Raises Unreached or ModelError."""
        headers = {**self._token.header(), **options.pop("headers", {})}
        url = f"{self._base}{path}"
        try:
            with self._http.stream(method, url, headers=headers, **options) as answer:
                body = _limited(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreached("no connection", sent=False) from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise Unreached(f"{type(error).__name__}, no whole answer") from error
        if not answer.is_success:
            raise failures.failure(answer.status_code, answer.headers, body, self._timing.now())
        return body


def _limited(answer: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > _LARGEST:
            raise failures.unusable(f"more than {_LARGEST // 1024**2} MB of JSON")
    return bytes(body)


def _check_id(id_: str) -> None:
    """Ids become parts of paths, and the answer that brings them is not ours."""
    if not _ID.fullmatch(id_):
        raise failures.unusable("an id that is none")


class _Stoppable:
    """A file whose reading ends when the work is cancelled."""

    def __init__(self, path: Path, cancelled: Callable[[], bool]) -> None:
        self._file = path.open("rb")
        self._cancelled = cancelled

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)  # seek, tell and fileno, by which httpx sizes the body

    def read(self, size: int = -1) -> bytes:
        if self._cancelled():
            raise Cancelled
        return self._file.read(size)

"""Asking an identity provider: JSON out of HTTP, within a time and a size, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import httpx
import msgspec

from domain.errors import ProviderUnavailable

T = TypeVar("T")

SECONDS = 10.0
MOST_BYTES = 512 * 1024


class Refusal(msgspec.Struct, frozen=True):
    """What a provider says when it refuses (RFC 6749, section 5.2)."""

    error: str = ""


class Fetcher:
    """One provider's HTTP client. direct: it is on this machine, where no proxy belongs."""

    def __init__(self, name: str, *, direct: bool = False) -> None:
        self._name = name
        self._http = httpx.AsyncClient(
            timeout=SECONDS, trust_env=not direct, verify=not direct, follow_redirects=False,
            limits=httpx.Limits(max_connections=20),
        )  # fmt: skip

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def get(self, url: str, kind: type[T]) -> T:
        """What stands there. Raises ProviderUnavailable."""
        status, body = await self._send("GET", url)
        if status != httpx.codes.OK:
            raise self.unavailable(f"answered {status}")
        return self.read(body, kind)

    async def post(
        self, url: str, form: dict[str, str], auth: httpx.BasicAuth | None
    ) -> tuple[int, bytes]:
        """Status and body. Raises ProviderUnavailable."""
        return await self._send("POST", url, data=form, auth=auth)

    def read(self, body: bytes, kind: type[T]) -> T:
        """The body as what it should be. Raises ProviderUnavailable."""
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            raise self.unavailable("answered something that OpenID Connect does not know") from None

    def unavailable(self, what: str) -> ProviderUnavailable:
        """For the operator; clients are told less."""
        return ProviderUnavailable(f"The identity provider {self._name} {what}.")

    async def _send(self, method: str, url: str, **how: Any) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._http.stream(method, url, headers=headers, **how) as answer,
            ):
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise self.unavailable(f"sent more than {MOST_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # Without the cause: it may quote what was sent.
            raise self.unavailable(f"does not answer ({type(error).__name__})") from None
        return answer.status_code, bytes(body)

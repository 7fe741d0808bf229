"""Notice that EC2 is about to take a Spot instance back, and drain before it does.

Asks the instance metadata service (IMDSv2) every few seconds, as EC2's user guide tells: a token
by ``PUT /latest/api/token``, then ``GET /latest/meta-data/spot/instance-action``, which is 404
until about two minutes before the interruption and then ``{"action": "terminate", "time":
"2017-09-18T08:22:00Z"}``. A rebalance recommendation only says that the risk has grown; it is
logged. What the service does not answer is asked again: watching never ends a worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import httpx
import msgspec
from msgspec import Meta, Struct

POLL_SECONDS = 5.0
# Of the two minutes' notice, kept for handing work back and for the process to end.
RESERVE_SECONDS = 30.0
_TIMEOUT_SECONDS = 2.0
_TOKEN = "/latest/api/token"  # noqa: S105 - where one is had
_TOKEN_SECONDS = "21600"  # noqa: S105 - how long it lasts: six hours, the longest there is
_ACTION = "/latest/meta-data/spot/instance-action"
_REBALANCE = "/latest/meta-data/events/recommendations/rebalance"


class Notice(Struct, frozen=True):
    """What will happen to the instance (terminate, stop or hibernate), and when."""

    action: str
    time: Annotated[datetime, Meta(tz=True)]


class Spot:
    """url: of the metadata service. drain: told the seconds that running work may still take."""

    def __init__(
        self,
        url: str,
        drain: Callable[[float], Awaitable[None]],
        log: Any,
        poll: float | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._drain = drain
        self._log = log
        self._poll = POLL_SECONDS if poll is None else poll
        self._token = ""
        self._told = False

    async def watch(self) -> None:
        """Until a notice has come and the drain has ended, or until cancelled."""
        # It answers on the instance's own link; a proxy in the environment is not asked.
        async with httpx.AsyncClient(
            base_url=self._url, timeout=_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            while True:
                try:
                    left = await self._look(client)
                except (httpx.HTTPError, msgspec.MsgspecError) as error:
                    self._log.warning("instance metadata did not answer", error=repr(error))
                    left = None
                if left is not None:
                    break
                await asyncio.sleep(self._poll)
        await self._drain(max(0.0, left - RESERVE_SECONDS))

    async def _look(self, client: httpx.AsyncClient) -> float | None:
        """Seconds until the instance goes; None while nothing is known."""
        answer = await self._get(client, _ACTION)
        if answer is None:
            await self._look_at_rebalance(client)
            return None
        notice = msgspec.json.decode(answer.content, type=Notice)
        left = (notice.time - _now(answer)).total_seconds()
        self._log.warning("instance is taken back", action=notice.action, seconds=round(left))
        return left

    async def _look_at_rebalance(self, client: httpx.AsyncClient) -> None:
        if not self._told and await self._get(client, _REBALANCE) is not None:
            self._told = True
            self._log.info("instance may be taken back soon")

    async def _get(self, client: httpx.AsyncClient, path: str) -> httpx.Response | None:
        """None while there is nothing at that path."""
        answer = await client.get(path, headers=await self._credentials(client))
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            # The token has run out, or the instance was moved.
            self._token = ""
            answer = await client.get(path, headers=await self._credentials(client))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status()

    async def _credentials(self, client: httpx.AsyncClient) -> dict[str, str]:
        if not self._token:
            lasting = {"X-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}
            self._token = (await client.put(_TOKEN, headers=lasting)).raise_for_status().text
        return {"X-aws-ec2-metadata-token": self._token}


def _now(answer: httpx.Response) -> datetime:
    """By the clock of the metadata service, which is the one that the notice goes by."""
    try:
        return parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)

"""Keep ECS from stopping a task that is at work when it takes tasks away.

By the task scale-in protection endpoint of the ECS agent (AWS: "Task scale-in protection
endpoint"): ``PUT $ECS_AGENT_URI/task-protection/v1/state``. Protection ends by itself, so a worker
that hangs is not kept for ever; a deployment and Spot go by SIGTERM and drain as ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

LOOK_SECONDS = 1.0
EXPIRES_MINUTES = 30
RENEW_SECONDS = 600.0
_TIMEOUT_SECONDS = 5.0
_FAULT_SECONDS = 10.0


class Protection:
    """url: ``ECS_AGENT_URI``, which ECS puts into a task's environment. busy: whether it works."""

    def __init__(self, url: str, busy: Callable[[], bool], log: Any) -> None:
        self._url = f"{url.rstrip('/')}/task-protection/v1/state"
        self._busy, self._log = busy, log
        self._protected = False
        self._told_at = 0.0

    async def watch(self) -> None:
        """Until cancelled."""
        # The agent answers on the task's own link; a proxy in the environment is not asked.
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                told = await self._follow(client)
                await asyncio.sleep(LOOK_SECONDS if told else _FAULT_SECONDS)

    async def _follow(self, client: httpx.AsyncClient) -> bool:
        """Say what has changed; False when the agent did not take it."""
        busy, now = self._busy(), time.monotonic()
        if busy == self._protected and not (busy and now - self._told_at >= RENEW_SECONDS):
            return True
        body: dict[str, object] = {"ProtectionEnabled": busy}
        if busy:
            body["ExpiresInMinutes"] = EXPIRES_MINUTES
        try:
            (await client.put(self._url, json=body)).raise_for_status()
        except httpx.HTTPError as error:
            # Without it a song may be handed on, which loses time and nothing else.
            self._log.warning("protection not told", busy=busy, error=repr(error))
            return False
        self._protected, self._told_at = busy, now
        return True

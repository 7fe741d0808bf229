"""``/healthz``: the process lives. ``/readyz``: what it needs answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial

from litestar import get
from msgspec import Struct

from domain.errors import AccessDenied
from domain.user import USER
from handlers.api import log, storage
from handlers.api.openapi import problems
from handlers.api.problems import NotReady
from handlers.api.service import Api, Service
from handlers.operating.overview import ProjectorSilent, require_projector

TIMEOUT_SECONDS = 2.0


class Health(Struct, frozen=True):
    """status: ok."""

    status: str


@get(
    "/healthz",
    summary="Liveness",
    operation_id="getHealth",
    opt={"rate": None},
    response_description="Alive.",
    tags=["health"],
)
async def healthz() -> Health:
    """The process answers."""
    return Health("ok")


@get(
    "/readyz",
    responses=problems(NotReady),
    summary="Readiness",
    operation_id="getReadiness",
    opt={"rate": None},
    response_description="Everything answers.",
    tags=["health"],
)
async def readyz(service: Api) -> Health:
    """Event table, rows and bucket answer within two seconds, a pulse has come through the
    projector's queue lately, and the disks of journal and keys have room; else 503 names what
    fails, and why.
    """
    checks = _checks(service)
    results = await asyncio.gather(*(_answers(name, check) for name, check in checks.items()))
    failing = {name: why for name, why in zip(checks, results, strict=True) if why}
    if failing:
        told = ", ".join(f"{name} ({why})" for name, why in failing.items())
        raise NotReady(f"Not ready: {told}.", failing=list(failing))
    return Health("ok")


def _checks(service: Service) -> dict[str, Awaitable[None]]:
    application = service.application
    disks = storage.directories(application.settings)
    return {
        "events": service.check(lambda: application.store.load(USER, "user-ready")),
        "rows": service.check(lambda: application.reading.rows.head("ready@0", "ready")),
        "bucket": application.objects.check(),
        "projector": service.check(lambda: require_projector(application)),
        **{n: service.check(partial(storage.require_room, d)) for n, d in disks.items()},
    }


async def _answers(name: str, check: Awaitable[None]) -> str | None:
    """None, or why not."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await check
    except Exception as error:
        log.warning("not ready", part=name, error=repr(error))
        told = isinstance(error, storage.NotWritable | AccessDenied | ProjectorSilent)
        return str(error) if told else "no answer"
    return None

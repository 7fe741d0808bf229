"""What route handlers call: commands and queries, run in threads, and the media bucket."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec.structs import replace

from commands import Position, execute
from commands.dispatch import Command
from commands.users import person_of
from domain.commit import Commit, Meta
from domain.errors import SplitSoundError
from domain.ids import derived
from domain.user import UserState, present
from handlers.api import log
from handlers.api.acknowledged import Acknowledged
from handlers.api.auth.origins import Origins
from handlers.api.keys.ring import KeyRing
from handlers.api.paging import Cursors
from handlers.api.traffic import Traffic
from handlers.api.waiting import Waiting
from handlers.operating.metrics import Scrapes
from infra import tracing
from infra.bootstrap import Application
from infra.objects import Objects
from infra.operations.key_uses import KeyUses
from infra.rates import Rates, policies
from projections.catch_up import catch_up
from projections.doorbell import Doorbell, ring
from projections.heads import Heads
from projections.projection import Projection, View
from projections.query import Slice, Versioned, live, own, owned

P = ParamSpec("P")
T = TypeVar("T")

# More purchases than that at once only wait for Stripe, not for each other.
PAYING_THREADS = 8
# As many as the AWS clients keep connections; more would only wait in line for one.
THREADS = 32
SHARE_SECONDS, SHARE_FAULT_SECONDS = 1.0, 10.0
_PARTS = (
    "context", "reading", "operations", "parked", "pulses", "speeds", "sqs", "identity", "objects",
    "packs", "payments", "deliveries", "turns", "webhook_guard", "personal",
    "sessions", "pending_logins", "answers",
)  # fmt: skip


class Service:
    """The application as route handlers see it."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.acknowledged = Acknowledged()
        self.origins = Origins(application.settings)
        self.listeners: list[Callable[[str, int, str], None]] = []
        """Called in the event loop with stream, version and actor of what was committed here."""
        self.traffic = Traffic()
        self._heads = Heads()
        self.policies = policies(application.settings.rate_limits)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="api")
        # Apart, so that a Stripe that hangs holds up nobody but buyers.
        self._paying = ThreadPoolExecutor(PAYING_THREADS, thread_name_prefix="paying")
        # Apart, because looking a name up cannot be interrupted.
        self._judging = ThreadPoolExecutor(8, thread_name_prefix="judging")
        # Apart, so that checks of a silent service cannot use up the threads of requests.
        self._checks = ThreadPoolExecutor(4, thread_name_prefix="ready")

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Make every part before the first request, open the bucket; close both at the end."""
        await self.run(self._prepare)
        sharing = asyncio.create_task(self._share_rates())
        async with self.application.objects:
            yield
        for provider in self.application.openid.values():
            await provider.close()
        sharing.cancel()
        self._checks.shutdown(wait=False, cancel_futures=True)
        self._judging.shutdown(wait=False, cancel_futures=True)
        self._paying.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _share_rates(self) -> None:
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.run(self.rates.share)
            except SplitSoundError as error:
                log.warning("requests counted in this process alone", error=error.detail)
                await asyncio.sleep(SHARE_FAULT_SECONDS)

    def _prepare(self) -> None:
        application = self.application
        # Made once and in one thread: neither boto3 sessions nor cached properties are
        # safe to make in several.
        self.cursors = Cursors(application.keys)
        for part in _PARTS:
            getattr(application, part)
        secret = application.keys.get_or_make("rates.key", lambda: os.urandom(32))
        self.rates = Rates(application.operational_table, application.clock, secret)
        self.key_uses = KeyUses(application.operational_table)
        self.key_ring = KeyRing(
            partial(person_of, application.context), self.key_uses, application.clock
        )
        self.scrapes = Scrapes(application)
        self.waiting = Waiting(application)
        if not application.openid:
            log.warning("nobody can sign in: SPLITSOUND_OIDC_PROVIDERS names no provider")

    @property
    def objects(self) -> Objects:
        """The media bucket."""
        return self.application.objects

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Blocking work in a thread."""
        return await self._in(self._pool, partial(work, *args, **kwargs))

    async def pay(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Work that waits for Stripe, in a thread of its own kind."""
        return await self._in(self._paying, partial(work, *args, **kwargs))

    async def check(self, work: Callable[[], object]) -> None:
        """A readiness check in a thread of its own kind."""
        await self._in(self._checks, work)

    async def judge(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """A look at where a URL leads, in a thread of its own kind."""
        return await self._in(self._judging, partial(work, *args, **kwargs))

    def person(self, user_id: str) -> UserState:
        """Somebody as they are at this moment. Raises AccountErased, NotFound."""
        return present(person_of(self.application.context, user_id).state)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(pool, context.run, work)

    async def execute(self, command: Command, meta: Meta) -> Position:
        """Run a command; where it left its own stream."""
        return await self.execute_and(command, meta, lambda left: left)

    async def execute_and(self, command: Command, meta: Meta, then: Callable[[Position], T]) -> T:
        """Run a command, and what follows of where it left its own stream, in the same thread: to
        get into one and out again costs as much as a small request to a table.
        """
        written: list[Position] = []

        def work() -> T:
            written.extend(execute(self.application.context, command, meta))
            return then(written[0])

        with tracing.stage(f"command {type(command).__name__}") as stage:
            meta = replace(meta, trace=stage.trace)
            try:
                return await self.run(work)
            finally:
                self._tell(written, meta.actor)

    def _tell(self, written: Sequence[Position], actor: str) -> None:
        for position in written:
            self.acknowledged.note(position.stream, position.version)
            for listener in self.listeners:
                listener(position.stream, position.version, actor)

    async def own(
        self, projection: Projection[View], stream: str, owner: str, min_version: int
    ) -> Versioned[View]:
        """The owner's view, at ``min_version`` and at whatever this process told of it, or later.

        Raises NotFound, or Invalid when the stream has not reached ``min_version``.
        """
        least = self.acknowledged.least(stream, min_version)
        found = await self.run(own, projection, stream, owner, self.application.reading, least)
        self.acknowledged.note(stream, found.version)
        return found

    def project(
        self, projection: Projection[View], stream: str, commit: Commit | None = None
    ) -> None:
        """Catch a row up behind the answer's back.

        The sweeper finds waiting work by its row, so the row must not depend on the message
        whose loss the sweeper is there to heal. commit: what was written just now, which need
        not be read again.
        """
        self._pool.submit(self._project, projection, stream, [ring(commit)] if commit else [])

    def _project(
        self, projection: Projection[View], stream: str, bells: Sequence[Doorbell]
    ) -> None:
        try:
            catch_up(projection, stream, self.application.reading, bells, heads=self._heads)
        except SplitSoundError as error:
            log.warning("row not caught up", stream=stream, error=error.detail)

    def page(
        self, projection: Projection[View], owner: str, limit: int, cursor: str | None
    ) -> Slice[View]:
        """A page of the owner's views, with a cursor that only continues this very list."""
        reading = self.application.reading
        generation = live(projection, reading)
        scope = f"{generation}|{owner}"
        start = self.cursors.take(scope, cursor)
        found = owned(projection, generation, owner, reading, limit, start)
        return Slice(found.items, self.cursors.give(scope, found.cursor))

    def identified(self, prefix: str, user_id: str, kind: str, key: str | None) -> str:
        """The id that this Idempotency-Key always gives this user, or a fresh one."""
        if key is None:
            return self.application.ids.fresh(prefix)
        return derived(prefix, user_id, kind, key)

    def meta(self, user_id: str, request_id: str, route: str, key: str | None) -> Meta:
        """Who acts and why, for the events. The same key on the same route is the same command."""
        return Meta(
            self.identified("cmd", user_id, route, key), user_id, request_id,
            trace=tracing.current(),
        )  # fmt: skip


Api = NamedDependency[SkipValidation[Service]]
"""A route handler's ``service`` parameter."""

"""The whole local stack as one thing to start and stop; ``up``, ``demo`` and tests use it.

Start: lock the data directory, start the emulator, provision it from ``template.yaml``, give
back to it what the journal knows and it lost, bring all rows up to date, start the
components, wait until the API is ready. Stop: the reverse. Nothing that was acknowledged is
lost by ``kill``, which is what ``kill -9`` of every process does.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from domain import packs
from infra.bootstrap import Application
from infra.event_store import replay
from infra.identity import providers
from infra.local.access import CloudAccess
from infra.local.emulator import Emulator
from infra.local.errors import DiskFull, LocalStackError, PortInUse
from infra.local.lock import DataLock
from infra.local.ports import HOST, free_port, is_ready
from infra.local.process import last_error
from infra.local.provision import Resources, provision
from infra.local.signals import StopSignals
from infra.local.stand_ins import StandIns
from infra.local.supervisor import Component, Ended, Supervisor, to_stderr
from infra.payments.configuration import configured
from infra.settings import ADMIN_EMAILS, Settings, from_environment, to_environment
from projections.leveling import level

ENVIRONMENT = "environment.json"
"""In the data directory while the stack runs: the variables that operator commands need."""

# On a laptop Ctrl-C should not wait for a song: the job goes on after the next start.
_DRAIN_SECONDS = 5
# A component hears of SIGTERM when its long poll ends.
_POLL_SECONDS = 1
# Nothing is far away here, so a worker that died is replaced soon.
_VISIBILITY_SECONDS = 20
_STALE_SECONDS = 10
# Its worker hears of a cancelled job within two seconds.
_SETTLE_SECONDS = 5
_READY_SECONDS = 60.0
# The one port for metrics is the worker's.
_OWN = {"deliverer": {"SPLITSOUND_METRICS_PORT": "0"}}
# As long as a receiver of webhooks may take to answer.
_POST_SECONDS = 15.0
# A page under development on this machine, and none of the web's.
_ALLOWED_ORIGINS = "http://localhost:*,http://127.0.0.1:*"

MIN_FREE_BYTES = 500_000_000
"""With less disk than this no stack starts: a song or a save would soon fail half-way."""

Step = Callable[[str], None]


class LocalStack:
    """One stack on ``data``. port: the API's, None for a free one.

    settings: ``SPLITSOUND_*`` variables that differ from the defaults, without the prefix.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
        report: Callable[[str], None] = to_stderr,
    ) -> None:
        self.data = data.resolve()
        self.logs = self.data / "logs"
        self.environment: dict[str, str] = {}
        self.api_url = ""
        self.stand_ins = StandIns(self.data)
        self.emulator = Emulator(self.data, report=report)
        self.supervisor = Supervisor([], self.logs, report)
        self._lock = DataLock(self.data)
        self._holding = False
        self._port = port
        self._storage_port: int | None = None
        self._workers = workers
        self._settings = dict(settings or {})
        self._report = report

    @property
    def storage_url(self) -> str:
        """Where S3 and the rest of the emulated cloud answer."""
        return self.emulator.access.endpoint

    @property
    def journal(self) -> Path:
        """The directory of the journal: together with ``keys`` it is all that must be kept."""
        return self.data / "journal"

    def start(self, step: Step = lambda _: None) -> None:
        """Bring everything up; ``step`` hears what is being done.

        Raises LocalStackError; then, as on any other exception, nothing is left running.
        """
        # Outside the try: whoever holds the directory must not be disturbed.
        self._lock.acquire()
        self._holding = True
        try:
            self._start(step)
        except BaseException:
            self.stop(hurry=lambda: True)
            raise

    def _start(self, step: Step) -> None:
        port = free_port(self._port)
        check_space(self.data)
        step("starting the embedded cloud")
        access = self._cloud()
        step("creating tables, queues, bus and bucket")
        cloud = access.environment()
        tuning = self._tuning(cloud)
        origins = {"AllowedOrigins": tuning["SPLITSOUND_ALLOWED_ORIGINS"]}
        self.api_url = f"http://{HOST}:{port}"
        tuning.setdefault("SPLITSOUND_PUBLIC_URL", self.api_url)
        self.stand_ins.choose(tuning)
        self.environment = self._variables(cloud, tuning, provision(access, origins), port)
        self._recover(step)
        step("starting the components")
        self.supervisor = Supervisor(self._components(), self.logs, self._report)
        self.supervisor.start()
        step("waiting for the API")
        self._await_ready(port)
        self._publish()

    def _cloud(self) -> CloudAccess:
        """The emulator; after a restart where it was, so that URLs in use stay good."""
        if self._storage_port is not None:
            self.emulator = Emulator(self.data, self._storage_port, report=self._report)
            with suppress(PortInUse):
                return self.emulator.start()
            self.emulator = Emulator(self.data, report=self._report)
        access = self.emulator.start()
        self._storage_port = urlsplit(access.endpoint).port
        return access

    def _tuning(self, cloud: Mapping[str, str]) -> dict[str, str]:
        tuned = {
            name: value
            for name, value in cloud.items()
            if name.startswith("SPLITSOUND_") or name == ADMIN_EMAILS
        }
        defaults = {
            "SPLITSOUND_DRAIN_SECONDS": str(_DRAIN_SECONDS),
            "SPLITSOUND_POLL_SECONDS": str(_POLL_SECONDS),
            "SPLITSOUND_VISIBILITY_SECONDS": str(_VISIBILITY_SECONDS),
            "SPLITSOUND_STALE_SECONDS": str(_STALE_SECONDS),
            "SPLITSOUND_ERASURE_SETTLE_SECONDS": str(_SETTLE_SECONDS),
            "SPLITSOUND_ALLOWED_ORIGINS": _ALLOWED_ORIGINS,
        }
        asked = {f"SPLITSOUND_{name.upper()}": value for name, value in self._settings.items()}
        return defaults | tuned | asked

    def _variables(
        self,
        cloud: Mapping[str, str],
        tuning: Mapping[str, str],
        resources: Resources,
        port: int,
    ) -> dict[str, str]:
        # SPLITSOUND_* of the shell may tune the stack, but never name another stack's parts.
        parts = msgspec.structs.asdict(resources) | {
            "keys": self.data / "keys",
            "journal": self.journal,
            "work_directory": self.data / "work",
        }
        named = {f"SPLITSOUND_{name.upper()}": str(value) for name, value in parts.items()}
        settings: Settings = from_environment({**tuning, **named})
        # Better said once here than by an API that is started again and again.
        configured(settings)
        providers.configured(settings)
        packs.parse(settings.credit_packs)
        own = {"SPLITSOUND_API_HOST": HOST, "SPLITSOUND_API_PORT": str(port)}
        return {**cloud, **to_environment(settings), **own}

    def _recover(self, step: Step) -> None:
        """Give the emulator what the journal has and it lost, then bring every row up to date."""
        with adopted(self.environment):
            # Past the journal: what it says itself need not be journaled again.
            settings = msgspec.structs.replace(from_environment(), journal=None)
            application = Application(settings, "up")
            step("reading the journal")
            replay.merge(self.journal)
            restored = replay.restore(self.journal, application.store)
            if restored.written:
                commits = "1 commit" if restored.written == 1 else f"{restored.written} commits"
                self._report(f"Restored {commits} from the journal.")
            step("bringing the read models up to date")
            swept = level(application.operating, application.clock.now)
            for stuck in swept.stuck:
                application.parked.park_stuck(stuck, application.clock.now())
                self._report(f"{stuck.error} See `splitsound dead-letters`.")

    def _components(self) -> list[Component]:
        workers = [f"worker-{n}" for n in range(1, self._workers + 1)]
        names = {"relay": "relay", "projector": "projector", "sweeper": "sweeper"}
        names |= {"janitor": "janitor", "deliverer": "deliverer"}
        names |= dict.fromkeys(workers, "worker") | {"api": "api"}
        drain = float(self.environment["SPLITSOUND_DRAIN_SECONDS"])
        grace = {"worker": drain + 10.0, "deliverer": _POST_SECONDS + 5.0}
        return self.stand_ins.components(self.environment, self.api_url) + [
            Component(
                name,
                # -P: a file of the current directory must not stand in for a module of ours.
                [sys.executable, "-P", "-m", f"handlers.{package}"],
                self.environment | {"PYTHONUNBUFFERED": "1"} | _OWN.get(package, {}),
                grace.get(package, 10.0),
            )
            for name, package in names.items()
        ]

    def _await_ready(self, port: int) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while late := self._not_ready(port):
            self.supervisor.tend()
            if not self.emulator.running():
                raise LocalStackError(f"The emulator ended; see {self.emulator.log}.")
            if time.monotonic() > deadline:
                log = self.logs / f"{late}.log"
                raise LocalStackError(
                    f"The stack is not ready after {_READY_SECONDS:g} s; see {log}"
                    f"{f': {error}' if (error := last_error(log)) else '.'}"
                )
            time.sleep(0.05)

    def _not_ready(self, port: int) -> str:
        """The name of a component that does not answer yet, if there is one."""
        return self.stand_ins.late() if is_ready(port) else "api"

    def _publish(self) -> None:
        shared = {
            name: value
            for name, value in self.environment.items()
            if name.startswith(("AWS_", "SPLITSOUND_"))
        }
        draft = self.data / (ENVIRONMENT + ".tmp")
        # It holds the emulator's keys.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(shared)))
        draft.replace(self.data / ENVIRONMENT)
        urls = {"api": self.api_url, "storage": self.storage_url}
        self._lock.publish(urls | self.stand_ins.urls)

    def run(self, signals: StopSignals) -> Ended:
        """Keep everything running until a signal comes or the emulator ends."""
        return self.supervisor.run(signals, self.emulator.running)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop everything in order and give the data directory back; harmless when stopped."""
        if not self._holding:
            return
        self.supervisor.stop(hurry)
        self.emulator.stop(hurry=hurry)
        (self.data / ENVIRONMENT).unlink(missing_ok=True)
        self._lock.release()
        self._holding = False

    def kill(self) -> None:
        """SIGKILL every process at once, as a power cut would; the directory is free again."""
        pids = [*self.supervisor.pids.values(), self.emulator.pid]
        for pid in filter(None, pids):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.stop(hurry=lambda: True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def check_space(data: Path) -> None:
    """Raises DiskFull when less than MIN_FREE_BYTES is free for ``data``."""
    free = shutil.disk_usage(data).free
    if free < MIN_FREE_BYTES:
        raise DiskFull(
            f"Only {free // 1_000_000} MB are free under {data}; free at least "
            f"{MIN_FREE_BYTES // 1_000_000} MB, or use another disk."
        )


@contextmanager
def adopted(environment: Mapping[str, str]) -> Iterator[None]:
    """Let this process's AWS and settings variables be those of a stack, for a while.

    boto3 and pynamodb read credentials from the environment and from nowhere else of ours.
    """
    before = dict(os.environ)
    adopt(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def adopt(environment: Mapping[str, str]) -> None:
    """The same for good, in a process that serves one stack only."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "SPLITSOUND_"))]:
        del os.environ[name]
    os.environ.update(environment)


def environment_of(data: Path) -> dict[str, Any]:
    """The variables of the stack that runs on ``data``; empty when none is known."""
    try:
        return msgspec.json.decode((data / ENVIRONMENT).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}

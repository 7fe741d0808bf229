"""Our API and its peer as child processes, one uvicorn each, with the same callers.

Ours runs as on AWS: without the local stack's journal, against the emulator.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from commands import CompleteUpload, InitializeUpload, RecordProbe, SignUp, execute
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import Meta
from handlers.bench import postgres
from handlers.bench.api_load import Caller, wish
from infra.bootstrap import Application
from infra.local.emulator import Emulator
from infra.local.ports import HOST, free_port, is_ready
from infra.local.process import last_lines, spawn, terminate
from infra.local.provision import provision
from infra.local.stack import adopted
from infra.settings import Settings, to_environment

GRANT = 1_000_000
_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0


class Served(Struct, frozen=True):
    """A server that answers, and its process."""

    url: str
    pid: int


@contextmanager
def ours(place: Path) -> Iterator[tuple[Served, Application]]:
    """Our API on an emulator of its own; the application behind it, in this process too."""
    with Emulator(place) as emulator:
        names = msgspec.structs.asdict(provision(emulator.access, {"Stage": "bench"}))
        del names["events_stream_arn"]
        settings = Settings(
            **names,
            keys=place / "keys",
            signup_grant=GRANT,
            access_token_seconds=900,
            rate_limits="reads=1000000/60,writes=1000000/60",
        )
        environment = emulator.access.environment() | to_environment(settings)
        with adopted(environment):
            application = Application(settings, "bench")
            port = free_port(None)
            argv = [sys.executable, "-P", "-m", "handlers.api", HOST, str(port)]
            with _child(argv, environment, place / "api.log", port) as served:
                yield served, application


@contextmanager
def peer(place: Path, database: str, application: Application) -> Iterator[Served]:
    """FastAPI on that database; it takes the same tokens."""
    public = place / "public.pem"
    key = application.identity.signing_keys.signing().private.public_key()
    public.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    settings, port = application.settings, free_port(None)
    argv = [
        sys.executable, "-m", "tests.bench.peer", str(port), database, str(public),
        settings.issuer, settings.audience,
    ]  # fmt: skip
    with _child(argv, dict(os.environ), place / "peer.log", port) as served:
        yield served


@contextmanager
def beside(place: Path, application: Application) -> Iterator[Served | None]:
    """The peer, on a PostgreSQL of its own; None where there is none."""
    programs = postgres.installed()
    if programs is None:
        yield None
        return
    with postgres.running(programs) as database, peer(place, database, application) as served:
        yield served


def callers(application: Application, count: int) -> list[Caller]:
    """People with an account and a song of four minutes, ready to be separated."""
    return [_caller(application) for _ in range(count)]


def _caller(application: Application) -> Caller:
    ids = application.ids
    user, asset = ids.fresh("usr"), ids.fresh("ast")
    key, length = f"user_{user}/originals/{asset}/original", 44_100 * 240
    commands: Sequence[Command] = (
        SignUp(user, "development", "bench@example.com"),
        InitializeUpload(user, asset, "A song.mp3", "audio/mpeg", 9**7, 8 << 20, key, "x" * 120),
        CompleteUpload(user, asset, 9**7, '"etag"'),
        RecordProbe(asset, Audio(length, 44_100, 2), "mp3", "mp3", os.urandom(32).hex()),
    )
    for command in commands:
        execute(application.context, command, Meta(ids.fresh("cmd"), user))
    return Caller(application.identity.issue(user), wish(asset))


@contextmanager
def _child(
    argv: Sequence[str], environment: Mapping[str, str], log: Path, port: int
) -> Iterator[Served]:
    env = {"PATH": os.defpath, "PYTHONPATH": str(_ROOT), **environment}
    process = spawn(argv, env, log)
    try:
        _await(process, port, log)
        yield Served(f"http://{HOST}:{port}", process.pid)
    finally:
        terminate(process, 10.0)


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready(port, "/healthz"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{log.stem} did not start: {last_lines(log)}")
        time.sleep(0.05)

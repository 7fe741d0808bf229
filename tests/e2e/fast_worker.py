"""Real workers forked from one warm process, so that hundreds can be killed in minutes.

    python -m tests.e2e.fast_worker DIRECTORY [real]

Each line on stdin is a command and is answered by a line: ``fork`` by the pid of a new worker,
``poll PID`` by its exit status, or by ``alive``. At the end of stdin all of them are killed.
DIRECTORY/<pid> says at any moment what that worker is at, see ``Trace``.

Everything in such a worker is the real one but the network, unless ``real`` is said: plain
arithmetic instead, in chunks, slow enough to be hit. It imports no torch.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import numpy as np

from commands import CompleteSeparation, RecordStage, StartSeparation, StoreStem
from commands.dispatch import Command
from handlers.worker.__main__ import main
from handlers.worker.consuming import Consumer
from handlers.worker.heartbeat import Heartbeat
from handlers.worker.making import Making
from handlers.worker.separation import Separation
from infra import transfers
from infra.bootstrap import Application
from infra.separators import Request, Separators, Source
from infra.separators.spleeter import SPLEETER_2STEMS
from infra.separators.streaming import Block, Streamed
from projections.doorbell import parse

CHUNK_SECONDS = 0.12  # of sleep for each block of 65,536 samples
LOUDER = 1.25  # so that a loud song's stems need a gain
WIDTH = 120


class Arithmetic:
    """A core whose vocals are the song with its channels exchanged, a little louder."""

    def start(self, _: Request, __: Callable[[], bool]) -> Arithmetic:
        return self

    def push(self, mix: Block) -> Block:
        time.sleep(CHUNK_SECONDS * mix.shape[1] / 65_536)
        return np.float32(LOUDER) * mix[None, ::-1]

    def finish(self) -> Block:
        return np.zeros((1, 2, 0), np.float32)


class Trace:
    """``<job> <attempt> <point>`` in a file that outlives the worker.

    Points are ``starting``, ``idle``, the stages, and what lies between them: ``claiming``,
    ``recording`` (a stage), ``storing`` (a stem), ``bundling``, ``completing`` and ``completed``.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        self.note("-", 0, "starting")

    def note(self, job: str, attempt: int, point: str) -> None:
        os.pwrite(self._file, f"{job} {attempt} {point}".ljust(WIDTH).encode(), 0)


BEFORE: dict[type, str] = {
    StartSeparation: "claiming", RecordStage: "recording", StoreStem: "storing",
    CompleteSeparation: "completing",
}  # fmt: skip


def follow(trace: Trace) -> None:
    """Note every step of this process's worker."""
    handle, execute = Separation.handle, Separation._execute
    enter, bundle, consume = Heartbeat.enter, Making._bundle, Consumer.run

    async def noted_consume(self: Consumer) -> None:
        trace.note("-", 0, "idle")
        await consume(self)

    async def noted_handle(self: Separation, message: Any) -> bool:
        trace.note(parse(message.body).identity, 0, "claiming")
        try:
            return await handle(self, message)
        finally:
            trace.note("-", 0, "idle")

    async def noted_execute(self: Separation, command: Command) -> None:
        heart, point = self._running, BEFORE.get(type(command))
        if heart and point:
            trace.note(heart.job_id, heart.attempt, point)
        await execute(self, command)
        if heart and point:
            after = "completed" if point == "completing" else heart.stage
            trace.note(heart.job_id, heart.attempt, after)

    def noted_enter(self: Heartbeat, stage: str) -> None:
        enter(self, stage)
        trace.note(self.job_id, self.attempt, stage)

    async def noted_bundle(self: Making, *given: Any) -> Any:
        trace.note(self._heart.job_id, self._heart.attempt, "bundling")
        return await bundle(self, *given)

    for owner, name, noted in (
        (Separation, "handle", noted_handle), (Separation, "_execute", noted_execute),
        (Heartbeat, "enter", noted_enter), (Making, "_bundle", noted_bundle),
        (Consumer, "run", noted_consume),
    ):  # fmt: skip
        setattr(owner, name, noted)


def offer_arithmetic() -> None:
    """Let the default model be ``Arithmetic``."""
    sources = [Source(SPLEETER_2STEMS, lambda: Streamed(SPLEETER_2STEMS, Arithmetic()))]
    Application.separators = property(lambda _: Separators(sources))  # type: ignore[assignment]


def warm_up() -> None:
    """Read what clients need from files once: it is most of what a worker's start costs.

    Clients made here open no connection and start no thread.
    """
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    for service in ("s3", "sqs", "dynamodb"):
        boto3.session.Session(region_name="us-east-1").client(service)
    gc.collect()
    gc.freeze()


def fork(directory: Path) -> int:
    """A worker; its pid. Does not return in the worker itself."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        follow(Trace(directory / str(os.getpid())))
        asyncio.run(main())
    finally:
        os._exit(code)


def poll(pid: int) -> str:
    """The exit status, negative for a signal; ``alive`` while there is none."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return str(os.waitstatus_to_exitcode(status)) if found else "alive"


def serve(directory: Path) -> None:
    """Answer commands until there are no more."""
    living: set[int] = set()
    for line in sys.stdin:
        command, *words = line.split()
        if command == "fork":
            pid = fork(directory)
            living.add(pid)
            answer = str(pid)
        else:
            answer = poll(int(words[0]))
            if answer != "alive":
                living.discard(int(words[0]))
        print(answer, flush=True)  # noqa: T201 - the answer
    for pid in living:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    transfers.PART_BYTES = 1 << 17  # the emulator takes such parts, so small files have several
    if "real" in sys.argv[2:]:
        importlib.import_module("infra.separators.masking")  # torch, without a thread of its own
    else:
        offer_arithmetic()
    warm_up()
    serve(Path(sys.argv[1]))

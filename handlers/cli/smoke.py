"""`splitsound smoke`: does a deployed stage work, seen from outside?"""

from __future__ import annotations

import math
import os
import struct
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path

import click

from handlers.cli.outcome import FAILED
from handlers.client import downloads, uploads
from handlers.client.bodies import JobWish
from handlers.client.client import Client
from handlers.client.credentials import ApiKey

API_KEY = "SPLITSOUND_API_KEY"
SECONDS, RATE = 3, 44_100
_PATIENCE = 900.0
_POLL_SECONDS = 2.0


class Broken(Exception):
    """A step did not give what it should."""


@click.command("smoke")
@click.argument("url")
def command(url: str) -> int:
    """Try the API at URL from outside: its health, what it offers, and a song of three seconds.

    The song needs an API key in SPLITSOUND_API_KEY with the scopes read and write, and costs three
    credits of its owner; without one only what is public is tried.
    """
    key = os.environ.get(API_KEY, "")
    with Client(url, ApiKey(key) if key else None) as client:
        steps: list[tuple[str, Callable[[], str]]] = [
            ("lives", lambda: client.get_health().status),
            ("ready", lambda: client.get_readiness().status),
            ("offers", lambda: _offers(client)),
            ("keys", lambda: f"{len(client.get_key_set().keys)} keys of tokens are published"),
        ]
        if key:
            steps.append(("separates", lambda: _separates(client)))
        failed = sum(not _tried(name, step) for name, step in steps)
    if not key:
        click.echo(f"  No song was tried: set {API_KEY} to an API key of a user with credits.")
    return FAILED if failed else 0


def _tried(name: str, step: Callable[[], str]) -> bool:
    try:
        told = step()
    except Exception as error:
        click.echo(f"  {name:<10}  FAILED: {error}")
        return False
    click.echo(f"  {name:<10}  {told}")
    return True


def _offers(client: Client) -> str:
    models = [model.name for model in client.get_capabilities().models]
    if not models:
        raise Broken("The API offers no model: nothing can be separated.")
    return ", ".join(models)


def _separates(client: Client) -> str:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        song = Path(directory) / "smoke test.wav"
        _tone(song)
        asset_id = uploads.upload(client, uploads.read(song)).asset_id
        _until(lambda: client.get_asset(asset_id).status, {"ready"}, {"rejected"})
        # Anew each time: stems that are there already would prove nothing of the workers.
        job = client.create_job(JobWish(asset_id=asset_id, reuse=False))
        _until(lambda: client.get_job(job.job_id).status, {"completed"}, {"failed", "cancelled"})
        found = downloads.links(client.get_job(job.job_id))
    if not found:
        raise Broken(f"{job.job_id} completed without a file.")
    return f"{len(found)} files of {job.job_id} in {time.monotonic() - begun:.0f} s"


def _until(look: Callable[[], str], good: set[str], bad: set[str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (status := look()) not in good:
        if status in bad:
            raise Broken(f"It is {status}.")
        if time.monotonic() > deadline:
            raise Broken(f"It is still {status} after {_PATIENCE / 60:.0f} minutes.")
        time.sleep(_POLL_SECONDS)


def _tone(path: Path) -> None:
    """A chord that the standard library can write."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for n in range(SECONDS * RATE):
            value = sum(math.sin(math.tau * f * n / RATE) for f in (220, 277.2, 329.6)) / 4
            file.writeframesraw(struct.pack("<hh", *[round(20_000 * value)] * 2))

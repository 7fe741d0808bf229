"""``splitsound audit digest``: sign where every stream stands."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from handlers.cli import terminal
from handlers.cli.audit.known import keys, scanning, trust_option
from handlers.cli.outcome import BadInput
from handlers.cli.projections.known import cost, pace, paced
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.words import counted, named

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from infra.bootstrap import Application
    from infra.digests import Digest, Lock, Scanned, Taken
    from infra.digests.taking import Before
    from infra.metering import Units
    from infra.pacing import Pace


class Signed(Struct, frozen=True):
    """What was signed and where it is. lock: None where the bucket locks nothing."""

    name: str
    digest: Digest
    lock: Lock | None
    commits: int
    seconds: float
    units: Units


@click.command("digest")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A copy for an auditor; the heads come beside it, in FILE's name with .heads.jsonl.",
)
@trust_option
@paced
@json_option
@data_option
def digest(
    out: Path | None,
    trusted: tuple[Path, ...],
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> None:
    """Check every stream, and sign where each of them stands now.

    Every hash chain is checked, and every stream against the digest before. Nothing is signed,
    and the exit code is 1, when a commit was edited, a tail was cut off, a stream is gone or was
    written anew since then. Run it daily; running it twice does no harm.
    """
    if out and not out.parent.is_dir():
        raise BadInput(f"There is no directory {named(out.parent)} for the copy.")
    parts, display = application(data), terminal.display(as_json)
    known = keys(parts, trusted)
    signed, before = _run(parts, known, pace(throttle), segments, workers, out, display)
    if as_json:
        terminal.emit(signed)
    else:
        _tell(signed, before, out, display)


def _run(
    parts: Application,
    known: list[bytes],
    spending: Pace,
    segments: int,
    workers: int,
    out: Path | None,
    display: Display,
) -> tuple[Signed, Before | None]:
    from handlers.operating.rebuilding import paced_store
    from infra.digests import DigestFile, scan_heads, take
    from infra.digests.taking import newest

    before = newest(parts.digests, known)
    history = paced_store(parts, spending)
    began, now = time.monotonic(), parts.clock.now()
    with scanning(display, history.estimate()) as progress:
        scanned: Scanned = scan_heads(
            history, before.heads if before else {}, segments=segments, workers=workers,
            progress=progress, stopped=spending.release,
        )  # fmt: skip
    with tempfile.TemporaryFile() as heads:
        taken: Taken = take(
            scanned, before, parts.digest_signer, parts.settings.events_table, now, heads
        )
        parts.digests.put(taken.name, taken.envelope, heads)
        if out:
            DigestFile(out).put(taken.envelope, heads)
    lock, seconds = parts.digests.lock(taken.name), round(time.monotonic() - began, 3)
    signed = Signed(taken.name, taken.digest, lock, scanned.commits, seconds, spending.spent)
    return signed, before


def _tell(done: Signed, before: Before | None, out: Path | None, display: Display) -> None:
    said: Any = done.digest
    what = f"{said.events:,} events of {counted(said.streams, 'stream')}"
    display.fact("Checked", f"{what} in {terminal.duration(done.seconds)}")
    display.fact("Cost", cost(done.units))
    if before:
        display.fact("Since", f"{before.reference.name}: nothing was rewritten")
    else:
        display.fact("Since", "this is the first digest here, so there was nothing to compare")
    display.fact("Signed", done.name, "green")
    display.fact("Root", said.root)
    display.fact("Key", f"SHA-256 fingerprint {said.key.fingerprint}")
    if done.lock:
        display.fact("Locked", f"until {done.lock.until} ({done.lock.mode})")
    else:
        display.fact("Locked", "no: this bucket locks nothing, or we may not see it", "yellow")
    if out:
        display.fact("Copy", named(out))

"""``splitsound audit verify``: everything that can be checked of histories, in one go."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from domain.credits import CREDITS
from domain.errors import NotFound
from handlers.cli import terminal
from handlers.cli.audit import sums
from handlers.cli.audit.against import Covered, against_digest
from handlers.cli.audit.known import scanning, trust_option
from handlers.cli.outcome import FAILED
from handlers.cli.projections.known import cost, pace, paced
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.statements import user_id_of
from handlers.cli.words import counted
from handlers.history import stream_name

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from infra.bootstrap import Application
    from infra.metering import Units
    from infra.pacing import Pace
    from projections.audit.walking import Finding, Walked


class Verified(Struct, frozen=True):
    """What was walked, everything that is wrong, and what the digest covers. whole: all streams."""

    found: Walked
    findings: list[Finding]
    digest: Covered
    whole: bool
    seconds: float
    units: Units


@click.command("verify", short_help="Verify chains, folds, snapshots, transactions, sums, digest.")
@click.argument("streams", nargs=-1, metavar="[STREAM]...")
@click.option(
    "--digest",
    "name",
    metavar="NAME|FILE|none",
    help="Compare with that digest, by its name in the bucket or a file, and not with the newest.",
)
@trust_option
@paced
@json_option
@data_option
def verify(
    streams: tuple[str, ...],
    name: str | None,
    trusted: tuple[Path, ...],
    throttle: tuple[float, float],
    segments: int,
    workers: int,
    as_json: bool,
    data: Path,
) -> int:
    """Verify STREAMs, or the whole store: chains, folds, snapshots, transactions, sums, digest.

    Each hash chain is followed, each stream is folded anew and compared with its snapshots, each
    transaction must be there as a whole, accounts and purchases must pass `audit check`, and no
    stream may have lost or changed what the newest signed digest says of it. A break does not end
    the work: all findings are listed, with stream and version. Exit code 1 when there is one.

    STREAM is job-..., credits-..., purchase-...; a job's, asset's or purchase's id names its own, a
    user's id or e-mail address the account.
    """
    parts, display = application(data), terminal.display(as_json)
    wanted = tuple(_stream(parts, each) for each in streams)
    done = _run(parts, wanted, name, trusted, pace(throttle), segments, workers, display, data)
    if as_json:
        terminal.emit(_document(done))
    else:
        _tell(done, display)
    return FAILED if done.findings else 0


def _stream(parts: Application, text: str) -> str:
    if text.startswith("usr_") or "@" in text:
        return CREDITS.stream(user_id_of(parts, text))
    return stream_name(text)


def _run(
    parts: Application,
    streams: tuple[str, ...],
    name: str | None,
    trusted: tuple[Path, ...],
    spending: Pace,
    segments: int,
    workers: int,
    display: Display,
    data: Path,
) -> Verified:
    from handlers.operating.auditing import Audit, disagreeing
    from handlers.operating.rebuilding import paced_store

    history = paced_store(parts, spending)
    for stream in streams:
        if next(history.read(stream), None) is None:
            raise NotFound(f"There is no stream {stream}.")
    began = time.monotonic()
    with scanning(display, history.estimate() if not streams else len(streams)) as heard:
        audit = Audit(
            history, thorough=True, segments=segments, workers=workers, heard=heard,
            stopped=spending.release,
        )  # fmt: skip
        found = audit.these(streams) if streams else audit.everything()
    # Of some streams only, the purchases' other sides were not read.
    findings = found.findings + ([] if streams else disagreeing(found))
    with scanning(display, history.estimate() if not streams else len(streams)) as heard:
        digest, lost = against_digest(parts, history, name, trusted, streams, data, heard)
    seconds = round(time.monotonic() - began, 3)
    return Verified(found, sorted(findings + lost), digest, not streams, seconds, spending.spent)


def _document(done: Verified) -> dict[str, object]:
    found = done.found
    return {
        "right": not done.findings, "whole_store": done.whole, "streams": found.streams,
        "commits": found.commits, "events": found.events, "snapshots": found.snapshots,
        "findings": done.findings, "digest": done.digest, "not_folded": found.unknown,
        "sums": sums.document(found.totals) if done.whole else None, "seconds": done.seconds,
        "units": done.units,
    }  # fmt: skip


def _tell(done: Verified, display: Display) -> None:
    found = done.found
    if done.findings:
        sums.draw_findings(done.findings, display.console)
        display.blank()
    wrong = {each.kind for each in done.findings}
    rate = f", {found.events / done.seconds:,.0f} events/s" if done.seconds > 1 else ""
    what = f"{counted(found.events, 'event')} in {counted(found.commits, 'commit')} of "
    what += counted(found.streams, "stream")
    display.fact("Read", f"{what}, in {terminal.duration(done.seconds)}{rate}")
    display.fact("Cost", cost(done.units))
    for label, kinds, text in (
        ("Chain", {"chain"}, "each commit follows the one before it, and says what it said"),
        ("Fold", {"fold", "unreadable"}, "every event can be read and fits what stands before it"),
        ("Law", {"law"}, f"holds at every version of {counted(found.totals.accounts, 'account')}"),
        ("Snapshots", {"snapshot"}, f"{found.snapshots:,} compared with their events"),
        ("Halves", {"peer"}, "every transaction is there as a whole"),
        ("Money", {"purchase"}, _money(done)),
    ):
        bad = sum(1 for each in done.findings if each.kind in kinds)
        told = f"{counted(bad, 'finding')}, see above" if kinds & wrong else text
        display.fact(label, told, "red" if kinds & wrong else "")
    if found.unknown:
        names = ", ".join(f"{name}-... ({count})" for name, count in sorted(found.unknown.items()))
        display.fact("Not folded", f"nothing here knows these streams' events: {names}", "yellow")
    _tell_digest(done, display)
    if done.findings:
        result = f"{counted(len(done.findings), 'finding')}, named above"
        display.fact("Result", result, "bold red")
    else:
        display.fact("Result", "the histories are whole and add up", "green")


def _money(done: Verified) -> str:
    if not done.whole:
        return "not compared: for that, verify the whole store, or `audit check USER`"
    return "what purchases sold and took back is what accounts were granted and lost"


def _tell_digest(done: Verified, display: Display) -> None:
    digest = done.digest
    bad = sum(1 for each in done.findings if each.kind == "digest")
    if bad:
        display.fact("Digest", f"{counted(bad, 'finding')} against {digest.name}", "red")
    elif digest.name is None:
        display.fact("Digest", digest.note, "yellow")
    else:
        display.fact("Digest", f"{digest.name}, of {digest.taken_at}: {digest.note}")

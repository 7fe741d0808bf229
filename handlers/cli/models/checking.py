"""``splitsound models check``: every sum verified, every model loaded, a second separated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from domain.errors import SplitSoundError
from handlers.cli import terminal
from handlers.cli.models.offered import Offer, offers, store_option
from handlers.cli.outcome import FAILED, BadInput
from handlers.cli.reach import json_option
from handlers.cli.tables import GLUE, hanging
from handlers.cli.words import counted, safe

if TYPE_CHECKING:
    from infra.separators import Separator

_RATE = 44_100
_LOUDEST_ERROR = 1e-4  # of full scale, between the song and the sum of its stems
_MARKS = {True: ("ok", "green"), False: ("FAILED", "bold red")}


class Finding(Struct, frozen=True):
    """Of one model. load_seconds and separate_seconds: wall time, 0 where it did not come to it."""

    name: str
    ok: bool
    found: str
    load_seconds: float = 0.0
    separate_seconds: float = 0.0


@click.command("check", short_help="Verify, load and hear each model.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
@store_option
def check(names: tuple[str, ...], as_json: bool, location: str) -> int:
    """Verify all files, load each model once, and separate a second of noise with it.

    Hosted models are left out: they cost money. Exit code 1 when one fails.
    """
    local = [offer for offer in offers(location) if offer.load is not None]
    known = [offer.model.name for offer in local]
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"There is no model {unknown[0]!r} here; there are {', '.join(known)}.")
    wanted = [offer for offer in local if not names or offer.model.name in names]
    findings = list(_shown(wanted, max(map(len, known)), as_json=as_json))
    failed = [finding for finding in findings if not finding.ok]
    if as_json:
        terminal.emit({"ok": not failed, "models": findings})
    else:
        verdict = f"{len(failed)} of {counted(len(findings), 'model')} failed."
        terminal.console().print(f"\n{verdict if failed else 'All is well.'}", style="bold")
    return FAILED if failed else 0


def _shown(wanted: list[Offer], width: int, *, as_json: bool) -> Iterator[Finding]:
    console, display = terminal.console(), terminal.display(as_json)
    for offer in wanted:
        with display.waiting("checking", offer.model.name):
            finding = examine(offer)
        if not as_json:
            word, style = _MARKS[finding.ok]
            head = f"  {word:<8}{finding.name}"
            hanging(console, head, safe(finding.found, keep=GLUE), width + 12, mark=style)
        yield finding


def examine(offer: Offer) -> Finding:
    """Load a model and hear it; whatever it raises is a finding."""
    assert offer.load is not None
    name, began = offer.model.name, time.monotonic()
    try:
        separator = offer.load()
        loaded = time.monotonic() - began
        fault = _heard(separator)
        took = time.monotonic() - began - loaded
    except SplitSoundError as error:
        return Finding(name, ok=False, found=error.detail)
    except Exception as error:
        return Finding(name, ok=False, found=f"{type(error).__name__}: {error}")
    if fault:
        return Finding(name, ok=False, found=fault)
    size = "" if offer.bytes is None else f"{terminal.size(offer.bytes)} verified, "
    told = f"{size}loaded in {terminal.duration(loaded)}, a second of noise in "
    return Finding(name, True, told + terminal.duration(took), loaded, took)


def _heard(separator: Separator) -> str:
    """What is wrong with the stems of a second of noise; empty where nothing is."""
    import numpy as np

    from infra.separators import Request

    noise = np.random.default_rng(1).standard_normal((2, _RATE), np.float32) * np.float32(0.1)
    model = separator.capabilities
    request = Request(_RATE, 2, _RATE, 0.0, 0.1, "speech" if model.takes_prompt else None)
    blocks = list(separator.separate([noise], request, lambda _: None, lambda: False))
    if not blocks or sum(next(iter(b.values())).shape[1] for b in blocks) != _RATE:
        return "Its stems are not as long as the song."
    stems = [np.concatenate([block[stem] for block in blocks], axis=1) for stem in model.stems]
    if not np.isfinite(stems).all():
        return "Its stems hold values that are no numbers."
    if model.adds_up and np.abs(np.sum(stems, axis=0) - noise).max() > _LOUDEST_ERROR:
        return "Its stems do not add up to the song."
    return ""

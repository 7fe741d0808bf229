"""``splitsound models add``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import get_args

import click

from domain.errors import Invalid, ModelError
from handlers.cli import terminal
from handlers.cli.outcome import BadInput
from handlers.cli.reach import json_option
from handlers.cli.words import command_line, counted, named
from infra.separators.model_store_manifest import ROFORMERS, Architecture

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("add")
@click.argument("checkpoints", metavar="CHECKPOINT...", type=_FILE, nargs=-1, required=True)
@click.option("--name", required=True, help="What requests call it: letters, digits, '-'.")
@click.option(
    "--architecture", required=True, type=click.Choice(get_args(Architecture)),
    help="What network the checkpoint is of.",
)  # fmt: skip
@click.option(
    "--stems", required=True, metavar="A,B,...",
    help="Its stems in the order of delivery; the last one takes what remains of the song.",
)  # fmt: skip
@click.option(
    "--credits-per-second", "credits_per_second", required=True, metavar="N",
    help='The price; the standard model costs "1".',
)  # fmt: skip
@click.option("--config", type=_FILE, help="The YAML or JSON published with a RoFormer.")
@click.option(
    "--to", "location", envvar="SPLITSOUND_MODELS", show_envvar=True, metavar="DIR",
    help="The store to add it to.",
)  # fmt: skip
@click.option("--title", default="", help="What people call it; the name if not given.")
@click.option("--description", default="", help="A sentence for those who choose.")
@click.option("--licence", default="", help="Of the weights.")
@click.option("--gpu/--no-gpu", default=None, help="Meant for GPU workers; RoFormers are.")
@click.option("--replace", is_flag=True, help="Replace the model of that name.")
@json_option
def add(
    checkpoints: tuple[Path, ...],
    config: Path | None,
    location: str | None,
    replace: bool,
    as_json: bool,
    stems: str,
    gpu: bool | None,
    **fields: str,
) -> None:
    """Add a model: copy its files, load it once, list it in models.json.

    A checkpoint that is not of the architecture is refused now, and nothing is left behind.
    """
    from infra.separators.model_store_adding import Addition, add, proposed, size

    directory = _directory(location)
    on_gpu = fields["architecture"] in ROFORMERS if gpu is None else gpu
    split = [stem.strip() for stem in stems.split(",")]
    entry = proposed({**fields, "stems": split, "gpu": on_gpu}, checkpoints, config)
    addition = Addition(directory, entry, checkpoints, config, replace)
    directory.mkdir(parents=True, exist_ok=True)
    display, began, done = terminal.display(as_json), time.monotonic(), 0
    with display.bar("reading", size(addition), of_bytes=True) as bar:

        def moved(count: int) -> None:
            nonlocal done
            done += count
            bar.to(done)

        try:
            added = add(addition, moved)
        except (ModelError, Invalid) as error:
            raise BadInput(f"{error.detail} Nothing was added.") from error
    if as_json:
        terminal.emit({"store": str(directory.resolve()), "model": added})
        return
    total = sum(file.bytes for file in added.files)
    display.fact("added", f"{added.name}: {', '.join(added.stems)}", "bold")
    display.fact("network", f"{added.architecture}, loaded once, for {_workers(added.gpu)}")
    display.fact("price", f"{added.credits_per_second} credits a second")
    files = f"{counted(len(added.files), 'file')}, {terminal.size(total)}"
    display.fact("files", f"{files} in {named(directory)}")
    display.fact("took", terminal.duration(time.monotonic() - began))
    display.blank()
    known = os.environ.get("SPLITSOUND_MODELS") == location
    check = command_line("models", "check", added.name, store=None if known else directory)
    display.fact("next", f"`{check}` separates a second of noise with it.")
    here = "" if known else f" with SPLITSOUND_MODELS={named(directory.resolve())}"
    display.fact("", f"The API and the workers offer it once they start anew{here}.")


def _workers(gpu: bool) -> str:
    return "workers with a GPU" if gpu else "any worker"


def _directory(location: str | None) -> Path:
    if not location:
        raise BadInput("Say where to: name a directory with --to, or set SPLITSOUND_MODELS.")
    if location.startswith("s3://"):
        raise BadInput(
            f"{location} is in S3: add to a directory with --to, then copy that there with "
            f"`aws s3 sync DIR {location}`."
        )
    return Path(location)

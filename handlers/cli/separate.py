"""``splitsound separate``: one song through the running API, as any client would send it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from domain.audio import FORMATS
from handlers.cli import folders, journey, terminal, upload
from handlers.cli.journey import Trip, Wish
from handlers.cli.outcome import Interrupted
from handlers.cli.reach import api_options, api_url, caller_name, connect, json_option, whose
from handlers.cli.terminal import Display
from handlers.cli.words import command_line, plain
from handlers.client.bodies import Job
from handlers.client.client import Client

_OUT = "stems"


@click.command("separate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=_OUT,
    show_default=True,
    metavar="DIR",
    help="Stems go into a folder of the song's name in here.",
)
@click.option("--model", metavar="NAME", help="The model; the API's default unless given.")
@click.option("--prompt", metavar="WORDS", help="What to take out, for models that look for words.")
@click.option(
    "--stems",
    metavar="A,B",
    help="Only these; all of the model unless given. no_A is the song without A.",
)
@click.option("--format", "format_", metavar=f"[{'|'.join(FORMATS)}]", help="The stems' format.")
@click.option("--bundle", is_flag=True, help="A zip of all stems as well.")
@click.option(
    "--no-reuse", is_flag=True, help="Separate (and pay) even where the same stems exist."
)
@api_options
@json_option
def command(
    file: Path,
    out: Path,
    model: str | None,
    prompt: str | None,
    stems: str | None,
    format_: str | None,
    bundle: bool,
    no_reuse: bool,
    api: str | None,
    email: str,
    api_key: str,
    data: Path,
    as_json: bool,
) -> None:
    """Separate FILE and put its stems into a folder.

    The same command again goes on where an interrupted one was: parts that arrived are not
    sent again, a running job is followed, a finished one is only downloaded, and nothing is
    paid twice.
    """
    from infra.local.signals import StopSignals

    names = [name.strip() for name in (stems or "").split(",")]
    only = tuple(filter(None, names))
    wish = Wish(model, only, format_, prompt, bundle=bundle, reuse=not no_reuse)
    display = terminal.display(as_json)
    upload.check_path(file)
    folders.check(file, out)
    trip = Trip(journey.read(file, display))
    url, waiting = api_url(api, data), lambda words: display.fact("Waiting", words)
    with connect(url, email, api_key, waiting) as client, StopSignals():
        try:
            job = _travel(client, caller_name(email, api_key), trip, wish, display)
            files = journey.take_home(client, trip, job, out, display)
        except KeyboardInterrupt:  # or SIGTERM
            reached = whose(api, email, data)
            again = _again(file, out, wish, reached)
            raise Interrupted(_how_to_go_on(trip, again, reached), **_known(trip)) from None
    if as_json:
        terminal.emit(_document(job, files))


def _travel(client: Client, caller: str, trip: Trip, wish: Wish, display: Display) -> Job:
    client.authenticate()
    display.fact("Signed in", f"{caller} at {client.url}")
    journey.check(client, wish)
    journey.bring(client, trip, display)
    job = journey.request(client, trip, wish, display)
    return journey.follow(client, job, display)


def _again(file: Path, out: Path, wish: Wish, reached: dict[str, object]) -> str:
    song = f"./{file}" if str(file).startswith("-") else str(file)
    wished = {
        "model": wish.model, "prompt": wish.prompt, "stems": ",".join(wish.stems),
        "format": wish.format,
    }  # fmt: skip
    flags = [*(["--bundle"] if wish.bundle else []), *([] if wish.reuse else ["--no-reuse"])]
    where = {"out": None if str(out) == _OUT else out}
    return command_line("separate", song, *flags, **where, **wished, **reached)


def _how_to_go_on(trip: Trip, again: str, reached: dict[str, object]) -> str:
    if not trip.job_id:
        return f"Interrupted before anything was paid; what arrived is kept. Go on with\n  {again}"
    return (
        f"Interrupted; the job goes on without you. Go on with\n  {again}\n"
        f"or cancel it with\n  {command_line('cancel', trip.job_id, **reached)}"
    )


def _known(trip: Trip) -> dict[str, str]:
    known = {"asset_id": trip.asset_id, "job_id": trip.job_id}
    return {name: value for name, value in known.items() if value}


def _document(job: Job, files: list[Path]) -> dict[str, Any]:
    stems, zipped = files[: len(job.stems)], files[len(job.stems) :]
    return {
        "job_id": job.job_id,
        "status": job.status,
        "price": job.price,
        "reused_from": job.reused_from,
        "gain_db": job.gain_db,
        "residual_db": job.quality.residual_db if job.quality else None,
        "stages": job.stages,
        "stems": [
            {
                "name": stem.name,
                "file": plain(file),
                "bytes": stem.bytes,
                "over_full_scale": stem.over_full_scale,
                "silence": stem.silence,
            }
            for stem, file in zip(job.stems, stems, strict=True)
        ],
        "zip": plain(zipped[0]) if zipped else None,
    }

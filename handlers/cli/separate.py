"""``splitsound separate``: one song through the running API, as any client would send it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from handlers.cli import download, journey, terminal
from handlers.cli.answers import Job
from handlers.cli.client import Api
from handlers.cli.journey import Trip, Wish
from handlers.cli.outcome import Interrupted
from handlers.cli.reach import api_options, api_url, json_option
from handlers.cli.terminal import Display


@click.command("separate")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="stems",
    show_default=True,
    metavar="DIR",
    help="Stems go into a folder of the song's name in here.",
)
@click.option("--model", metavar="NAME", help="The model; the API's default unless given.")
@click.option("--stems", metavar="A,B", help="Only these stems; all of the model unless given.")
@click.option("--format", "format_", metavar="flac|wav|mp3", help="The stems' format.")
@api_options
@json_option
def command(
    file: Path,
    out: Path,
    model: str | None,
    stems: str | None,
    format_: str | None,
    api: str | None,
    email: str,
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
    wish = Wish(model, tuple(filter(None, names)), format_)
    display = terminal.display(as_json)
    trip = Trip(journey.read(file, display))
    with Api(api_url(api, data), email) as client, StopSignals():
        try:
            job = _travel(client, trip, wish, display)
            folder = download.folder_for(file, out)
            files = journey.take_home(client, job, folder, display)
        except KeyboardInterrupt:  # or SIGTERM
            raise Interrupted(_how_to_go_on(trip), **_known(trip)) from None
    if as_json:
        terminal.emit(_document(job, files))


def _travel(client: Api, trip: Trip, wish: Wish, display: Display) -> Job:
    client.sign_in()
    display.fact("Signed in", f"{client.email} at {client.url}")
    journey.bring(client, trip, display)
    job = journey.request(client, trip, wish, display)
    return journey.follow(client, job, display)


def _how_to_go_on(trip: Trip) -> str:
    again = "Run the same command again to go on"
    if not trip.job_id:
        return f"Interrupted before anything was paid. {again}: what arrived is kept."
    return (
        f"Interrupted; the job goes on without you. {again}, or cancel it with\n"
        f"  splitsound cancel {shlex.quote(trip.job_id)}"
    )


def _known(trip: Trip) -> dict[str, str]:
    known = {"asset_id": trip.asset_id, "job_id": trip.job_id}
    return {name: value for name, value in known.items() if value}


def _document(job: Job, files: list[Path]) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "status": job.status,
        "gain_db": job.gain_db,
        "stages": job.stages,
        "stems": [
            {"name": stem.name, "file": str(file), "bytes": stem.bytes}
            for stem, file in zip(job.stems, files, strict=True)
        ],
    }

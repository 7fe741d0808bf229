"""``splitsound demo``: a song to stems, start to finish, on a stack that ends with it."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handlers.cli import folders, journey, leftovers, terminal, upload
from handlers.cli.journey import Trip, Wish
from handlers.cli.reach import connect
from handlers.cli.tables import GLUE, Table, hanging
from handlers.cli.terminal import Display, console
from handlers.cli.words import named
from handlers.history import stream_name

if TYPE_CHECKING:
    from handlers.client.bodies import Job
    from handlers.client.client import Client
    from infra.bootstrap import Application
    from infra.local.stack import LocalStack

EMAIL = "demo@example.com"
_SONG = "splitsound-demo.wav"
_PREFIX = "splitsound-demo-"
# The built-in song fits into what a new user gets; for any other song it is raised so far
# that the published limit of three hours is the only one.
_GRANT = "36000"


@click.command("demo")
@click.argument("song", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default="stems",
    show_default=True,
    metavar="DIR",
    help="Stems go into a folder of the song's name in here.",
)
def command(song: Path | None, out: Path) -> None:
    """Separate SONG, or a song made for the occasion, and show everything that happened.

    It starts a whole stack of its own, with its own data directory and free ports, beside
    any that is running, and stops and removes it at the end.
    """
    if song is not None:
        upload.check_path(song)
    folders.check(song or Path(_SONG), out)
    from infra.local.signals import StopSignals
    from infra.local.stack import LocalStack

    display = Display(console())
    leftovers.remove(_PREFIX, "stack/lock")
    with StopSignals() as signals, ExitStack() as cleanup:
        data = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX)))
        settings = {} if song is None else {"signup_grant": _GRANT}
        # Other people's reports would break a progress bar's line; the logs have them.
        stack = LocalStack(data / "stack", settings=settings, report=lambda _: None)

        def stop() -> None:
            # At once: nothing of this stack is kept, and nobody waits for it.
            with signals.deferred():
                stack.stop(hurry=lambda: True)

        cleanup.callback(stop)
        display.console.print("SplitSound demo", style="bold")
        display.blank()
        _start(stack, display)
        _show(stack, song or _own_song(data, display), song is None, out, display)
    display.blank()
    display.fact("Stopped", "everything, and its temporary data is removed")


def _start(stack: LocalStack, display: Display) -> None:
    began = time.monotonic()
    with display.waiting("Stack", "starting"):
        stack.start()
    took = terminal.duration(time.monotonic() - began)
    display.fact("Stack", f"API at {stack.api_url}, started in {took}")


def _own_song(directory: Path, display: Display) -> Path:
    from infra import demo_song

    path = directory / _SONG
    with display.waiting("Song", "making one"):
        demo_song.write(path)
    return path


def _show(stack: LocalStack, song: Path, own: bool, out: Path, display: Display) -> None:
    from infra.local.stack import adopted

    trip = Trip(journey.read(song, display))
    made = " (made for this demo)" if own else ""
    display.fact("Song", f"{named(song.name)}, {terminal.size(trip.song.size)}{made}")
    with connect(stack.api_url, EMAIL) as api:
        # Never on a user's own account at Stripe.
        job = _separate(api, trip, stack.stand_ins.payments is not None, display)
        files = journey.take_home(api, trip, job, out, display)
        display.fact("Stages", _stages(job))
        _print_files(job, files, own, display)
        with adopted(stack.environment):
            _print_history(_application(), api.user_id, job, display)


def _separate(api: Client, trip: Trip, sells: bool, display: Display) -> Job:
    api.authenticate()
    display.fact("Signed in", f"{EMAIL}, {api.user_id}")
    if sells:
        _buy(api, display)
    journey.bring(api, trip, display)
    job = journey.request(api, trip, Wish(), display)
    return journey.follow(api, job, display)


def _buy(api: Client, display: Display) -> None:
    from handlers.cli import buy
    from handlers.client.bodies import Order
    from infra.local.stripe.control import pay

    pack = api.list_packs().items[0]
    opened = api.check_out(Order(pack=pack.name))
    assert opened.url is not None
    pay(opened.url)
    buy.paid(api, opened, display)
    display.fact("Bought", f"{pack.credits} credits for {pack.price} of play money")


def _stages(job: Job) -> str:
    return ", ".join(f"{s.stage} {terminal.duration(s.seconds)}" for s in job.stages)


def _application() -> Application:
    import msgspec

    from infra.bootstrap import Application
    from infra.settings import from_environment

    return Application(msgspec.structs.replace(from_environment(), journal=None), "demo")


def _print_files(job: Job, files: list[Path], own: bool, display: Display) -> None:
    from handlers.cli import hearing

    quality = hearing.against_the_truth(job, files) if own else {}
    table = Table(
        "stem", "file", "size", *(["SDR"] if own else []), right=("size", "SDR"), below=("file",)
    )
    for stem, file in zip(job.stems, files, strict=True):
        told = quality.get(stem.name)
        sdr = [f"{told:.1f}{GLUE}dB" if told is not None else ""] if own else []
        table.add_row(stem.name, named(file), terminal.size(stem.bytes), *sdr)
    display.blank()
    table.draw(display.console)
    if own:
        told_by = (
            "SDR: how near each stem is to the one that the song was mixed from; higher is nearer."
        )
        hanging(display.console, "", told_by, 0, "dim")


def _print_history(application: Application, user_id: str, job: Job, display: Display) -> None:
    from domain.commit import verify_chain
    from domain.credits import CREDITS
    from handlers.cli import events, statements
    from projections.audit.statement import statement

    store = application.store
    account = statement(store.read(CREDITS.stream(user_id)), application.clock.now())
    display.blank()
    display.console.print("Credits", style="bold")
    statements.show(account, display.console)
    display.blank()
    name = stream_name(job.job_id)
    history = list(store.read(name))
    verify_chain(history)
    events.render(name, history, display.console)

"""Which stack a command talks to: the options for it, and the parts behind them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handlers.cli.outcome import NoStack

if TYPE_CHECKING:
    from infra.bootstrap import Application

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_DATA = ".splitsound"

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    envvar="SPLITSOUND_DATA",
    show_default=True,
    show_envvar=True,
    metavar="DIR",
    help="The local stack's data directory.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else."
)


def api_options(command: F) -> F:
    """``--api``, ``--email`` and ``--data``: how a client finds the API and who asks."""
    api = click.option(
        "--api",
        envvar="SPLITSOUND_API",
        show_envvar=True,
        metavar="URL",
        help="The API's address; by default the stack that runs on --data.",
    )
    email = click.option(
        "--email",
        envvar="SPLITSOUND_EMAIL",
        show_envvar=True,
        default=lambda: f"{getpass.getuser()}@example.com",
        show_default="you@example.com",
        metavar="ADDRESS",
        help="Whom to sign in as.",
    )
    return api(email(data_option(command)))


def api_url(api: str | None, data: Path) -> str:
    """The address to use. Raises NoStack."""
    if api:
        return api
    from infra.local.lock import running

    state = running(data)
    if state is None or state.url is None:
        raise NoStack(
            f"No stack is running on {data}: start one with `splitsound up`, or name an API with "
            "--api or SPLITSOUND_API."
        )
    return state.url


def application(data: Path, *, writing: bool = False) -> Application:
    """The parts of a stack: of the one that ``SPLITSOUND_*`` names, else of the local one.

    writing: commits go through the local journal, as every acknowledged commit must.
    Raises NoStack.
    """
    if "SPLITSOUND_EVENTS_TABLE" not in os.environ:
        _adopt_local(data)
    import msgspec

    from infra.bootstrap import Application
    from infra.settings import from_environment

    settings = from_environment()
    if not writing:
        settings = msgspec.structs.replace(settings, journal=None)
    return Application(settings, f"cli-{os.getpid()}")


def _adopt_local(data: Path) -> None:
    from infra.local.lock import running
    from infra.local.stack import adopt, environment_of

    environment = environment_of(data) if running(data) else {}
    if not environment:
        raise NoStack(
            f"No stack is running on {data}: start one with `splitsound up`, or set the "
            "SPLITSOUND_* and AWS_* variables of a deployed one."
        )
    adopt(environment)

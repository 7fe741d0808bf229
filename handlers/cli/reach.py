"""Which stack a command talks to: the options for it, and the parts behind them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handlers.cli.outcome import NoStack
from handlers.cli.words import command_line, named

if TYPE_CHECKING:
    from handlers.client.client import Client
    from handlers.client.credentials import Credentials
    from infra.bootstrap import Application

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_DATA = ".splitsound"
DEFAULT_EMAIL = "you@example.com"
NAMING = frozenset({"SPLITSOUND_EVENTS_TABLE", "SPLITSOUND_STAGE"})
"""Whichever of these is set names a deployed stack: by its parts, or by its stage."""

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
    """``--api``, ``--email``, ``--api-key`` and ``--data``: how a client finds the API, and who
    asks.
    """
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
        default=DEFAULT_EMAIL,
        show_default=True,
        metavar="ADDRESS",
        help="Whom to sign in as, with the local stack's provider.",
    )
    key = click.option(
        "--api-key",
        envvar="SPLITSOUND_API_KEY",
        show_envvar=True,
        default="",
        metavar="KEY",
        help="Act with an API key instead. The variable keeps it out of lists of processes.",
    )
    return api(email(key(data_option(command))))


def api_url(api: str | None, data: Path) -> str:
    """The address to use. Raises NoStack."""
    if api:
        return api
    from infra.local.lock import running

    state = running(data)
    if state is None:
        raise NoStack(f"{none_runs(data)}, or name an API with --api or SPLITSOUND_API.")
    if state.url is None:
        raise NoStack(is_starting(data, state.pid))
    return state.url


def connect(
    url: str, email: str, api_key: str = "", notice: Callable[[str], object] = lambda _: None
) -> Client:
    """The API at ``url`` as that person sees it. notice: hears when we wait for it."""
    from handlers.client.client import Client

    return Client(url, credentials(email, api_key), notice=notice)


def credentials(email: str, api_key: str = "") -> Credentials:
    """How the command line signs in: with the key, where there is one, else as that address."""
    from handlers.client.credentials import ApiKey, LocalSignIn

    return ApiKey(api_key) if api_key else LocalSignIn(email)


def caller_name(email: str, api_key: str) -> str:
    """Who that is, for people."""
    return "with an API key" if api_key else email


def none_runs(data: Path) -> str:
    """The beginning of a sentence about a stack that is not there."""
    start = command_line("up", data=other_data(data))
    return f"No stack is running on {named(data)}: start one with `{start}`"


def is_starting(data: Path, pid: int) -> str:
    """What to say while a stack holds the data directory and has no addresses yet."""
    return f"The stack on {named(data)} is starting (pid {pid}); try again in a few seconds."


def other_data(data: Path) -> Path | None:
    """``data`` where a command line has to name it."""
    return None if str(data) == DEFAULT_DATA else data


def whose(api: str | None, email: str, data: Path) -> dict[str, object]:
    """The options with which another command reaches the same account."""
    return {
        "api": api,
        "email": None if email == DEFAULT_EMAIL else email,
        "data": other_data(data),
    }


def application(data: Path, *, writing: bool = False) -> Application:
    """The parts of a stack: of the one that ``SPLITSOUND_*`` names, else of the local one.

    writing: commits go through the local journal, as every acknowledged commit must.
    Raises NoStack.
    """
    if NAMING.isdisjoint(os.environ):
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

    state = running(data)
    if state is None:
        raise NoStack(
            f"{none_runs(data)}, or set the SPLITSOUND_* and AWS_* variables of a deployed one."
        )
    environment = environment_of(data) if state.url else {}
    if not environment:
        raise NoStack(is_starting(data, state.pid))
    adopt(environment)

"""How a command ends: its exit code and the one sentence that says why.

=====  ==================================================================================
0      done
1      it failed
2      wrong usage, or an input that will not work however often it is tried
3      no stack is running, or the API cannot be reached
130    interrupted (Ctrl-C, SIGTERM)
=====  ==================================================================================
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any

import click

from domain.errors import AssetUnusable, Invalid, MediaError, SplitSoundError
from handlers.cli.words import command_line, named, safe
from handlers.client.problems import Problem, Unreachable

FAILED, BAD_INPUT, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130


class NoStack(SplitSoundError):
    """No stack runs on the data directory."""

    code = "no_stack"
    status = 503


class BadInput(Invalid):
    """A path or a value on the command line that cannot be used."""

    code = "bad_input"


class Ended(SplitSoundError):
    """A job ended without stems, a check found something: the answer itself is the failure."""

    code = "failed"


class Interrupted(SplitSoundError):
    """Somebody pressed Ctrl-C; the text says how to go on."""

    code = "interrupted"


def exit_code(error: SplitSoundError) -> int:
    """The exit code that this error deserves."""
    if isinstance(error, Interrupted):
        return INTERRUPTED
    if isinstance(error, Unreachable | NoStack):
        return UNREACHABLE
    if isinstance(error, Problem):
        return BAD_INPUT if error.of_input else FAILED
    return BAD_INPUT if isinstance(error, Invalid | MediaError | AssetUnusable) else FAILED


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command line; every way of ending becomes an exit code, never a traceback."""
    # Usage errors arise before options are parsed, so we look for the flag ourselves.
    as_json = "--json" in arguments
    try:
        result = command.main(list(arguments), prog_name="splitsound", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except SplitSoundError as error:
        _tell(error.code, _said(error), as_json, **error.extra)
        return exit_code(error)
    except click.ClickException as error:
        if as_json:
            _tell("usage", error.format_message(), as_json)
        else:
            shown = io.StringIO()
            error.show(shown)
            click.echo(safe(shown.getvalue(), keep="\n"), err=True, nl=False)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _tell("interrupted", "Interrupted.", as_json)
        return INTERRUPTED
    except BrokenPipeError:
        # `| head` has what it wanted. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        # The last door: people get a sentence, a file gets the traceback.
        _tell("internal_error", _unexpected(error), as_json)
        return FAILED


def _said(error: SplitSoundError) -> str:
    if not isinstance(error, Unreachable):
        return str(error)
    return (
        f"{error} Start one with `{command_line('up')}`, or name another with --api or "
        "SPLITSOUND_API."
    )


def _tell(code: str, detail: str, as_json: bool, **extra: Any) -> None:
    detail = safe(detail, keep="\n")
    if as_json:
        text = json.dumps({"code": code, "detail": detail, **extra}, default=str)
    else:
        text = detail if code == "interrupted" else f"Error: {detail}"
    click.echo(text, err=True)


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and run the command again; nothing was lost."
    if isinstance(error, OSError) and error.filename:
        return f"{named(str(error.filename))}: {error.strerror}."
    return f"{type(error).__name__}: {error}. The traceback is in {keep_traceback(error)}."


def keep_traceback(error: BaseException) -> str:
    """Write the traceback to a file; its path."""
    descriptor, path = tempfile.mkstemp(prefix="splitsound-", suffix=".log")
    with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
        traceback.print_exception(error, file=file)
    return path

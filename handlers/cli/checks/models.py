"""The store of checkpoints, where one is configured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from domain.errors import Invalid, SplitSoundError
from handlers.cli.checks import Ailing, Check, examined
from handlers.cli.words import command_line, counted

_NAME = "model store"
_SETTING = "SPLITSOUND_MODELS"


def examine(data: Path) -> Iterator[Check]:
    """One line; sizes only, since sums of many gigabytes take their time."""
    location = os.environ.get(_SETTING) or _of_stack(data)
    if not location:
        yield Check(_NAME, "skipped", f"none is configured ({_SETTING})")
        return
    yield examined(_NAME, lambda: _store(location))


def _of_stack(data: Path) -> str:
    """What a running local stack was started with."""
    from infra.local.lock import running
    from infra.local.stack import environment_of

    state = running(data)
    return environment_of(data).get(_SETTING, "") if state and state.url else ""


def _store(location: str) -> str:
    from handlers.cli.models.offered import opened
    from infra.separators.checkpoints import entries

    check = command_line("models", "check")
    try:
        store = opened(location)
        listed = entries(store)
        found = {
            file.name: store.state(file, thorough=False) for each in listed for file in each.files
        }
    except Invalid as error:
        raise Ailing(error.detail, "Until then neither the API nor a worker starts.") from error
    except SplitSoundError as error:
        raise Ailing(error.detail, f"Look at {location} and at the AWS_* variables.") from error
    bad = [f"{name} is {told}" for name, told in found.items() if told not in _FINE]
    if bad:
        raise Ailing(f"{location}: {'; '.join(bad)}", f"Copy it there anew; then `{check}`.")
    return f"{counted(len(listed), 'model')} at {location} (`{check}` verifies and loads them)"


_FINE = ("verified", "right size", "not fetched")

"""What ``splitsound doctor`` looks at."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct


class Check(Struct, frozen=True, omit_defaults=True):
    """state: ok, failed or skipped; todo: what to do when it failed."""

    name: str
    state: str
    found: str
    todo: str = ""


class Ailing(Exception):
    """A check found something wrong; ``todo`` says what to do."""

    def __init__(self, found: str, todo: str) -> None:
        super().__init__(found)
        self.found = found
        self.todo = todo


def examined(name: str, examine: Callable[[], str]) -> Check:
    """Run one check; whatever it raises is a finding, not a crash."""
    try:
        return Check(name, "ok", examine())
    except Ailing as ailing:
        return Check(name, "failed", ailing.found, ailing.todo)
    except Exception as error:
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        return Check(name, "failed", words, "This should not happen; look at the logs.")

"""Ways of rewriting a history; each returns what is to be said of it. See ``forging``."""

from __future__ import annotations

from domain.commit import GENESIS, Commit
from infra.bootstrap import Application
from tests.handlers.cli.forging import commits, overwrite
from tests.handlers.cli.forging import remove as take_out

STREAM = "credits-usr_1"


def _stored(application: Application) -> list[Commit]:
    return commits(application, STREAM)


def edit(application: Application) -> str:
    third = _stored(application)[2]
    assert isinstance(third.events, str)
    overwrite(application, third, events=third.events.replace("10", "99"))
    return f"{STREAM} version 3: its content was changed after it was written"


def remove(application: Application) -> str:
    take_out(application, _stored(application)[1])
    return f"{STREAM} version 3: expected version 2; a commit is missing"


def reorder(application: Application) -> str:
    _, second, third, *_ = _stored(application)
    overwrite(application, second, first=3, last=3)
    overwrite(application, third, first=2, last=2)
    return f"{STREAM} version 2: does not follow the commit before it"


def cut(application: Application) -> str:
    for each in _stored(application)[2:]:
        take_out(application, each)
    return f"{STREAM}: its tail was cut off, from version 3 on"


def delete(application: Application) -> str:
    for each in _stored(application):
        take_out(application, each)
    return f"{STREAM}: the stream is gone; it had version 4"


def rewrite(application: Application) -> str:
    """A new history in which every hash is right."""
    prev = GENESIS
    for each in _stored(application):
        assert isinstance(each.events, str)
        events = each.events.replace('"amount":10', '"amount":1000')
        drafted = overwrite(application, each, events=events, prev=prev)
        prev = overwrite(application, drafted.sealed(each.peers)).hash
    return f"{STREAM}: what it says up to version 4 was written anew"

"""What operators have to do with: rows that follow their events, streams that do not, flips."""

from __future__ import annotations

import structlog

import projections
from commands import SignUp, execute
from domain import acts
from domain.commit import Append, Meta
from handlers.projector.__main__ import build
from infra.bootstrap import Application
from projections.doorbell import envelope, ring
from projections.generations import advance, begin
from projections.generations import flip as flipped
from projections.rebuild import update
from tests.handlers.test_projector import FUTURE, FromTomorrow


def deliver(application: Application, *streams: str) -> None:
    """Every commit of those streams rings at a projector, which takes all of them."""
    commits = [commit for stream in streams for commit in application.store.read(stream)]
    records = [{"messageId": str(n), "body": envelope(ring(c))} for n, c in enumerate(commits)]
    projector = build(application, structlog.get_logger())
    assert projector({"Records": records}) == {"batchItemFailures": []}


def poison(application: Application, events: int = 2) -> str:
    """A user whose credits hold commits that a newer deployment wrote; nothing rang for them."""
    user_id = application.ids.fresh("usr")
    meta = Meta(application.ids.fresh("cmd"), "test")
    execute(application.context, SignUp(user_id, "development", f"{user_id}@example.com"), meta)
    for _ in range(events):
        append_from_tomorrow(application, user_id)
    return user_id


def append_from_tomorrow(application: Application, user_id: str) -> None:
    """A commit to the user's credits that today's code cannot read."""
    loaded = application.store.load(FUTURE, FUTURE.stream(user_id))
    meta = Meta(application.ids.fresh("cmd"), "tomorrow")
    application.store.append([Append(loaded, [FromTomorrow(user_id)])], meta)


def park(application: Application, events: int = 2) -> str:
    """The same, after the projector met it."""
    user_id = poison(application, events)
    deliver(application, f"credits-{user_id}")
    return user_id


def flip(application: Application, name: str) -> None:
    """Another generation goes live, as at the end of a rebuild; the one before is kept."""
    projection = projections.ALL[name]
    reading, now = application.operating, application.clock.now()
    update(reading, projection, lambda c: begin(c, projection.version, "test", now, 1))
    update(reading, projection, lambda c: advance(c, "test", now, 0))
    update(reading, projection, lambda c: flipped(c, "test", now, c.last, c.live.number))


def acts_of(application: Application, actor: str) -> list[tuple[str, str, str]]:
    """What that operator did to rows and messages: act, subject, reason."""
    commits = application.store.read(acts.STREAM)
    said = [
        e for c in commits if c.actor == actor for e in acts.ACTS_OF_OPERATORS.decode(str(c.events))
    ]
    return [(e.act, e.subject, e.reason) for e in said if isinstance(e, acts.OperatorActed)]

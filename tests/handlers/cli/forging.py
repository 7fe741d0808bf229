"""Somebody with write access to the table, who does what no command does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from commands import (
    AdjustCredits,
    NoteDispute,
    OpenCheckout,
    RecordPayment,
    RecordRefund,
)
from domain.aggregate import Event
from domain.commit import Commit, Meta, Peer
from domain.credits import CREDITS
from domain.packs import Pack
from domain.purchase import Claim, Payment
from infra.bootstrap import Application
from infra.event_store.dynamodb import to_item
from tests.handlers.cli.operators import do, some_work

ACCOUNT = CREDITS.stream("usr_0")


def some_money(application: Application) -> None:
    """Three users with a job each; usr_0 bought credits twice, and lost some of them."""
    some_work(application, 3)
    pack = Pack("hour", "1 hour", 1000, 390, "eur")
    for name in ("one", "two"):
        do(application, OpenCheckout("usr_0", f"pur_{name}", f"cs_{name}", pack))
        paid = Payment(f"cs_{name}", "usr_0", f"pi_{name}", 390, "eur")
        do(application, RecordPayment(f"pur_{name}", paid))
    do(application, RecordRefund("pur_one", 100))
    do(application, NoteDispute("pur_two", "dp_1", Claim(390, "needs_response")))
    do(application, NoteDispute("pur_two", "dp_1", Claim(390, "won")))
    do(application, AdjustCredits("usr_1", 25, "for the trouble", "promotion"))


def commits(application: Application, stream: str = ACCOUNT) -> list[Commit]:
    """A stream as it stands."""
    return list(application.store.read(stream))


def overwrite(application: Application, commit: Commit, **changes: Any) -> Commit:
    """Write a commit over what stands there; its hash stays what it was unless changed."""
    changed = msgspec.structs.replace(commit, **changes)
    client = application.client("dynamodb")
    client.put_item(TableName=application.settings.events_table, Item=to_item(changed))
    return changed


def remove(application: Application, commit: Commit) -> None:
    """Take a commit out of the table."""
    key = {"stream_id": {"S": commit.stream}, "seq": {"N": str(commit.first)}}
    client = application.client("dynamodb")
    client.delete_item(TableName=application.settings.events_table, Key=key)


def add(
    application: Application,
    events: Sequence[Event] | str,
    stream: str = ACCOUNT,
    later: int = 0,
    peers: tuple[Peer, ...] = (),
) -> Commit:
    """Append what a broken program would: well chained. later: ms after the commit before."""
    before = commits(application, stream)
    version, prev, t = (
        (before[-1].last, before[-1].hash, before[-1].t) if before else (0, bytes(32), 1)
    )
    text = events if isinstance(events, str) else msgspec.json.encode(events).decode()
    said = msgspec.json.decode(text, type=list[dict[str, Any]])
    meta = Meta(application.ids.fresh("cmd"), "broken-program")
    commit = Commit(
        stream=stream, first=version + 1, last=version + len(said),
        types=tuple(sorted({each["type"] for each in said})), events=text, cmd=meta.cmd,
        t=t + later, actor=meta.actor, prev=prev,
    ).sealed(peers)  # fmt: skip
    return overwrite(application, commit)

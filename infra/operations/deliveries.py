"""Messages to webhook endpoints: what was tried, and what is due.

===========================  ==========================  ======================================
pk                           sk                          what
===========================  ==========================  ======================================
``deliveries#<user>``        ``<endpoint>#<message>``    the log: a Delivery, for 30 days
``due#<user>``               ``<endpoint>#<ms>#<message>``  one for each that is pending
``hints#<shard>``            ``<s>#<user>#<endpoint>``   look at that endpoint then
``endpoints#<user>``         ``<endpoint>``              whose turn it is, see ``turns``
===========================  ==========================  ======================================

A delivery, its due item and a hint change in one transaction. So for whatever is pending there is
a due item, and for each endpoint with due items at least one hint; see ``turns`` for how hints go.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from domain.ids import fresh
from infra.operations.table import Delete, OperationalTable, Put

if TYPE_CHECKING:
    from commands.ports import Clock

SHARDS = 4
KEEP_SECONDS = 30 * 86_400
PENDING, DELIVERED, FAILED, DROPPED = "pending", "delivered", "failed", "dropped"
# Behind every sort key that begins with what stands before it.
END = "\U0010ffff"


class Attempt(Struct, frozen=True):
    """One POST. at: epoch ms; status: None without an answer, then error says why. excerpt: of
    the answer's body, at most 1 KB.
    """

    at: int
    milliseconds: int
    status: int | None
    error: str
    excerpt: str


class Delivery(Struct, frozen=True, kw_only=True):
    """A message to one endpoint. body: as it is sent, every time the same.

    created, due: epoch ms; due: of the next attempt, None when there will be none. tries: attempts
    since it was asked for last; attempts: the newest of all. status: one of the constants above.
    """

    message_id: str
    user_id: str
    endpoint_id: str
    type: str
    body: str
    created: int
    due: int | None
    status: str = PENDING
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    revision: int = 0


class Due(Struct, frozen=True):
    """A delivery that is to be attempted. due: epoch ms."""

    message_id: str
    due: int


def message_id(endpoint_id: str, stream: str, version: int, kind: str, time: int) -> str:
    """Always the same for the same event and endpoint; sorts by time (epoch ms, of the commit)."""
    text = "\x00".join((endpoint_id, stream, str(version), kind)).encode()
    return fresh("msg", time, hashlib.sha256(text).digest()[:10])


class Deliveries:
    """In the operational table. Raises Unavailable throughout."""

    def __init__(self, table: OperationalTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def add(self, delivery: Delivery) -> bool:
        """A new one, that is due at a time. False when it was added before."""
        return self.record(delivery, delivery)

    def find(self, user_id: str, endpoint_id: str, message_id: str) -> Delivery | None:
        """One of them."""
        return self._table.get(f"deliveries#{user_id}", f"{endpoint_id}#{message_id}", Delivery)

    def page(
        self, user_id: str, endpoint_id: str, limit: int, after: str | None = None
    ) -> tuple[list[Delivery], str | None]:
        """An endpoint's, newest first, and where to go on; None at the end."""
        begins = f"{endpoint_id}#"
        found = self._table.between(
            f"deliveries#{user_id}", Delivery, begins, begins + END, limit + 1,
            after=begins + after if after else "", newest_first=True,
        )  # fmt: skip
        items = [delivery for _, delivery in found[:limit]]
        return items, items[-1].message_id if len(found) > limit else None

    def first_due(self, user_id: str, endpoint_id: str) -> Due | None:
        """The one whose turn is next, be it now or later."""
        begins = f"{endpoint_id}#"
        found = self._table.between(f"due#{user_id}", Due, begins, begins + END, 1)
        return found[0][1] if found else None

    def record(self, before: Delivery, after: Delivery) -> bool:
        """What became of it. False when somebody else has recorded something since."""
        now = self._clock.now()
        kept = replace(after, revision=before.revision + 1)
        place = (f"deliveries#{after.user_id}", f"{after.endpoint_id}#{after.message_id}")
        writes: list[Put | Delete] = [
            Put(*place, kept, now // 1000 + KEEP_SECONDS, before.revision),
        ]
        if before.due is not None and before.due != after.due:
            writes.append(Delete(*_due_place(before, before.due)))
        if after.due is not None:
            expires = max(now, after.due) // 1000 + KEEP_SECONDS
            # Whoever saw an older hint of that place must not take this one away.
            mark = f"{after.message_id}@{kept.revision}"
            due = Due(after.message_id, after.due)
            writes += [
                Put(*_due_place(after, after.due), due, expires),
                Put(*hint_place(after.user_id, after.endpoint_id, after.due, now), mark, expires),
            ]
        return self._table.together(*writes)

    def forget_due(self, user_id: str, endpoint_id: str, due: Due) -> None:
        """The delivery is gone: its time in the log was over."""
        sk = f"{endpoint_id}#{due.due:013d}#{due.message_id}"
        self._table.delete(f"due#{user_id}", sk)

    def again(self, delivery: Delivery) -> Delivery | None:
        """Send it once more, now, and again by the whole schedule. None when it moved meanwhile."""
        wanted = replace(delivery, status=PENDING, tries=0, due=self._clock.now())
        if not self.record(delivery, wanted):
            return None
        return replace(wanted, revision=delivery.revision + 1)


def shard(endpoint_id: str) -> int:
    """Where an endpoint's hints are."""
    return zlib.crc32(endpoint_id.encode()) % SHARDS


def hint_place(user_id: str, endpoint_id: str, due: int, now: int) -> tuple[str, str]:
    """Where a hint for that time (epoch ms) stands. Whole seconds, never before it is due."""
    second = due // 1000 if due <= now else -(-due // 1000)
    return f"hints#{shard(endpoint_id)}", f"{second:010d}#{user_id}#{endpoint_id}"


def _due_place(delivery: Delivery, due: int) -> tuple[str, str]:
    sk = f"{delivery.endpoint_id}#{due:013d}#{delivery.message_id}"
    return f"due#{delivery.user_id}", sk


def forget(table: OperationalTable, user_id: str) -> None:
    """Delete everything about that person's messages. Raises Unavailable; again is harmless."""
    for number in range(SHARDS):
        for sk, _ in table.query(f"hints#{number}", str):
            if sk.split("#")[1] == user_id:
                table.delete(f"hints#{number}", sk)
    for kind in ("due", "endpoints", "deliveries"):
        for sk, _ in table.query(f"{kind}#{user_id}", dict):
            table.delete(f"{kind}#{user_id}", sk)

"""Where everything is kept: one SQLite file, one transaction per request.

A commit is on the disk before anybody hears of it (WAL, synchronous=FULL), so a killed process
loses nothing that was answered.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from infra.local.stripe.objects import KINDS, CheckoutSession, Event, Order, Stored

S = TypeVar("S", bound=Struct)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  place INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they were made
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  purchase TEXT NOT NULL,                   -- the session that it belongs to
  created INTEGER NOT NULL,
  due_at REAL,                              -- when time itself changes it
  body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_of_kind ON objects (kind, place);
CREATE INDEX IF NOT EXISTS objects_of_purchase ON objects (purchase, place);
CREATE INDEX IF NOT EXISTS objects_due ON objects (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS deliveries (
  event TEXT PRIMARY KEY,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL,                             -- null: delivered
  status INTEGER,                           -- what the receiver last answered
  error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  kept_at INTEGER NOT NULL
);
"""
_KEPT_SECONDS = 24 * 3600
_BUSY_SECONDS = 10.0


class Answer(Struct, frozen=True):
    """What an idempotency key was answered with."""

    fingerprint: str
    status: int
    body: bytes


class Delivery(Struct, frozen=True):
    """How the delivery of an event stands. next_at: the next try, None when it was accepted."""

    event: str
    attempts: int
    next_at: float | None
    status: int | None
    error: str


class Selection(Struct, frozen=True, kw_only=True):
    """What a list is about; ``matches`` sees what SQL does not know."""

    kind: str
    purchase: str | None = None
    since: int | None = None
    until: int | None = None
    after: str | None = None
    before: str | None = None
    matches: Callable[[Stored], bool] = lambda _: True


class Transaction:
    """One transaction's reads and writes; only good inside ``Store.transaction``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection.execute

    def get(self, identifier: str, expected: type[S]) -> S | None:
        """The object of that id, if it is one of that type."""
        row = self._sql("SELECT kind, body FROM objects WHERE id = ?", (identifier,)).fetchone()
        found = _decoded(*row) if row else None
        return found if isinstance(found, expected) else None

    def purchase_of(self, identifier: str) -> str | None:
        """The session that the object of that id belongs to."""
        row = self._sql("SELECT purchase FROM objects WHERE id = ?", (identifier,)).fetchone()
        return row[0] if row else None

    def of_purchase(self, session: str) -> list[Stored]:
        """All objects of a purchase but its events, oldest first."""
        rows = self._sql(
            "SELECT kind, body FROM objects WHERE purchase = ? AND kind <> 'event' ORDER BY place",
            (session,),
        )
        return [_decoded(*row) for row in rows]

    def save(self, thing: Stored, purchase: str) -> None:
        """Make it or change it; it keeps its place."""
        self._sql(
            "INSERT INTO objects (id, kind, purchase, created, due_at, body)"
            " VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, body = excluded.body",
            (thing.id, thing.object, purchase, thing.created, _due(thing), _encoded(thing)),
        )

    def newest(self, wanted: Selection) -> Iterator[Stored]:
        """What was made last comes first; with ``before``, what came after that, oldest first."""
        clauses, values = ["kind = ?"], [wanted.kind]
        for clause, value in (
            ("purchase = ?", wanted.purchase),
            ("created >= ?", wanted.since),
            ("created <= ?", wanted.until),
            ("place < (SELECT place FROM objects WHERE id = ?)", wanted.after),
            ("place > (SELECT place FROM objects WHERE id = ?)", wanted.before),
        ):
            if value is not None:
                clauses.append(clause)
                values.append(str(value) if isinstance(value, str) else value)  # type: ignore[arg-type]
        order = "ASC" if wanted.before else "DESC"
        # Every clause is written above; what comes from outside is bound.
        query = (
            f"SELECT kind, body FROM objects WHERE {' AND '.join(clauses)} ORDER BY place {order}"  # noqa: S608
        )
        for row in self._sql(query, values):
            if wanted.matches(found := _decoded(*row)):
                yield found

    def due(self, now: float) -> list[tuple[str, str]]:
        """(kind, session) of what time changes now."""
        query = "SELECT kind, purchase FROM objects WHERE due_at <= ? LIMIT 100"
        return [(kind, purchase) for kind, purchase in self._sql(query, (now,))]

    def enqueue(self, event: str, now: float) -> None:
        """Have it delivered (again) now."""
        self._sql(
            "INSERT INTO deliveries (event, next_at) VALUES (?, ?) ON CONFLICT (event)"
            " DO UPDATE SET next_at = excluded.next_at, attempts = 0",
            (event, now),
        )

    def deliveries(self, now: float, limit: int) -> list[tuple[int, Event]]:
        """(attempts so far, event) of what is to be sent now, oldest first."""
        rows = self._sql(
            "SELECT d.attempts, o.kind, o.body FROM deliveries d JOIN objects o ON o.id = d.event"
            " WHERE d.next_at <= ? ORDER BY o.place LIMIT ?",
            (now, limit),
        )
        found = [(attempts, _decoded(kind, body)) for attempts, kind, body in rows]
        return [(attempts, event) for attempts, event in found if isinstance(event, Event)]

    def note_delivery(self, done: Delivery) -> None:
        """How a try went."""
        self._sql(
            "UPDATE deliveries SET attempts = ?, next_at = ?, status = ?, error = ?"
            " WHERE event = ?",
            (done.attempts, done.next_at, done.status, done.error, done.event),
        )

    def delivery(self, event: str) -> Delivery | None:
        """How an event's delivery stands; None when it is not delivered at all."""
        row = self._sql(
            "SELECT event, attempts, next_at, status, error FROM deliveries WHERE event = ?",
            (event,),
        ).fetchone()
        return Delivery(*row) if row else None

    def hurry(self, now: float) -> None:
        """After a start nothing waits for an old back-off."""
        self._sql("UPDATE deliveries SET next_at = ? WHERE next_at IS NOT NULL", (now,))

    def answer(self, key: str) -> Answer | None:
        """What the key was answered with."""
        row = self._sql("SELECT fingerprint, status, body FROM answers WHERE key = ?", (key,))
        found = row.fetchone()
        return Answer(*found) if found else None

    def keep(self, key: str, answer: Answer, now: int) -> None:
        """Keep an answer for its key, and forget those of yesterday."""
        self._sql("DELETE FROM answers WHERE kept_at < ?", (now - _KEPT_SECONDS,))
        self._sql(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?)",
            (key, answer.fingerprint, answer.status, answer.body, now),
        )


class Store:
    """The file. Any thread may use it; transactions come one after another."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._one_by_one = threading.Lock()
        path.chmod(0o600)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it or, on an exception, nothing."""
        with self._one_by_one:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back itself, when the disk is full for one.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """After this nothing more."""
        with self._one_by_one:
            self._connection.close()


def _encoded(thing: Stored) -> bytes:
    return msgspec.json.encode(thing)


def _decoded(kind: str, body: bytes) -> Stored:
    return msgspec.json.decode(body, type=KINDS[kind])


def _due(thing: Stored) -> float | None:
    if isinstance(thing, CheckoutSession):
        return thing.expires_at if thing.status == "open" else None
    return thing.settles_at if isinstance(thing, Order) else None

"""First answers: what a request with an Idempotency-Key was answered, for whoever sends it again.

One item per user, route and key. It is claimed before the request is carried out, by one write
that also tells who was first, and says the answer afterwards. A process that dies leaves a claim
that ends by itself; whoever sends the request again then has it carried out again, which by
deterministic ids gives the same thing.

The body is sealed under the person's own data key: erasing the person destroys it. Neither key
nor request stand here, only hashes; that of the request is keyed by the Idempotency-Key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import KeyInUse, KeyReused
from infra.operations.table import OperationalTable

if TYPE_CHECKING:
    from commands.ports import Clock

KEEP_SECONDS = 24 * 3600
CLAIM_MS = 60_000
"""Longer than requests take; then the process that had it is held for dead."""
MOST_BYTES = 128 * 1024
"""Of a body that is kept; the request behind a longer one is carried out again."""


class Sealer(Protocol):
    """See infra.personal.PersonalFields."""

    def seal_bytes(self, user_id: str, place: tuple[str, int, str], content: bytes) -> str:
        """Raises NotFound when the person was erased."""

    def open_bytes(self, user_id: str, place: tuple[str, int, str], sealed: str) -> bytes:
        """Raises NotFound when the person was erased."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """made, until: epoch ms; until: of the claim; 0 once there is an answer.

    fingerprint: of the request. holder: whose claim it is. body: sealed; None for an answer that
    is made anew each time.
    """

    fingerprint: str
    made: int
    until: int = 0
    holder: str = ""
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None


class Claim(Struct, frozen=True):
    """The right to carry a request out, and to say what was answered."""

    user_id: str
    place: str
    answer: Answer
    revision: int


class Replay(Struct, frozen=True):
    """What the request was answered before. body: None when it is to be made anew."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class Answers:
    """In the operational table. Raises Unavailable throughout."""

    def __init__(self, table: OperationalTable, sealer: Sealer, clock: Clock) -> None:
        self._table, self._sealer, self._clock = table, sealer, clock

    def claim(self, user_id: str, route: str, key: str, request: bytes) -> Claim | Replay:
        """The right to answer, or the answer that was given. request: all that tells it apart.

        Raises KeyReused for another request under the same key, KeyInUse while the first runs.
        """
        now = self._clock.now()
        place = hashlib.sha256(f"{route}\x00{key}".encode()).hexdigest()[:40]
        fingerprint = hmac.new(key.encode(), request, hashlib.sha256).hexdigest()
        mine = Answer(fingerprint, now, now + CLAIM_MS, secrets.token_hex(8))
        found = self._table.put_new(_partition(user_id), place, mine, _expiry(now))
        if found is None:
            return Claim(user_id, place, mine, 1)
        first, revision = found
        if now - first.made < 1000 * KEEP_SECONDS:
            if not hmac.compare_digest(first.fingerprint, fingerprint):
                raise KeyReused("This Idempotency-Key came with another request; send a new key.")
            if not first.until:
                return self._opened(user_id, place, first)
            if first.until > now:
                raise _in_use()
        # Whoever had it is dead, or its time is over; DynamoDB deletes hours later.
        if not self._table.replace(_partition(user_id), place, mine, revision, _expiry(now)):
            raise _in_use()
        return Claim(user_id, place, mine, revision + 1)

    def keep(
        self, claim: Claim, status: int, headers: tuple[tuple[str, str], ...], body: bytes | None
    ) -> None:
        """Say what was answered. body: None for one that is to be made anew each time.

        Raises NotFound when the person was erased meanwhile.
        """
        sealed = None
        if body is not None:
            place = _bound_to(claim.user_id, claim.place)
            sealed = self._sealer.seal_bytes(claim.user_id, place, zlib.compress(body))
        said = replace(
            claim.answer, until=0, holder="", status=status, headers=headers, body=sealed
        )
        expires = _expiry(claim.answer.made)
        # Refused where the claim took too long and somebody else has it by now.
        self._table.replace(_partition(claim.user_id), claim.place, said, claim.revision, expires)

    def release(self, claim: Claim) -> None:
        """There is no answer to keep; the next request is the first one."""
        self._table.delete_if(_partition(claim.user_id), claim.place, claim.answer)

    def _opened(self, user_id: str, place: str, answer: Answer) -> Replay:
        body = None
        if answer.body is not None:
            bound = _bound_to(user_id, place)
            body = zlib.decompress(self._sealer.open_bytes(user_id, bound, answer.body))
        return Replay(answer.status, answer.headers, body)


def forget(table: OperationalTable, user_id: str) -> None:
    """Delete what a person was answered. Raises Unavailable; again is harmless."""
    table.delete_all(_partition(user_id))


def _partition(user_id: str) -> str:
    return f"answers#{user_id}"


def _bound_to(user_id: str, place: str) -> tuple[str, int, str]:
    return f"answers-{user_id}", 0, place


def _expiry(now: int) -> int:
    return now // 1000 + KEEP_SECONDS


def _in_use() -> KeyInUse:
    return KeyInUse("The first request with this Idempotency-Key is not answered yet. Wait.")

"""Sign-ins that last: families of refresh tokens, each good for one turn (RFC 9700, section 2.2.2).

A refresh token is ``<user>.<session>.<turn>.<MAC>``, so nothing that is kept here opens anything,
and the token of the next turn is the same however often it is made. Using one makes the next turn
the good one. The one before is still answered, with that same next token, for GRACE_SECONDS: two
tabs at once or a lost answer sign nobody out. Any other old token is in two hands; it ends the
whole family.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import Conflict, SessionEnded
from infra.operations.table import OperationalTable

if TYPE_CHECKING:
    from commands.ports import Clock

GRACE_SECONDS = 30
DAY = 24 * 3600
_TOKEN = re.compile(
    r"(?P<user>usr_[0-9a-z]{26})\.(?P<session>ses_[0-9a-z]{26})\.(?P<turn>[1-9][0-9]{0,9})"
    r"\.(?P<mac>[0-9a-f]{64})",
    re.ASCII,
)
_TRIES = 8


class Family(Struct, frozen=True):
    """turn: the good one. turned, begun: epoch seconds. admin, mark: see ``Identity.issue``."""

    turn: int
    turned: int
    begun: int
    admin: bool
    mark: str


class Turned(Struct, frozen=True):
    """A session with the refresh token that is good now.

    begun: epoch seconds; lasts: seconds, if it is not used.
    """

    user_id: str
    session: str
    begun: int
    admin: bool
    mark: str
    token: str
    lasts: int


class Presented(Struct, frozen=True):
    """A refresh token that we made, whatever it is good for by now."""

    user_id: str
    session: str
    turn: int


class Reused(SessionEnded):
    """An old refresh token came again: somebody else may have it, so nobody's is good any more."""

    code = "refresh_token_reused"


class Sessions:
    """In the operational table, ``sessions#<user>``. secret: of the MACs.

    idle: seconds until a session that is not used ends; longest: until any ends.
    """

    def __init__(
        self, table: OperationalTable, clock: Clock, secret: bytes, *, idle: int, longest: int
    ) -> None:
        self._table, self._clock, self._secret = table, clock, secret
        self._idle, self._longest = idle, longest

    def begin(self, user_id: str, session: str, *, admin: bool, mark: str) -> Turned:
        """A family of its own for one sign-in. session: a new id, ``ses_...``."""
        now = self._now()
        family = Family(1, now, now, admin, mark)
        self._table.replace(_partition(user_id), session, family, 0, self._ends(family))
        return self._answer(user_id, session, family)

    def once(self, name: str, seconds: int) -> bool:
        """Whether it is the first time that anybody says that name, for so many seconds."""
        until = self._now() + seconds
        digest = hashlib.sha256(name.encode()).hexdigest()
        return self._table.replace(f"once#{digest}", "once", {}, 0, until)

    def read(self, token: str) -> Presented:
        """Raises SessionEnded for what is no token of ours."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise _over()
        user_id, session, turn = found["user"], found["session"], int(found["turn"])
        if not hmac.compare_digest(found["mac"], self._mac(user_id, session, turn)):
            raise _over()
        return Presented(user_id, session, turn)

    def turn(self, token: str) -> Turned:
        """Use a refresh token. Raises SessionEnded; Reused, and then the family has ended."""
        asked = self.read(token)
        for _ in range(_TRIES):
            family = self._alive(asked)
            if asked.turn == family.turn:
                following = replace(family, turn=family.turn + 1, turned=self._now())
                ends = self._ends(following)
                place = _partition(asked.user_id), asked.session
                # A family's revision is its turn.
                if self._table.replace(*place, following, family.turn, ends):
                    return self._answer(asked.user_id, asked.session, following)
                continue  # another tab was first, or it was signed out: look again
            late = self._now() - family.turned > GRACE_SECONDS
            if asked.turn != family.turn - 1 or late:
                self.end(asked)
                raise Reused(
                    "This refresh token was used before, so whoever has its successors is signed "
                    "out as well; sign in again."
                )
            return self._answer(asked.user_id, asked.session, family)
        raise Conflict("This session is refreshed at too many places at once; try again.")

    def _alive(self, asked: Presented) -> Family:
        family = self._table.get(_partition(asked.user_id), asked.session, Family)
        if family is None or self._now() >= self._ends(family):
            raise _over()
        return family

    def end(self, session: Presented) -> None:
        """No refresh token of that sign-in is good any more; again is harmless."""
        self._table.delete(_partition(session.user_id), session.session)

    def end_all(self, user_id: str) -> None:
        """The same for all sign-ins of a person."""
        forget(self._table, user_id)

    def _answer(self, user_id: str, session: str, family: Family) -> Turned:
        mac = self._mac(user_id, session, family.turn)
        token = f"{user_id}.{session}.{family.turn}.{mac}"
        lasts = self._ends(family) - self._now()
        return Turned(user_id, session, family.begun, family.admin, family.mark, token, lasts)

    def _mac(self, user_id: str, session: str, turn: int) -> str:
        text = f"{user_id}.{session}.{turn}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()

    def _ends(self, family: Family) -> int:
        return min(family.turned + self._idle, family.begun + self._longest)

    def _now(self) -> int:
        return self._clock.now() // 1000


def forget(table: OperationalTable, user_id: str) -> None:
    """Nothing is left of a person."""
    for session, _ in list(table.query(_partition(user_id), Family)):
        table.delete(_partition(user_id), session)


def _over() -> SessionEnded:
    return SessionEnded("You are signed out: sign in again.")


def _partition(user_id: str) -> str:
    return f"sessions#{user_id}"

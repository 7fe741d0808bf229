"""A signed-in person, with what is sealed opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta as Rule
from msgspec import Struct

from commands.users import person_of
from domain.api_keys import SCOPES
from domain.commit import Commit
from domain.sealed import Sealed
from domain.user import USER, present
from handlers.api.renderings import Moment, moment
from handlers.api.service import Service
from infra.identity import Caller

Scope = Annotated[str, Rule(extra_json_schema={"enum": list(SCOPES)})]


class Me(Struct, frozen=True, kw_only=True):
    """The person that the token or API key speaks for.

    issuer: where the person signs in. admin: on the list of administrators, with a token that was
    asked for as one's. scopes: what the API key may do; null for a signed-in person, who may do
    everything.
    """

    user_id: str
    email: str
    issuer: str
    created_at: Moment
    admin: bool
    scopes: list[Scope] | None
    stream: str
    version: int


class Opened:
    """A person's state. Raises AccountErased, NotFound. Blocks."""

    def __init__(self, service: Service, user_id: str) -> None:
        self._personal = service.application.personal
        loaded = person_of(service.application.context, user_id)
        self.state, self.stream = present(loaded.state), loaded.tip.stream
        self.version = loaded.version

    def field(self, sealed: Sealed) -> str:
        """The text of a sealed field."""
        place = (self.stream, sealed.version, sealed.field)
        return self._personal.open(self.state.user_id, place, sealed.text)


def me_of(service: Service, user_id: str, caller: Caller | None = None) -> Me:
    """caller: with what rights. Raises AccountErased, NotFound. Blocks."""
    person = Opened(service, user_id)
    email = person.state.email
    assert email is not None  # everybody who is present signed up with one
    admin = caller and caller.admin and service.application.identity.is_listed(caller.mark)
    scopes = caller.scopes if caller else None
    return Me(
        user_id=user_id,
        email=person.field(email),
        issuer=person.state.issuer,
        created_at=moment(_signed_up(service, email.version, user_id)),
        admin=bool(admin),
        scopes=None if scopes is None else list(scopes),
        stream=person.stream,
        version=person.version,
    )


def _signed_up(service: Service, version: int, user_id: str) -> int:
    commits: Iterator[Commit] = service.application.store.newest_first(USER.stream(user_id))
    return next(commit.t for commit in commits if commit.first <= version)

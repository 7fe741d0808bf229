"""Commands on people: they come, let programs act for them, and go."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from commands.repetition import committed, reused
from domain import api_keys, credits, user
from domain.commit import Append, Loaded, Meta
from domain.credits import CreditsGranted
from domain.errors import Invalid
from domain.ids import derived
from domain.reasons import stated
from domain.sealed import Sealed
from domain.user import USER, ApiKeyCreated, UserSignedUp, UserState

MOST_NAME = 100
MOST_KEY_YEARS = 10
YEAR_MS = 366 * 24 * 3_600_000


class SignUp(Command, frozen=True):
    """Create the user and grant the signup credits; for a known user, nothing."""

    user_id: str
    issuer: str
    email: str


class CreateApiKey(Command, frozen=True):
    """digest: of the key's text, see ``domain.api_keys``. expires: epoch ms."""

    user_id: str
    key_id: str
    name: str
    digest: str
    scopes: tuple[str, ...]
    expires: int | None = None


class RevokeApiKey(Command, frozen=True):
    """End a key at once."""

    user_id: str
    key_id: str


class EraseUser(Command, frozen=True):
    """Forget a person. What belongs to them follows: the commit wakes the janitor."""

    user_id: str
    reason: str


class FinishErasure(Command, frozen=True):
    """The janitor's last word. removed: objects of storage that are gone."""

    user_id: str
    removed: int


@handles(SignUp)
def sign_up(context: Context, command: SignUp, meta: Meta) -> tuple[Position, ...]:
    """The user and the account that pays come into being together.

    Who comes back after having been erased gets no second gift. Raises BeingErased.
    """
    user_id = command.user_id
    person = person_of(context, user_id)
    if person.state.present:
        return (Position(person.tip.stream, person.version),)
    account = account_of(context, user_id)
    email = sealed(context, person, "email", command.email)
    signed_up = UserSignedUp(user_id, command.issuer, email.text, email.version)
    gift = CreditsGranted(
        user_id, derived("grt", user_id, "signup"), "signup", context.signup_grant
    )
    known = person.state.erased
    given = [] if known else credits.grant(account.state, gift, moment(context, account))
    return context.commit(
        meta,
        Append(person, user.sign_up(person.state, signed_up)),
        Append(account, given),
    )


@handles(CreateApiKey)
def create_api_key(context: Context, command: CreateApiKey, meta: Meta) -> tuple[Position, ...]:
    """Once for each command id, also when the key is revoked since.

    Raises Invalid, Refused, KeyReused, AccountErased.
    """
    name = command.name.strip()
    if not 0 < len(name) <= MOST_NAME:
        raise Invalid(
            f"A key needs a name of 1 to {MOST_NAME} characters.",
            errors=[{"pointer": "#/name", "detail": "Empty, or too long."}],
        )
    now, scopes = context.clock.now(), api_keys.known_scopes(command.scopes)
    person = person_of(context, command.user_id)
    user.present(person.state)
    for earlier in committed(context, person, meta):
        if isinstance(earlier, ApiKeyCreated) and _same_key(earlier, command, scopes):
            return (Position(person.tip.stream, person.version),)
        raise reused()
    _require_later(command.expires, now)
    created = ApiKeyCreated(
        command.user_id, command.key_id, sealed(context, person, "name", name), command.digest,
        scopes, now, command.expires,
    )  # fmt: skip
    return context.commit(meta, Append(person, user.create_key(person.state, created)))


def _same_key(made: ApiKeyCreated, command: CreateApiKey, scopes: tuple[str, ...]) -> bool:
    wished = (command.key_id, scopes, command.expires)
    return (made.key_id, made.scopes, made.expires) == wished


def _require_later(expires: int | None, now: int) -> None:
    if expires is None or now < expires <= now + MOST_KEY_YEARS * YEAR_MS:
        return
    raise Invalid(
        f"A key ends later than now, and within {MOST_KEY_YEARS} years; or leave its end out.",
        errors=[{"pointer": "#/expires_at", "detail": "In the past, or too far away."}],
    )


@handles(RevokeApiKey)
def revoke_api_key(context: Context, command: RevokeApiKey, meta: Meta) -> tuple[Position, ...]:
    """Raises NotFound, AccountErased."""
    person = person_of(context, command.user_id)
    return context.commit(meta, Append(person, user.revoke_key(person.state, command.key_id)))


@handles(EraseUser)
def erase_user(context: Context, command: EraseUser, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises Invalid without a reason, NotFound."""
    person = person_of(context, command.user_id)
    events = user.erase(person.state, stated(command.reason))
    return context.commit(meta, Append(person, events))


@handles(FinishErasure)
def finish_erasure(context: Context, command: FinishErasure, meta: Meta) -> tuple[Position, ...]:
    """Once for each erasure."""
    person = person_of(context, command.user_id)
    return context.commit(
        meta, Append(person, user.erasure_finished(person.state, command.removed))
    )


def person_of(context: Context, user_id: str) -> Loaded[UserState]:
    """A person's stream as it stands."""
    return context.store.load(USER, USER.stream(user_id))


def sealed(context: Context, person: Loaded[UserState], field: str, text: str) -> Sealed:
    """Text for the first event that is appended to the person's stream now."""
    version = person.version + 1
    place = (person.tip.stream, version, field)
    user_id = person.tip.stream.partition("-")[2]
    return Sealed(context.sealer.seal(user_id, place, text), version, field)

"""Commands on people: they come, let programs act for them, and go."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from domain import api_keys, credits, user
from domain.commit import Append, Loaded, Meta
from domain.credits import CreditsGranted
from domain.errors import Invalid
from domain.ids import derived
from domain.reasons import stated
from domain.sealed import Sealed
from domain.user import USER, UserSignedUp, UserState

MOST_NAME = 100


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
    """Once for each key id. Raises Invalid, Refused, AccountErased."""
    name = command.name.strip()
    if not 0 < len(name) <= MOST_NAME:
        raise Invalid(
            f"A key needs a name of 1 to {MOST_NAME} characters.",
            errors=[{"pointer": "#/name", "detail": "Empty, or too long."}],
        )
    now = context.clock.now()
    if command.expires is not None and command.expires <= now:
        raise Invalid(
            "This key would be over before it is made; name a later time.",
            errors=[{"pointer": "#/expires_at", "detail": "In the past."}],
        )
    person = person_of(context, command.user_id)
    user.present(person.state)
    created = user.ApiKeyCreated(
        command.user_id, command.key_id, sealed(context, person, "name", name), command.digest,
        api_keys.known_scopes(command.scopes), now, command.expires,
    )  # fmt: skip
    return context.commit(meta, Append(person, user.create_key(person.state, created)))


@handles(RevokeApiKey)
def revoke_api_key(context: Context, command: RevokeApiKey, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless."""
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

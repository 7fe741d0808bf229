"""Commands on users."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from domain import credits, user
from domain.commit import Append, Meta
from domain.credits import CreditsGranted
from domain.ids import derived
from domain.user import USER


class SignUp(Command, frozen=True):
    """Create the user and grant the signup credits; for a known user, nothing."""

    user_id: str
    issuer: str
    email: str


@handles(SignUp)
def sign_up(context: Context, command: SignUp, meta: Meta) -> tuple[Position, ...]:
    """The user and the account that pays come into being together."""
    user_id = command.user_id
    person = context.store.load(USER, USER.stream(user_id))
    if person.version:
        return (Position(person.tip.stream, person.version),)
    account = account_of(context, user_id)
    place = (person.tip.stream, person.version + 1, "email")
    email = context.sealer.seal(user_id, place, command.email)
    gift = CreditsGranted(
        user_id, derived("grt", user_id, "signup"), "signup", context.signup_grant
    )
    return context.commit(
        meta,
        Append(person, user.sign_up(person.state, user_id, command.issuer, email)),
        Append(account, credits.grant(account.state, gift, moment(context, account))),
    )

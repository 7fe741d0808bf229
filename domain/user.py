"""A person. The only stream with personal fields, each sealed under the person's own key."""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Aggregate, Event

# --- events (these names are the storage format) ---------------------------------------


class UserSignedUp(Event, frozen=True):
    """email: sealed (AES-GCM, base64); nobody can read it once the data key is destroyed."""

    user_id: str
    issuer: str
    email: str


# --- state ------------------------------------------------------------------------------


class UserState(Struct):
    """issuer is empty until the person has signed up."""

    user_id: str = ""
    issuer: str = ""
    email: str = ""


def evolve(state: UserState, event: UserSignedUp) -> UserState:
    """Fold one event."""
    state.user_id = event.user_id
    state.issuer = event.issuer
    state.email = event.email
    return state


USER = Aggregate("user", (UserSignedUp,), UserState, evolve)

# --- decisions --------------------------------------------------------------------------


def sign_up(state: UserState, user_id: str, issuer: str, email: str) -> list[Event]:
    """Signing up twice is signing in: no events."""
    return [] if state.issuer else [UserSignedUp(user_id, issuer, email)]

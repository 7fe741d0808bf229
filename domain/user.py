"""A person: who signs in, with which keys programs act for them, and who is told of their jobs.

Personal fields are sealed under the person's own key (``domain.sealed``), so that erasing the
person is destroying that key. After ``UserErased`` nothing of the state is left; whoever signs
in with the same account later is the same user id and a new person.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from domain.aggregate import Aggregate, Event
from domain.api_keys import ApiKey
from domain.endpoints import Endpoint
from domain.errors import AccountErased, BeingErased, Invalid, NotFound, Refused
from domain.sealed import Sealed

# --- events (these names are the storage format) ---------------------------------------


class UserSignedUp(Event, frozen=True):
    """email: sealed as the field ``email`` of the version ``sealed_at``."""

    user_id: str
    issuer: str
    email: str
    sealed_at: int = 1


class UserErased(Event, frozen=True):
    """The person asked to be forgotten, or an administrator did; this wakes the janitor."""

    user_id: str
    reason: str


class UserErasureFinished(Event, frozen=True):
    """Keys, media, rows and operational items of the person are gone. removed: objects."""

    user_id: str
    removed: int


class ApiKeyCreated(Event, frozen=True):
    """digest: SHA-256 of the whole key, in hex; nobody keeps the key itself."""

    user_id: str
    key_id: str
    name: Sealed
    digest: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None = None


class ApiKeyRevoked(Event, frozen=True):
    """From now on nobody acts with it."""

    user_id: str
    key_id: str


class WebhookEndpointAdded(Event, frozen=True):
    """types: of the messages that it wants; none for all of them."""

    user_id: str
    endpoint_id: str
    url: Sealed
    secret: Sealed
    types: tuple[str, ...]
    created: int


class WebhookEndpointChanged(Event, frozen=True):
    """What it is from now on."""

    user_id: str
    endpoint_id: str
    url: Sealed
    types: tuple[str, ...]


class WebhookSecretRotated(Event, frozen=True):
    """Messages are signed with the old secret as well until ``old_until``, epoch ms."""

    user_id: str
    endpoint_id: str
    secret: Sealed
    old_until: int


class WebhookEndpointDisabled(Event, frozen=True):
    """Nothing is sent any more. reason: asked, gone (it answered 410) or failing (for days)."""

    user_id: str
    endpoint_id: str
    reason: str


class WebhookEndpointEnabled(Event, frozen=True):
    """Messages of what happens from now on are sent again."""

    user_id: str
    endpoint_id: str


class WebhookEndpointRemoved(Event, frozen=True):
    """Gone for good, with its secrets."""

    user_id: str
    endpoint_id: str


# --- state ------------------------------------------------------------------------------


class UserState(Struct):
    """issuer is empty until the person has signed up, and once it is erased.

    erased: there was a person. erasing: the janitor is not done yet.
    """

    user_id: str = ""
    issuer: str = ""
    email: Sealed | None = None
    keys: dict[str, ApiKey] = {}
    endpoints: dict[str, Endpoint] = {}
    erased: bool = False
    erasing: bool = False

    @property
    def present(self) -> bool:
        """Whether somebody is signed up."""
        return bool(self.issuer)


def evolve(state: UserState, event: Event) -> UserState:
    """Fold one event."""
    match event:
        case UserSignedUp():
            state = UserState(event.user_id, event.issuer)
            state.email = Sealed(event.email, event.sealed_at, "email")
        case UserErased():
            state = UserState(event.user_id, erased=True, erasing=True)
        case UserErasureFinished():
            state.erasing = False
        case ApiKeyCreated() as e:
            made = ApiKey(e.key_id, e.name, e.digest, e.scopes, e.created, e.expires)
            state.keys = state.keys | {e.key_id: made}
        case ApiKeyRevoked():
            state.keys = {k: v for k, v in state.keys.items() if k != event.key_id}
        case _:
            _evolve_endpoints(state, event)
    return state


def _evolve_endpoints(state: UserState, event: Event) -> None:
    match event:
        case WebhookEndpointAdded() as e:
            added = Endpoint(e.endpoint_id, e.url, e.secret, e.types, e.created)
            state.endpoints = state.endpoints | {e.endpoint_id: added}
        case WebhookEndpointChanged() as e:
            _change(state, e.endpoint_id, url=e.url, types=e.types)
        case WebhookSecretRotated() as e:
            old = state.endpoints[e.endpoint_id].secret
            _change(state, e.endpoint_id, secret=e.secret, old_secret=old, old_until=e.old_until)
        case WebhookEndpointDisabled() as e:
            _change(state, e.endpoint_id, disabled=e.reason)
        case WebhookEndpointEnabled() as e:
            _change(state, e.endpoint_id, disabled="")
        case WebhookEndpointRemoved() as e:
            state.endpoints = {k: v for k, v in state.endpoints.items() if k != e.endpoint_id}


def _change(state: UserState, endpoint_id: str, **fields: object) -> None:
    changed = replace(state.endpoints[endpoint_id], **fields)
    state.endpoints = state.endpoints | {endpoint_id: changed}


EVENTS = (
    UserSignedUp, UserErased, UserErasureFinished, ApiKeyCreated, ApiKeyRevoked,
    WebhookEndpointAdded, WebhookEndpointChanged, WebhookSecretRotated,
    WebhookEndpointDisabled, WebhookEndpointEnabled, WebhookEndpointRemoved,
)  # fmt: skip
USER = Aggregate("user", EVENTS, UserState, evolve)

# --- decisions --------------------------------------------------------------------------

MOST_KEYS, MOST_ENDPOINTS = 20, 10


def sign_up(state: UserState, person: UserSignedUp) -> list[Event]:
    """Signing up twice is signing in: no events. Raises BeingErased, while the person that was
    here before is: the new one's key must not be destroyed with the old one's.
    """
    if state.erasing:
        raise BeingErased("Your account is being erased. Sign up again in a few minutes.")
    return [] if state.present else [person]


def erase(state: UserState, reason: str) -> list[Event]:
    """Forget the person; again is harmless. Raises NotFound for nobody."""
    if state.erased and not state.present:
        return []
    return [UserErased(present(state).user_id, reason)]


def erasure_finished(state: UserState, removed: int) -> list[Event]:
    """Said once for each erasure."""
    return [UserErasureFinished(state.user_id, removed)] if state.erasing else []


def create_key(state: UserState, key: ApiKeyCreated) -> list[Event]:
    """Once for each id. Raises Refused when there are too many, AccountErased."""
    if key.key_id in present(state).keys:
        return []
    if len(state.keys) >= MOST_KEYS:
        raise Refused(f"There are {MOST_KEYS} API keys already; revoke one that is not used.")
    return [key]


def revoke_key(state: UserState, key_id: str) -> list[Event]:
    """Raises NotFound for a key that is not there, or not any more."""
    if key_id not in present(state).keys:
        raise NotFound("You have no such API key.")
    return [ApiKeyRevoked(state.user_id, key_id)]


def add_endpoint(state: UserState, added: WebhookEndpointAdded) -> list[Event]:
    """Once for each id. Raises Refused when there are too many, AccountErased."""
    if added.endpoint_id in present(state).endpoints:
        return []
    if len(state.endpoints) >= MOST_ENDPOINTS:
        raise Refused(f"There are {MOST_ENDPOINTS} webhook endpoints already; remove one.")
    return [added]


def change_endpoint(state: UserState, changed: WebhookEndpointChanged) -> list[Event]:
    """Raises NotFound."""
    endpoint(state, changed.endpoint_id)
    return [changed]


def rotate_secret(state: UserState, rotated: WebhookSecretRotated, now: int) -> list[Event]:
    """Raises NotFound; Invalid where the old secret would be good for ever or never was."""
    endpoint(state, rotated.endpoint_id)
    if not now <= rotated.old_until <= now + MOST_OVERLAP_MS:
        raise Invalid("An old secret may stay good for 0 to 168 hours.")
    return [rotated]


MOST_OVERLAP_MS = 168 * 3_600_000


def disable_endpoint(state: UserState, endpoint_id: str, reason: str) -> list[Event]:
    """Again is harmless. Raises NotFound."""
    if endpoint(state, endpoint_id).disabled:
        return []
    return [WebhookEndpointDisabled(state.user_id, endpoint_id, reason)]


def enable_endpoint(state: UserState, endpoint_id: str) -> list[Event]:
    """Again is harmless. Raises NotFound."""
    if not endpoint(state, endpoint_id).disabled:
        return []
    return [WebhookEndpointEnabled(state.user_id, endpoint_id)]


def remove_endpoint(state: UserState, endpoint_id: str) -> list[Event]:
    """Again is harmless."""
    if endpoint_id not in present(state).endpoints:
        return []
    return [WebhookEndpointRemoved(state.user_id, endpoint_id)]


def endpoint(state: UserState, endpoint_id: str) -> Endpoint:
    """The person's endpoint. Raises NotFound, AccountErased."""
    found = present(state).endpoints.get(endpoint_id)
    if found is None:
        raise NotFound("You have no such webhook endpoint.")
    return found


def present(state: UserState) -> UserState:
    """The state of somebody who is signed up. Raises AccountErased, or NotFound for nobody."""
    if state.present:
        return state
    if state.erased:
        raise AccountErased("This account was erased. Sign up again to begin anew.")
    raise NotFound("There is no such user.")

"""Commands on webhook endpoints: whom a person wants told of what happens."""

from __future__ import annotations

from commands.dispatch import Command, Context, Position, handles
from commands.users import person_of, sealed
from domain import user
from domain.aggregate import Event
from domain.commit import Append, Meta
from domain.endpoints import known_types


class AddWebhookEndpoint(Command, frozen=True):
    """url: that was looked at already; secret: ``whsec_...``; types: none for all of them."""

    user_id: str
    endpoint_id: str
    url: str
    secret: str
    types: tuple[str, ...] = ()


class ChangeWebhookEndpoint(Command, frozen=True):
    """url and types as they shall be; None leaves one as it is."""

    user_id: str
    endpoint_id: str
    url: str | None = None
    types: tuple[str, ...] | None = None


class RotateWebhookSecret(Command, frozen=True):
    """overlap: for how long, in ms, messages are signed with the old secret as well."""

    user_id: str
    endpoint_id: str
    secret: str
    overlap: int


class DisableWebhookEndpoint(Command, frozen=True):
    """reason: one of ``domain.endpoints``. url_version: at which the URL was sealed that the
    reason is about; when it is another one by now, nothing happens. 0: whatever it is.
    """

    user_id: str
    endpoint_id: str
    reason: str
    url_version: int = 0


class EnableWebhookEndpoint(Command, frozen=True):
    """Send again what happens from now on."""

    user_id: str
    endpoint_id: str


class RemoveWebhookEndpoint(Command, frozen=True):
    """For good."""

    user_id: str
    endpoint_id: str


@handles(AddWebhookEndpoint)
def add(context: Context, command: AddWebhookEndpoint, meta: Meta) -> tuple[Position, ...]:
    """Once for each endpoint id. Raises Invalid, Refused, AccountErased."""
    person = person_of(context, command.user_id)
    user.present(person.state)
    added = user.WebhookEndpointAdded(
        command.user_id, command.endpoint_id,
        sealed(context, person, "url", command.url),
        sealed(context, person, "secret", command.secret),
        known_types(command.types), context.clock.now(),
    )  # fmt: skip
    return context.commit(meta, Append(person, user.add_endpoint(person.state, added)))


@handles(ChangeWebhookEndpoint)
def change(context: Context, command: ChangeWebhookEndpoint, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid, NotFound, AccountErased."""
    person = person_of(context, command.user_id)
    endpoint = user.endpoint(person.state, command.endpoint_id)
    events: list[Event] = []
    types = endpoint.types if command.types is None else known_types(command.types)
    if command.url is not None or types != endpoint.types:
        # Text that stays is in the place that it was sealed for.
        url = endpoint.url if command.url is None else sealed(context, person, "url", command.url)
        changed = user.WebhookEndpointChanged(command.user_id, command.endpoint_id, url, types)
        events = user.change_endpoint(person.state, changed)
    return context.commit(meta, Append(person, events))


@handles(RotateWebhookSecret)
def rotate(context: Context, command: RotateWebhookSecret, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid, NotFound, AccountErased."""
    person = person_of(context, command.user_id)
    user.endpoint(person.state, command.endpoint_id)
    now = context.clock.now()
    rotated = user.WebhookSecretRotated(
        command.user_id, command.endpoint_id,
        sealed(context, person, "secret", command.secret), now + command.overlap,
    )  # fmt: skip
    events = user.rotate_secret(person.state, rotated, now)
    return context.commit(meta, Append(person, events))


@handles(DisableWebhookEndpoint)
def disable(context: Context, command: DisableWebhookEndpoint, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises NotFound, AccountErased."""
    person = person_of(context, command.user_id)
    events = user.disable_endpoint(person.state, command.endpoint_id, command.reason)
    endpoint = user.endpoint(person.state, command.endpoint_id)
    if command.url_version not in (0, endpoint.url.version):
        events = []
    return context.commit(meta, Append(person, events))


@handles(EnableWebhookEndpoint)
def enable(context: Context, command: EnableWebhookEndpoint, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises NotFound, AccountErased."""
    person = person_of(context, command.user_id)
    events = user.enable_endpoint(person.state, command.endpoint_id)
    return context.commit(meta, Append(person, events))


@handles(RemoveWebhookEndpoint)
def remove(context: Context, command: RemoveWebhookEndpoint, meta: Meta) -> tuple[Position, ...]:
    """Again is harmless. Raises AccountErased."""
    person = person_of(context, command.user_id)
    events = user.remove_endpoint(person.state, command.endpoint_id)
    return context.commit(meta, Append(person, events))

"""People: keys and endpoints come and go, and erasing leaves nothing."""

from __future__ import annotations

import pytest

from domain import api_keys, user
from domain.aggregate import Event
from domain.errors import AccountErased, BeingErased, Invalid, NotFound, Refused, Unauthenticated
from domain.ids import derived
from domain.sealed import Sealed
from domain.user import USER, UserSignedUp, UserState

ANN = derived("usr", "ann")
NAME = Sealed("c2VhbGVk", 2, "name")


def folded(*events: Event) -> UserState:
    return USER.fold(events)


@pytest.fixture
def ann() -> UserState:
    return folded(UserSignedUp(ANN, "issuer", "c2VhbGVk"))


def key(number: int = 0) -> user.ApiKeyCreated:
    return user.ApiKeyCreated(ANN, derived("key", str(number)), NAME, "digest", ("read",), 1)


def endpoint(number: int = 0) -> user.WebhookEndpointAdded:
    return user.WebhookEndpointAdded(ANN, derived("whk", str(number)), NAME, NAME, (), 1)


def after(state: UserState, events: list[Event]) -> UserState:
    return USER.fold(events, state)


def test_signing_up_twice_is_signing_in(ann: UserState) -> None:
    assert user.sign_up(ann, UserSignedUp(ANN, "issuer", "other")) == []


def test_erasing_leaves_nothing_and_another_person_may_come(ann: UserState) -> None:
    ann = after(ann, [*user.create_key(ann, key()), *user.add_endpoint(ann, endpoint())])
    gone = after(ann, user.erase(ann, "asked"))
    assert (gone.keys, gone.endpoints, gone.email, gone.present) == ({}, {}, None, False)
    assert user.erase(gone, "again") == []
    again = UserSignedUp(ANN, "issuer", "new", 9)
    with pytest.raises(BeingErased):
        user.sign_up(gone, again)
    with pytest.raises(AccountErased):
        user.create_key(gone, key())
    done = after(gone, user.erasure_finished(gone, 3))
    assert user.erasure_finished(done, 3) == []
    back = after(done, user.sign_up(done, again))
    assert back.present
    assert back.email == Sealed("new", 9, "email")


def test_nobody_has_no_keys() -> None:
    with pytest.raises(NotFound):
        user.create_key(UserState(), key())


def test_keys_are_bounded_and_revocable(ann: UserState) -> None:
    for number in range(user.MOST_KEYS):
        ann = after(ann, user.create_key(ann, key(number)))
    assert user.create_key(ann, key(0)) == []
    with pytest.raises(Refused):
        user.create_key(ann, key(99))
    ann = after(ann, user.revoke_key(ann, key(0).key_id))
    assert key(0).key_id not in ann.keys
    with pytest.raises(NotFound):
        user.revoke_key(ann, key(0).key_id)
    assert user.create_key(ann, key(99))


def test_an_endpoint_keeps_its_old_secret_for_a_while(ann: UserState) -> None:
    ann = after(ann, user.add_endpoint(ann, endpoint()))
    place = endpoint().endpoint_id
    rotated = user.WebhookSecretRotated(ANN, place, Sealed("fresh", 3, "secret"), 5_000)
    ann = after(ann, user.rotate_secret(ann, rotated, 1_000))
    found = user.endpoint(ann, place)
    assert (found.secret.text, found.old_secret, found.old_until) == ("fresh", NAME, 5_000)
    with pytest.raises(Invalid):
        user.rotate_secret(ann, rotated, 6_000)
    with pytest.raises(Invalid):
        user.rotate_secret(ann, rotated, 5_000 - user.MOST_OVERLAP_MS - 1)


def test_a_disabled_endpoint_wants_nothing(ann: UserState) -> None:
    ann = after(ann, user.add_endpoint(ann, endpoint()))
    place = endpoint().endpoint_id
    assert user.endpoint(ann, place).wants("job.completed")
    ann = after(ann, user.disable_endpoint(ann, place, "gone"))
    assert not user.endpoint(ann, place).wants("job.completed")
    assert user.disable_endpoint(ann, place, "asked") == []
    ann = after(ann, user.enable_endpoint(ann, place))
    assert user.enable_endpoint(ann, place) == []
    ann = after(ann, user.remove_endpoint(ann, place))
    assert user.remove_endpoint(ann, place) == []
    with pytest.raises(NotFound):
        user.endpoint(ann, place)


def test_a_key_says_whose_it_is_and_that_it_is_whole() -> None:
    made = api_keys.compose(ANN, key().key_id, bytes(range(api_keys.SECRET_BYTES)))
    assert api_keys.parse(made) == api_keys.Named(ANN, key().key_id)
    for place in (0, 5, 40, 70, len(made) - 1):
        broken = made[:place] + ("1" if made[place] != "1" else "2") + made[place + 1 :]
        with pytest.raises(Unauthenticated):
            api_keys.parse(broken)
    for broken in ("", "ssk_", made[:-1], made + "0", made.upper()):
        with pytest.raises(Unauthenticated):
            api_keys.parse(broken)


def test_a_key_opens_until_it_expires() -> None:
    text = api_keys.compose(ANN, key().key_id, bytes(api_keys.SECRET_BYTES))
    made = api_keys.ApiKey(key().key_id, NAME, api_keys.digest(text), ("read",), 1, expires=10)
    assert made.opens(text, 9)
    assert not made.opens(text, 10)
    assert not made.opens(text + "0", 9)


@pytest.mark.parametrize("scopes", [(), ("everything",), ("read", "admin")])
def test_scopes_are_known(scopes: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        api_keys.known_scopes(scopes)

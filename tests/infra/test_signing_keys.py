from __future__ import annotations

import stat
from pathlib import Path

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from domain.errors import Invalid, Unauthenticated
from infra.clock import SystemClock
from infra.identity import Caller, Identity, SigningKeys
from infra.identity.ring import (
    LONGEST_TOKEN_SECONDS,
    PUBLISHED_SECONDS,
    RELOAD_SECONDS,
    thumbprint,
)
from infra.keys import KeyFiles
from infra.settings import Settings

NAMES = {f.name: f.name for f in msgspec.structs.fields(Settings) if f.required}


class Clock:
    """A clock that is turned by hand, in seconds."""

    def __init__(self, seconds: int = 1_800_000_000) -> None:
        self.seconds = seconds

    def now(self) -> int:
        return self.seconds * 1000


def identity(keys: Path) -> Identity:
    settings = msgspec.convert({**NAMES, "keys": keys}, Settings, strict=False)
    return Identity(KeyFiles(keys), settings, SystemClock())


def pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def kids(ring: SigningKeys) -> list[str]:
    return [key.kid for key in ring.published()]


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    """RFC 8037, appendix A.3."""
    x = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    known = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert thumbprint(Ed25519PublicKey.from_public_bytes(x)) == known


def test_the_key_of_earlier_versions_is_the_first(tmp_path: Path) -> None:
    old = Ed25519PrivateKey.generate()
    KeyFiles(tmp_path).get_or_make("signing.pem", lambda: pem(old))
    ring = SigningKeys(KeyFiles(tmp_path), Clock())
    assert kids(ring) == [thumbprint(old.public_key())]
    ring.rotate()
    assert kids(SigningKeys(KeyFiles(tmp_path), Clock()))[0] == thumbprint(old.public_key())
    assert KeyFiles(tmp_path).get("signing.pem") is None


def test_a_new_key_is_published_before_it_signs_and_the_old_one_outlives_its_tokens(
    tmp_path: Path,
) -> None:
    clock = Clock()
    ring, other = (SigningKeys(KeyFiles(tmp_path), clock) for _ in range(2))
    old = ring.signing()
    assert kids(other) == [old.kid]
    new = ring.rotate()
    assert kids(ring) == [old.kid, new.kid]
    assert ring.signing() == old
    clock.seconds += RELOAD_SECONDS
    assert kids(other) == [old.kid, new.kid], "a running process reads the ring again"
    clock.seconds += PUBLISHED_SECONDS - RELOAD_SECONDS
    assert ring.signing() == other.signing() == new
    clock.seconds += LONGEST_TOKEN_SECONDS
    assert other.find(old.kid) == old
    clock.seconds += 2 * RELOAD_SECONDS
    assert other.find(old.kid) is None
    assert kids(ring) == [new.kid]
    ring.rotate()
    assert old.kid.encode() not in (KeyFiles(tmp_path).get("signing-ring.json") or b"")


def test_an_unknown_kid_is_looked_for_at_most_every_few_seconds(tmp_path: Path) -> None:
    clock = Clock()
    ring, other = (SigningKeys(KeyFiles(tmp_path), clock) for _ in range(2))
    other.signing()
    new = ring.rotate()
    assert other.find(new.kid) is None
    clock.seconds += 5
    assert other.find(new.kid) == new


def test_rotating_twice_keeps_each_waiting_key_in_its_order(tmp_path: Path) -> None:
    clock = Clock()
    ring = SigningKeys(KeyFiles(tmp_path), clock)
    first, second, third = ring.signing(), ring.rotate(), ring.rotate()
    assert kids(ring) == [first.kid, second.kid, third.kid]
    clock.seconds += PUBLISHED_SECONDS
    assert ring.signing() == second
    clock.seconds += 1
    assert ring.signing() == third


def test_the_ring_is_its_owners_only(tmp_path: Path) -> None:
    SigningKeys(KeyFiles(tmp_path), Clock()).rotate()
    assert stat.S_IMODE((tmp_path / "signing-ring.json").stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".signing-ring.json.[0-9]*")), "no draft is left"


def test_published_keys_hold_nothing_private(tmp_path: Path) -> None:
    key = SigningKeys(KeyFiles(tmp_path), Clock()).signing()
    assert set(key.jwk) == {"kty", "crv", "x", "kid", "use", "alg"}


@pytest.mark.parametrize(
    ("claims", "head"),
    [
        ({"iss": "somebody-else"}, {}),
        ({"aud": "another-api"}, {}),
        ({"exp": 1}, {}),
        ({}, {"typ": "JWT"}),
        ({}, {"kid": "unknown"}),
    ],
)
def test_what_a_token_of_ours_must_say(
    tmp_path: Path, claims: dict[str, object], head: dict[str, str]
) -> None:
    ours = identity(tmp_path)
    token = ours.issue("usr_1", session="ses_1")
    assert ours.verify(token) == Caller("usr_1", session="ses_1")
    said = jwt.decode(token, options={"verify_signature": False}) | claims
    forged = jwt.encode(
        said,
        ours.signing_keys.signing().private,
        "EdDSA",
        jwt.get_unverified_header(token) | head,
    )
    with pytest.raises(Unauthenticated):
        ours.verify(forged)


@pytest.mark.parametrize("claim", ["sub", "iss", "aud", "iat", "exp", "jti"])
def test_each_claim_is_required(tmp_path: Path, claim: str) -> None:
    ours = identity(tmp_path)
    token = ours.issue("usr_1")
    said = jwt.decode(token, options={"verify_signature": False})
    del said[claim]
    private = ours.signing_keys.signing().private
    with pytest.raises(Unauthenticated):
        ours.verify(jwt.encode(said, private, "EdDSA", jwt.get_unverified_header(token)))


def test_another_algorithm_or_key_is_refused(tmp_path: Path) -> None:
    ours = identity(tmp_path)
    token = ours.issue("usr_1")
    said = jwt.decode(token, options={"verify_signature": False})
    head = {k: v for k, v in jwt.get_unverified_header(token).items() if k != "alg"}
    public = ours.signing_keys.signing().public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    for forged in (
        jwt.encode(said, "", "none", head),
        jwt.encode(said, public, "HS256", head),
        jwt.encode(said, Ed25519PrivateKey.generate(), "EdDSA", head),
    ):
        with pytest.raises(Unauthenticated):
            ours.verify(forged)


@pytest.mark.parametrize("seconds", [0, -1, 901])
def test_tokens_live_no_longer_than_old_keys(tmp_path: Path, seconds: int) -> None:
    values = {**NAMES, "keys": tmp_path, "access_token_seconds": seconds}
    settings = msgspec.convert(values, Settings, strict=False)
    with pytest.raises(Invalid, match="ACCESS_TOKEN_SECONDS"):
        Identity(KeyFiles(tmp_path), settings, SystemClock())

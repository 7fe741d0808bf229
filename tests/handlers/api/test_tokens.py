from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person, assert_problem


def test_without_a_token(anyone: httpx.Client) -> None:
    for value in (None, "", "Bearer", "Bearertoken", "Basic YTpi"):
        headers = {} if value is None else {"Authorization": value}
        answer = anyone.get("/v1/jobs", headers=headers)
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="splitsound"'


class Forger:
    """Makes tokens that are wrong in one way each."""

    def __init__(self, served: Served, user_id: str) -> None:
        identity = served.application.identity
        self.key: Any = identity.signing_keys.signing().private
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.genuine = identity.issue(user_id)
        self.claims = jwt.decode(self.genuine, options={"verify_signature": False})
        self.header = jwt.get_unverified_header(self.genuine)

    def sign(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token by our own key unless told, with those claims and headers replaced."""
        headers = {**self.header, **(header or {})}
        algorithm = headers.pop("alg")
        body = {k: v for k, v in {**self.claims, **claims}.items() if v is not None}
        return jwt.encode(body, self.key if key is None else key, algorithm, headers)

    def raw(self, header: dict[str, Any], signature: bytes = b"") -> str:
        """A token put together by hand."""
        parts = (msgspec.json.encode(header), msgspec.json.encode(self.claims), signature)
        return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts)

    def hs256_with_the_public_key(self) -> str:
        """The classic confusion: the verifier's public key taken for a shared secret."""
        return self.sign(self.public, {"alg": "HS256"})

    def tampered(self) -> str:
        """Another user's id under the old signature."""
        head, _, signature = self.genuine.split(".")
        claims = msgspec.json.encode({**self.claims, "sub": "usr_" + "0" * 26})
        return f"{head}.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{signature}"


FORGERIES: dict[str, Callable[[Forger], str]] = {
    "garbage": lambda _: "not.a.token",
    "empty segments": lambda _: "..",
    "tampered": lambda f: f.tampered(),
    "alg none": lambda f: f.raw({**f.header, "alg": "none"}),
    "alg None": lambda f: f.raw({**f.header, "alg": "None"}, b"x"),
    "HS256 by the public key": lambda f: f.hs256_with_the_public_key(),
    "another key, our kid": lambda f: f.sign(Ed25519PrivateKey.generate()),
    "another kid": lambda f: f.sign(header={"kid": "somebody-else"}),
    "no kid": lambda f: f.raw({"alg": "EdDSA", "typ": "at+jwt"}),
    "expired": lambda f: f.sign(exp=int(time.time()) - 60),
    "no expiry": lambda f: f.sign(exp=None),
    "no subject": lambda f: f.sign(sub=None),
    "from the future": lambda f: f.sign(iat=int(time.time()) + 3600),
    "another audience": lambda f: f.sign(aud="another-api"),
    "another issuer": lambda f: f.sign(iss="https://evil.example"),
    "no audience": lambda f: f.sign(aud=None),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_tokens_that_are_not_ours(
    anyone: httpx.Client, served: Served, person: Person, forgery: str
) -> None:
    forger = Forger(served, person.user_id)
    fine = anyone.get("/v1/jobs", headers={"Authorization": f"Bearer {forger.sign()}"})
    assert fine.status_code == 200, "the forger makes good tokens, too"
    token = FORGERIES[forgery](forger)
    answer = anyone.get("/v1/jobs", headers={"Authorization": f"Bearer {token}"})
    assert_problem(answer, 401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert token not in answer.text


def test_the_caller_is_asked_before_the_body_is_read(anyone: httpx.Client) -> None:
    assert_problem(anyone.post("/v1/jobs", content=b"{nonsense"), 401, "unauthenticated")

"""ID tokens: whether one is the provider's own, meant for us, and for this very sign-in.

OpenID Connect Core 1.0, section 3.1.3.7, and RFC 8725. Only asymmetric algorithms exist here, so
that a public key is never taken for a shared secret, and the key's kind must be the algorithm's.
"""

from __future__ import annotations

import hmac
from typing import Any

import jwt
from msgspec import Struct

from domain.errors import SignInRefused
from infra.identity.providers import Provider

ALGORITHMS = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP",
}  # fmt: skip
"""Those that are taken, each with its kind of key (RFC 7518, section 6.1)."""
LEEWAY_SECONDS = 10
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]

Jwk = dict[str, Any]


class Named(Struct, frozen=True):
    """Which key a token says that it is signed with. kid: None where it says none."""

    algorithm: str
    kid: str | None


def named(token: str) -> Named:
    """By a token's head, which nobody has verified yet. Raises SignInRefused."""
    try:
        head = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise refused("it is no JSON Web Token") from None
    algorithm, kid = head.get("alg"), head.get("kid")
    if algorithm not in ALGORITHMS:
        raise refused("its algorithm is not taken")
    return Named(algorithm, kid)


def matching(keys: list[Jwk], wanted: Named) -> Jwk | None:
    """The key of that name and kind. A token without ``kid`` finds one only where it is alone."""
    fitting = [key for key in keys if _fits(key, wanted.algorithm)]
    if wanted.kid is not None:
        fitting = [key for key in fitting if key.get("kid") == wanted.kid]
    return fitting[0] if len(fitting) == 1 else None


def _fits(key: Jwk, algorithm: str) -> bool:
    return (
        key.get("kty") == ALGORITHMS[algorithm]
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
    )


def claims(token: str, key: Jwk, wanted: Named, provider: Provider, nonce: str) -> dict[str, Any]:
    """What the token claims, once everything about it holds. Raises SignInRefused."""
    try:
        found: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(key, wanted.algorithm),
            algorithms=[wanted.algorithm],
            issuer=provider.issuer,
            audience=provider.client_id,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
    except jwt.PyJWTError as error:
        raise refused(_WRONG.get(type(error), "it does not verify")) from None
    if not hmac.compare_digest(str(found["nonce"]).encode(), nonce.encode()):
        raise refused("it belongs to another sign-in")
    several = isinstance(found["aud"], list) and len(found["aud"]) > 1
    if found.get("azp", None if several else provider.client_id) != provider.client_id:
        raise refused("it was made for another client")
    if not 0 < len(found["sub"]) <= MOST_SUBJECT:
        raise refused("it names nobody")
    return found


MOST_SUBJECT = 255
_WRONG: dict[type, str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is from the future; compare the clocks",
    jwt.InvalidIssuerError: "another issuer made it",
    jwt.InvalidAudienceError: "it is meant for another client",
    jwt.InvalidSignatureError: "its signature does not hold",
    jwt.MissingRequiredClaimError: "it lacks a claim",
}


def refused(why: str) -> SignInRefused:
    """An ID token that proves nothing."""
    return SignInRefused(
        f"The identity provider's token does not verify: {why}. Start the sign-in again.",
        reason="id_token",
    )

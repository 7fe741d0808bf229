"""What the provider promises: codes for people, and ID tokens for codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import jwt
from msgspec import Struct

from infra.local.oidc.secrets import ALGORITHM, Secrets

CLIENT_ID = "splitsound-local"
_CODE_SECONDS = 60
_TOKEN_SECONDS = 300
_MOST_CODES = 1000
_CALLBACK = "/v1/auth/callback"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
# What people have; not all that RFC 5321 allows, which mail providers do not offer.
_ADDRESS = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_MOST_ADDRESS = 254


class Refused(Exception):
    """error: OAuth's word (RFC 6749, sections 4.1.2.1 and 5.2)."""

    def __init__(self, error: str, said: str, status: int = 400) -> None:
        super().__init__(said)
        self.error = error
        self.status = status


class Asked(Struct, frozen=True):
    """An authorization request. redirect_uri is checked, so an error may be sent there."""

    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    hint: str


class Grant(Struct, frozen=True):
    """Whom a code stands for, and who may use it. until: epoch seconds."""

    asked: Asked
    address: str
    verified: bool
    until: float


def client_and_place(query: dict[str, str]) -> str:
    """The redirect URI. Raises Refused, which must be shown here and sent nowhere."""
    if query.get("client_id") != CLIENT_ID:
        raise Refused("invalid_client", "This provider knows no such client.")
    uri = query.get("redirect_uri", "")
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    ours = parts.scheme == "http" and parts.hostname in _LOOPBACK and "@" not in parts.netloc
    # Any port of the loopback (RFC 8252, section 7.3): a development server may stand between.
    if not ours or parts.path != _CALLBACK or parts.query or parts.fragment:
        raise Refused("invalid_request", "This client's sign-ins do not end at that address.")
    return uri


def request_of(query: dict[str, str], redirect_uri: str) -> Asked:
    """What is asked for. Raises Refused, which the client is told."""
    if query.get("response_type") != "code":
        raise Refused("unsupported_response_type", "Only codes are given.")
    if "openid" not in query.get("scope", "").split():
        raise Refused("invalid_scope", "This is OpenID Connect: ask for openid.")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise Refused("invalid_request", "PKCE with S256 is required.")
    state, nonce = query.get("state", ""), query.get("nonce", "")
    return Asked(redirect_uri, state, nonce, challenge, query.get("login_hint", ""))


def address_of(typed: str) -> str:
    """As it is compared. Raises Refused."""
    address = typed.strip().lower()
    if len(address) > _MOST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise Refused("invalid_request", "This is no e-mail address: type name@example.com.", 422)
    return address


class Desk:
    """Gives codes and takes them back. issuer: the provider's URL."""

    def __init__(self, issuer: str, secrets_: Secrets) -> None:
        self.issuer = issuer
        self._secrets = secrets_
        self._grants: dict[str, Grant] = {}

    @property
    def jwks(self) -> dict[str, Any]:
        """RFC 7517, section 5."""
        return {"keys": [self._secrets.jwk]}

    def code(self, asked: Asked, address: str, *, verified: bool) -> str:
        """A code that is good once, and for a minute."""
        now = time.time()
        live = {code: grant for code, grant in self._grants.items() if grant.until > now}
        while len(live) >= _MOST_CODES:
            del live[next(iter(live))]
        code = secrets.token_urlsafe(24)
        self._grants = live | {code: Grant(asked, address, verified, now + _CODE_SECONDS)}
        return code

    def tokens(self, form: dict[str, str], basic: str) -> dict[str, Any]:
        """For a code. basic: the Authorization header. Raises Refused."""
        self._check_client(form, basic)
        if form.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type", "Bring an authorization code.")
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or grant.until <= time.time():
            raise Refused("invalid_grant", "The code is unknown, used or too old.")
        if form.get("redirect_uri") != grant.asked.redirect_uri:
            raise Refused("invalid_grant", "The code was sent to another address.")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not hmac.compare_digest(made, grant.asked.challenge):
            raise Refused("invalid_grant", "The code verifier does not fit.")
        return {
            "access_token": secrets.token_urlsafe(24),
            "token_type": "Bearer",
            "expires_in": _TOKEN_SECONDS,
            "id_token": self._id_token(grant),
        }

    def _check_client(self, form: dict[str, str], basic: str) -> None:
        shown = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, encoded = basic.partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
            except ValueError:
                name = secret = ""
            shown = name, secret
        expected = f"{CLIENT_ID}:{self._secrets.client}"
        if not hmac.compare_digest(":".join(shown).encode(), expected.encode()):
            raise Refused("invalid_client", "This is not the client's secret.", 401)

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": grant.address, "iat": now,
            "exp": now + _TOKEN_SECONDS, "nonce": grant.asked.nonce, "email": grant.address,
            "email_verified": grant.verified,
        }  # fmt: skip
        headers = {"kid": self._secrets.jwk["kid"]}
        return jwt.encode(claims, self._secrets.private, ALGORITHM, headers)

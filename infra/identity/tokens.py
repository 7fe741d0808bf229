"""Access tokens: JWT of RFC 9068's type, signed with EdDSA.

Verifying pins algorithm, type, issuer, audience and expiry (RFC 8725, sections 3.1 and 3.8 to
3.11). Tokens carry no address: the list of administrators is compared by keyed hashes (``mark``).
An administrator is a user whose address is on that list, by the word of an issuer that is believed
in this, and whose token was asked for as an administrator's; all is looked at for each request.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections import OrderedDict
from functools import cached_property
from typing import Any

import jwt

from commands.ports import Clock
from domain.errors import Invalid, Unauthenticated
from domain.ids import derived
from infra.identity.callers import Caller, normalised
from infra.identity.providers import configured
from infra.identity.ring import LONGEST_TOKEN_SECONDS, SigningKeys
from infra.keys import KeyStore
from infra.settings import Settings

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
LEEWAY_SECONDS = 5
_REQUIRED = ["exp", "iat", "sub", "iss", "aud", "jti"]
MOST_KNOWN = 4096


class Identity:
    """Issues and verifies access tokens with the keys of the ring.

    Raises Invalid when tokens would live longer than old keys are kept for.
    """

    def __init__(self, keys: KeyStore, settings: Settings, clock: Clock) -> None:
        if not 0 < settings.access_token_seconds <= LONGEST_TOKEN_SECONDS:
            raise Invalid(
                f"SPLITSOUND_ACCESS_TOKEN_SECONDS is {settings.access_token_seconds}; "
                f"set it from 1 to {LONGEST_TOKEN_SECONDS}."
            )
        self.signing_keys = SigningKeys(keys, clock)
        self._pepper = keys.get_or_make("pepper.key", lambda: os.urandom(32))
        self._settings = settings
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[str, int, Caller]] = OrderedDict()

    def user_id(self, issuer: str, subject: str) -> str:
        """The user behind a subject; keyed, so that an id never reveals an address."""
        text = f"{issuer}\x00{subject}".encode()
        return derived("usr", hmac.new(self._pepper, text, hashlib.sha256).hexdigest())

    def mark(self, issuer: str, address: str) -> str:
        """What stands for an address that an issuer vouches for; keyed, so that it reveals none."""
        text = f"address\x00{issuer}\x00{normalised(address)}".encode()
        return hmac.new(self._pepper, text, hashlib.sha256).hexdigest()[:32]

    @cached_property
    def _administrators(self) -> frozenset[str]:
        listed = [a for a in map(normalised, self._settings.admin_emails_csv.split(",")) if a]
        believed = [p.known_as for p in configured(self._settings).values() if p.admins]
        return frozenset(self.mark(issuer, address) for issuer in believed for address in listed)

    def is_listed(self, mark: str) -> bool:
        """Whether that address is on this process's list of administrators, and its issuer is
        believed.
        """
        return mark in self._administrators

    def issue(
        self,
        user_id: str,
        *,
        admin: bool = False,
        session: str = "",
        begun: int = 0,
        mark: str = "",
    ) -> str:
        """An access token for that user.

        admin: with the claim that administrators need. session: the sign-in that it belongs to.
        begun: when that was, epoch seconds. mark: of the person's address; it is told only where
        it is on the list.
        """
        now = self._clock.now() // 1000
        claims: dict[str, object] = {
            "sub": user_id,
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "iat": now,
            "exp": now + self._settings.access_token_seconds,
            "jti": os.urandom(16).hex(),
        }
        if session:
            claims |= {"sid": session, "auth_time": begun or now}
        if admin:
            claims["admin"] = True
        if self.is_listed(mark):
            claims["mark"] = mark
        key = self.signing_keys.signing()
        headers = {"kid": key.kid, "typ": TYPE}
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> Caller:
        """Whom a token of ours speaks for. Raises Unauthenticated and says what is wrong."""
        try:
            claims = self._claims(token)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; sign in again.") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("The token is not valid; sign in again.") from None
        session, mark = str(claims.get("sid", "")), str(claims.get("mark", ""))
        caller = Caller(str(claims["sub"]), claims.get("admin") is True, None, session, mark)
        self._remember(token, int(claims["exp"]), caller)
        return caller

    def known(self, token: str) -> Caller | None:
        """The same of a token that was verified before, while it and the key that signed it hold;
        a signature does not change. Waits for nothing.
        """
        kid, until, caller = self._known.get(_digest(token), ("", 0, None))
        return caller if time.time() < until and self.signing_keys.knows(kid) else None

    def _remember(self, token: str, until: int, caller: Caller) -> None:
        kid = str(jwt.get_unverified_header(token)["kid"])
        self._known[_digest(token)] = kid, until, caller
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _claims(self, token: str) -> dict[str, Any]:
        head = jwt.get_unverified_header(token)
        if head.get("typ") != TYPE:
            raise Unauthenticated("This is not an access token of ours; sign in again.")
        key = self.signing_keys.find(str(head.get("kid", "")))
        if key is None:
            raise Unauthenticated("The token was signed by a key we do not know; sign in again.")
        return jwt.decode(
            token,
            key.public,
            algorithms=[ALGORITHM],
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )


def _digest(token: str) -> bytes:
    # The tokens themselves are nothing to keep.
    return hashlib.sha256(token.encode()).digest()

from __future__ import annotations

import httpx
import jwt

from tests.handlers.api.conftest import Served
from tests.handlers.api.people import Person


def test_others_can_verify_our_tokens(anyone: httpx.Client, person: Person, served: Served) -> None:
    answer = anyone.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    settings = served.application.settings
    token = served.application.identity.issue(person.user_id)
    key = jwt.PyJWKSet.from_dict(answer.json())[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["EdDSA"], audience=settings.audience, issuer=settings.issuer)
    assert claims["sub"] == person.user_id


def test_the_same_keys_are_not_sent_twice(anyone: httpx.Client) -> None:
    tag = anyone.get("/.well-known/jwks.json").headers["ETag"]
    again = anyone.get("/.well-known/jwks.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag

"""The local OpenID provider by itself: whom it serves, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import jwt
import pytest

from infra.identity.openid import challenge
from infra.local.oidc.component import LocalProvider
from infra.local.oidc.secrets import Secrets
from infra.local.stand_ins import StandIns
from tests.handlers.api.issuers import LocalIssuer, query, typed, vouching

VERIFIER = "v" * 43
BACK = "http://127.0.0.1:8040/v1/auth/callback"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIssuer]:
    with vouching(tmp_path_factory.mktemp("oidc")) as running:
        yield running


def page(issuer: LocalIssuer, **other: str | None) -> str:
    asked = {
        "client_id": issuer.entry["client_id"], "redirect_uri": BACK, "response_type": "code",
        "scope": "openid email", "state": "s", "nonce": "n",
        "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256",
    } | other  # fmt: skip
    told = {name: value for name, value in asked.items() if value is not None}
    return f"{issuer.url}/authorize?{urlencode(told)}"


def exchange(issuer: LocalIssuer, code: str, **other: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
        "code_verifier": VERIFIER, "client_id": issuer.entry["client_id"],
        "client_secret": issuer.entry["client_secret"],
    } | other  # fmt: skip
    return httpx.post(f"{issuer.url}/token", data=form)


def test_an_address_is_the_subject(issuer: LocalIssuer) -> None:
    back = query(typed(page(issuer), " Ada@Example.org "))
    assert (back["state"], back["iss"]) == ("s", issuer.url)
    token = exchange(issuer, back["code"]).json()["id_token"]
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{issuer.url}/jwks").json())
    claims = jwt.decode(token, keys[jwt.get_unverified_header(token)["kid"]], ["RS256"],
                        audience=issuer.entry["client_id"], issuer=issuer.url)  # fmt: skip
    assert claims["sub"] == claims["email"] == "ada@example.org"
    assert (claims["nonce"], claims["email_verified"]) == ("n", True)


def test_an_address_may_be_said_to_be_unverified(issuer: LocalIssuer) -> None:
    code = query(typed(page(issuer), "ada@example.org", unverified="1"))["code"]
    token = exchange(issuer, code).json()["id_token"]
    assert jwt.decode(token, options={"verify_signature": False})["email_verified"] is False


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": BACK + "/"}, "invalid_grant"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_exchanged_as_it_was_given(
    issuer: LocalIssuer, other: dict[str, str], error: str
) -> None:
    code = query(typed(page(issuer), "ada@example.org"))["code"]
    assert exchange(issuer, code, **other).json()["error"] == error


def test_a_code_is_good_once(issuer: LocalIssuer) -> None:
    code = query(typed(page(issuer), "ada@example.org"))["code"]
    assert exchange(issuer, code).is_success
    assert exchange(issuer, code).json()["error"] == "invalid_grant"
    assert exchange(issuer, "never-given").json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "uri",
    ["https://evil.example/v1/auth/callback", "http://evil.example/v1/auth/callback",
     "http://127.0.0.1:8040@evil.example/v1/auth/callback", "http://127.0.0.1:8040/elsewhere",
     BACK + "?x=1", BACK + "#x", "", None, "http://[::1"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(issuer: LocalIssuer, uri: str | None) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, page(issuer, redirect_uri=uri))
        assert answer.status_code == 400
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "email"}, "invalid_scope"),
    ],
)
def test_requests_that_the_client_should_not_make(
    issuer: LocalIssuer, other: dict[str, str | None], error: str
) -> None:
    answer = httpx.get(page(issuer, **other))
    assert query(answer.headers["location"])["error"] == error


@pytest.mark.parametrize("email", ["", "ada", "@x", "a@", "a b@x.org", "a@-x.org", "ä@x.org"])
def test_what_is_no_address(issuer: LocalIssuer, email: str) -> None:
    told = httpx.post(page(issuer), data={"email": email})
    assert (told.status_code, told.json()["error"]) == (422, "invalid_request")
    shown = httpx.post(
        page(issuer), data={"email": email + '"><i>'}, headers={"Accept": "text/html"}
    )
    assert shown.status_code == 422
    assert '"><i>' not in shown.text
    assert "no e-mail address" in shown.text


def test_only_pages_of_its_own_post(issuer: LocalIssuer) -> None:
    for headers in (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):  # fmt: skip
        answer = httpx.post(page(issuer), data={"email": "a@b.c"}, headers=headers)
        assert answer.status_code == 403, headers


def test_its_key_and_its_clients_secret_outlive_it(tmp_path: Path) -> None:
    first, second = LocalProvider(tmp_path, 1), LocalProvider(tmp_path, 2)
    assert Secrets.of(tmp_path / "keys").jwk == Secrets.of(tmp_path / "keys").jwk
    one, two = (p.settings()["SPLITSOUND_OIDC_PROVIDERS"] for p in (first, second))
    assert one.replace(':1"', ':2"') == two
    command = first.component({}).argv
    assert not [word for word in command if Secrets.of(tmp_path / "keys").client in word]


def test_providers_of_the_users_own_are_used_as_they_are(tmp_path: Path) -> None:
    tuning = {
        "SPLITSOUND_OIDC_PROVIDERS": "[...]", "SPLITSOUND_STRIPE_API_KEY": "sk",
    }  # fmt: skip
    before = dict(tuning)
    stand_ins = StandIns(tmp_path)
    stand_ins.choose(tuning)
    assert tuning == before
    assert stand_ins.identity is None


def test_a_page_to_come_back_to_stays_as_asked(tmp_path: Path) -> None:
    tuning = {"SPLITSOUND_SIGN_IN_RETURN_URL": "http://localhost:5173/"}
    stand_ins = StandIns(tmp_path)
    stand_ins.choose(tuning)
    assert stand_ins.identity is not None
    assert tuning["SPLITSOUND_SIGN_IN_RETURN_URL"] == "http://localhost:5173/"
    assert stand_ins.urls["identity"] == stand_ins.identity.url

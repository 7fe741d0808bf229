"""The whole way of a sign-in, with the local provider, one that is not ours, and one that lies."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from commands import EraseUser, FinishErasure
from handlers.api.auth import cookies
from infra.bootstrap import Application
from infra.identity import DEVELOPMENT
from infra.identity.openid import challenge
from infra.settings import Settings
from tests.handlers.api.conftest import ADMIN, Served, serving
from tests.handlers.api.issuers import (
    PAGE,
    Liar,
    LocalIssuer,
    location,
    lying,
    private_key,
    public_jwk,
    query,
    refresh,
    typed,
    walked,
)
from tests.handlers.api.people import Worker, assert_problem, client


def somebody() -> str:
    return f"{uuid.uuid4().hex}@example.org"


# --- as it should be ------------------------------------------------------------------------


def test_from_the_button_to_the_first_request(anyone: httpx.Client, served: Served) -> None:
    (button,) = anyone.get("/v1/auth/providers").json()["items"]
    assert button == {
        "name": "local", "title": "this machine", "login": "/v1/auth/local/login",
    }  # fmt: skip
    email = somebody()
    begun = anyone.get(button["login"], params={"return_to": PAGE})
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=600" in cookie
    asked = query(location(begun))
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{served.url}/v1/auth/callback"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43

    back = anyone.get(typed(location(begun), email))
    assert location(back) == PAGE
    session = next(c for c in back.headers.get_list("set-cookie") if "splitsound-session" in c)
    assert "HttpOnly" in session
    assert "SameSite=strict" in session
    assert "Secure" not in session  # plain HTTP, on the loopback

    answer = refresh(anyone)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    token = answer.json()
    assert (token["token_type"], token["expires_in"], token["admin"]) == ("Bearer", 900, False)
    assert token["user_id"] == served.application.identity.user_id(DEVELOPMENT, email)
    me = {"Authorization": f"Bearer {token['access_token']}"}
    account = anyone.get("/v1/credits", headers=me).json()
    assert (account["available"], account["granted"]) == (100, 100)
    caller = served.application.identity.verify(token["access_token"])
    assert caller.session.startswith("ses_")


def test_the_second_time_is_the_same_person(anyone: httpx.Client) -> None:
    email = somebody()
    walked(anyone, email)
    first = refresh(anyone).json()["user_id"]
    walked(anyone, email.upper())
    assert refresh(anyone).json()["user_id"] == first


def test_by_another_name_of_the_loopback(served: Served) -> None:
    with client(served.url.replace("127.0.0.1", "localhost")) as http:
        assert location(walked(http, somebody())) == PAGE
        assert refresh(http).is_success


def test_two_tabs_do_not_disturb_each_other(anyone: httpx.Client) -> None:
    pages = [location(anyone.get("/v1/auth/local/login")) for _ in range(2)]
    for page in pages:
        assert location(anyone.get(typed(page, somebody()))) == PAGE


def test_a_provider_that_is_not_ours(settings: Settings) -> None:
    mock = pytest.importorskip("oidc_provider_mock")
    with mock.run_server_in_thread() as server:
        issuer = f"http://localhost:{server.server_port}"
        entry = {"name": "mock", "issuer": issuer, "client_id": "us", "client_secret": "x"}
        with over(settings, entry) as http:
            page = location(http.get("/v1/auth/mock/login"))
            httpx.put(
                f"{issuer}/users/eve",
                json={"email": "eve@example.org", "email_verified": True},
            ).raise_for_status()
            back = httpx.post(page, data={"sub": "eve"}).headers["location"]
            assert location(http.get(back)) == PAGE
            assert refresh(http).is_success


@contextmanager
def over(settings: Settings, *entries: dict[str, Any]) -> Iterator[httpx.Client]:
    """A client of an API with those providers."""
    told = msgspec.json.encode(entries).decode()
    own = msgspec.structs.replace(settings, oidc_providers=told)
    with serving(Application(own)) as running, client(running.url) as http:
        yield http


# --- administrators -------------------------------------------------------------------------


def test_only_who_is_on_the_list_signs_in_as_an_administrator(
    anyone: httpx.Client, served: Served
) -> None:
    stranger = somebody()
    problem = assert_problem(walked(anyone, stranger, admin=True), 403, "not_an_admin")
    assert problem["missing"] == ["list"]
    user_id = served.application.identity.user_id(DEVELOPMENT, stranger)
    assert not list(served.application.store.read(f"user-{user_id}"))

    walked(anyone, ADMIN.upper())
    plain = refresh(anyone).json()
    assert plain["admin"] is False
    walked(anyone, ADMIN, admin=True)
    asked = refresh(anyone).json()
    assert asked["admin"] is True
    assert asked["user_id"] == plain["user_id"]
    me = {"Authorization": f"Bearer {asked['access_token']}"}
    assert anyone.get("/v1/admin/projections", headers=me).is_success


# --- what may go wrong between us and the provider ---------------------------------------------


@pytest.fixture(scope="module")
def forge(settings: Settings) -> Iterator[tuple[Liar, httpx.Client]]:
    """An API that believes a liar, even in matters of administrators."""
    with lying() as liar, over(settings, liar.entry(admins=True)) as http:
        yield liar, http


@pytest.fixture
def liar(forge: tuple[Liar, httpx.Client]) -> Iterator[Liar]:
    """Honest again for each test."""
    forge[0].answers.clear()
    forge[0].forms.clear()
    forge[0].slow = 0
    yield forge[0]
    forge[0].answers.clear()


@pytest.fixture
def http(forge: tuple[Liar, httpx.Client]) -> httpx.Client:
    """A browser without a history."""
    forge[1].cookies.clear()
    return forge[1]


def came_back(http: httpx.Client, liar: Liar, token: Callable[[str], str], **also: str) -> Any:
    """A sign-in whose ID token is what ``token`` makes for its nonce."""
    asked = query(location(http.get("/v1/auth/liar/login")))
    liar.token = token(asked["nonce"])
    answer = {"code": "c", "state": asked["state"]} | also
    return http.get("/v1/auth/callback", params=answer)


def test_a_good_token_is_taken(http: httpx.Client, liar: Liar) -> None:
    answer = came_back(http, liar, lambda nonce: liar.sign(liar.claims(nonce)))
    assert location(answer) == PAGE
    (form,) = liar.forms
    assert form["grant_type"] == "authorization_code"
    assert form[""] == f"{liar.CLIENT}:a%20secret%2Fwith%3Asigns"
    assert refresh(http).is_success


def test_the_verifier_is_the_challenges(http: httpx.Client, liar: Liar) -> None:
    asked = query(location(http.get("/v1/auth/liar/login")))
    assert asked["tenant"] == "1"
    liar.token = liar.sign(liar.claims(asked["nonce"]))
    http.get("/v1/auth/callback", params={"code": "c", "state": asked["state"]})
    assert challenge(liar.forms[0]["code_verifier"]) == asked["code_challenge"]


def none_signed(liar: Liar, nonce: str) -> str:
    return liar.sign(liar.claims(nonce), key="", alg="none")


def signed_with_the_public_key(liar: Liar, nonce: str) -> str:
    public = public_jwk(liar.keys["first"])["n"].encode()
    return liar.sign(liar.claims(nonce), key=public, alg="HS256")


def _tampered(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body[:-4]}AAAA.{signature}"


FORGERIES: dict[str, Callable[[Liar, str], str]] = {
    "alg none": none_signed,
    "HS256 by the public key": signed_with_the_public_key,
    "another key, known kid": lambda f, n: f.sign(f.claims(n), key=private_key("foreign")),
    "another key, no kid, two to choose from": lambda f, n: f.sign(
        f.claims(n), kid=None, key=private_key("foreign")
    ),
    "an unknown kid": lambda f, n: f.sign(f.claims(n), "other", private_key("foreign")),
    "another issuer": lambda f, n: f.sign(f.claims(n, iss="https://accounts.example")),
    "another audience": lambda f, n: f.sign(f.claims(n, aud="another-client")),
    "several audiences and no azp": lambda f, n: f.sign(f.claims(n, aud=[f.CLIENT, "other"])),
    "another azp": lambda f, n: f.sign(f.claims(n, azp="another-client")),
    "expired": lambda f, n: f.sign(f.claims(n, iat=1, exp=1_000)),
    "no expiry": lambda f, n: f.sign(f.claims(n, exp=None)),
    "from the future": lambda f, n: f.sign(f.claims(n, iat=4_000_000_000, exp=4_000_000_300)),
    "another nonce": lambda f, _: f.sign(f.claims("another")),
    "no nonce": lambda f, _: f.sign(f.claims(None)),
    "no subject": lambda f, n: f.sign(f.claims(n, sub=None)),
    "an empty subject": lambda f, n: f.sign(f.claims(n, sub="")),
    "a subject that is no text": lambda f, n: f.sign(f.claims(n, sub=7)),
    "tampered": lambda f, n: _tampered(f.sign(f.claims(n))),
    "no token at all": lambda *_: "nonsense",
    "empty": lambda *_: "",
    "dots": lambda *_: "..",
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_signs_nobody_in(http: httpx.Client, liar: Liar, forgery: str) -> None:
    answer = came_back(http, liar, lambda nonce: FORGERIES[forgery](liar, nonce))
    problem = assert_problem(answer, 400, "sign_in_refused")
    assert problem["reason"] == "id_token"
    assert not [name for name in http.cookies if "session" in name]
    assert_problem(refresh(http), 401, "session_ended")


def test_several_audiences_with_us_as_the_party(http: httpx.Client, liar: Liar) -> None:
    several = {"aud": [liar.CLIENT, "other"], "azp": liar.CLIENT}
    answer = came_back(http, liar, lambda nonce: liar.sign(liar.claims(nonce, **several)))
    assert location(answer) == PAGE


@pytest.mark.parametrize(
    ("claims", "missing"),
    [
        ({"email_verified": False}, "email_verified"),
        ({"email_verified": None}, "email_verified"),
        ({"email_verified": "false"}, "email_verified"),
        ({"email_verified": 1}, "email_verified"),
        ({"email": None}, "email"),
        ({"email": 7}, "email"),
        ({"email": "nobody"}, "email"),
    ],
)
def test_an_address_that_nobody_vouches_for(
    http: httpx.Client, liar: Liar, claims: dict[str, Any], missing: str
) -> None:
    answer = came_back(http, liar, lambda nonce: liar.sign(liar.claims(nonce, **claims)))
    problem = assert_problem(answer, 403, "email_not_verified")
    assert problem["missing"] == [missing]
    assert "Lia" not in answer.text


def test_users_are_kept_by_issuer_and_subject(
    http: httpx.Client, liar: Liar, settings: Settings
) -> None:
    """Not by address: that is somebody else's at another issuer, and may change."""
    ids = []

    def come(**claims: str) -> None:
        came_back(http, liar, lambda nonce: liar.sign(liar.claims(nonce, **claims)))
        ids.append(refresh(http).json()["user_id"])

    come()
    come(email="other@example.org")
    come(sub="subject-2")
    assert ids[0] == ids[1] != ids[2]
    identity = Application(settings).identity
    assert ids[0] == identity.user_id(liar.url, "subject-1")


def test_an_issuer_that_is_not_believed_makes_no_administrator(
    settings: Settings, liar: Liar, issuer: LocalIssuer
) -> None:
    with over(settings, liar.entry(), issuer.entry) as http:
        asked = query(location(http.get("/v1/auth/liar/login", params={"admin": True})))
        liar.token = liar.sign(liar.claims(asked["nonce"], email=ADMIN))
        answer = http.get("/v1/auth/callback", params={"code": "c", "state": asked["state"]})
        assert_problem(answer, 403, "not_an_admin")
        came_back(http, liar, lambda nonce: liar.sign(liar.claims(nonce, email=ADMIN)))
        me = {"Authorization": f"Bearer {refresh(http).json()['access_token']}"}
        problem = assert_problem(http.get("/v1/admin/projections", headers=me), 403, "not_an_admin")
        assert problem["missing"] == ["list", "claim"]


# --- the provider's keys ----------------------------------------------------------------------


def test_a_new_key_of_the_providers_is_looked_for_but_not_for_every_token(
    settings: Settings,
) -> None:
    with lying() as liar, over(settings, liar.entry()) as http:
        assert location(came_back(http, liar, lambda n: liar.sign(liar.claims(n)))) == PAGE
        assert liar.asked["/jwks"] == 1
        foreign = private_key("foreign")
        for _ in range(3):
            forged = came_back(http, liar, lambda n: liar.sign(liar.claims(n), "x", foreign))
            assert_problem(forged, 400, "sign_in_refused")
        assert liar.asked["/jwks"] == 1  # that was within 30 s of the first time
        assert liar.asked["/.well-known/openid-configuration"] == 1


# --- the way back -----------------------------------------------------------------------------


def begun(http: httpx.Client) -> dict[str, str]:
    return query(location(http.get("/v1/auth/liar/login")))


def refused(answer: httpx.Response, reason: str) -> None:
    assert assert_problem(answer, 400, "sign_in_refused")["reason"] == reason


def test_a_state_that_is_another(http: httpx.Client, liar: Liar) -> None:
    begun(http)
    for state in ("", "x", "0" * 43):
        refused(http.get("/v1/auth/callback", params={"code": "c", "state": state}), "state")
    refused(http.get("/v1/auth/callback", params={"code": "c"}), "state")
    refused(http.get("/v1/auth/callback"), "state")
    assert not liar.forms


def test_another_browsers_sign_in(http: httpx.Client, liar: Liar) -> None:
    """Login CSRF: an attacker's own answer, brought to the victim's browser."""
    asked = begun(http)
    liar.token = liar.sign(liar.claims(asked["nonce"]))
    http.cookies.clear()
    begun(http)
    refused(http.get("/v1/auth/callback", params={"code": "c", "state": asked["state"]}), "state")


def test_a_cookie_under_another_states_name(http: httpx.Client, liar: Liar) -> None:
    first, second = begun(http), begun(http)
    names = sorted(http.cookies)
    values = [http.cookies[name] for name in names]
    http.cookies.clear()
    for name, value in zip(names, reversed(values), strict=True):
        http.cookies.set(name, value, domain="127.0.0.1")
    for asked in (first, second):
        answer = http.get("/v1/auth/callback", params={"code": "c", "state": asked["state"]})
        refused(answer, "state")
    assert not liar.forms


def test_a_cookie_that_was_changed(http: httpx.Client) -> None:
    asked = begun(http)
    (name,) = http.cookies
    for value in ("", "x", "!!", http.cookies[name][:-2] + "AA"):
        http.cookies.set(name, value, domain="127.0.0.1")
        answer = http.get("/v1/auth/callback", params={"code": "c", "state": asked["state"]})
        refused(answer, "state")


def test_an_answer_counts_once(http: httpx.Client, liar: Liar) -> None:
    asked = begun(http)
    liar.token = liar.sign(liar.claims(asked["nonce"]))
    answer = {"code": "c", "state": asked["state"]}
    kept = dict(http.cookies)
    assert location(http.get("/v1/auth/callback", params=answer)) == PAGE
    assert not [name for name in http.cookies if "login" in name]
    refused(http.get("/v1/auth/callback", params=answer), "state")
    for name, value in kept.items():
        http.cookies.set(name, value, domain="127.0.0.1")
    refused(http.get("/v1/auth/callback", params=answer), "replayed")
    assert len(liar.forms) == 1


def test_a_person_who_says_no(anyone: httpx.Client) -> None:
    page = location(anyone.get("/v1/auth/local/login"))
    back = typed(page, "", how="cancel")
    refused(anyone.get(back), "denied")


def test_an_answer_of_another_provider(http: httpx.Client, liar: Liar) -> None:
    """Mix-up (RFC 9207)."""
    answer = came_back(
        http, liar, lambda n: liar.sign(liar.claims(n)), iss="https://accounts.example"
    )
    refused(answer, "state")
    assert not liar.forms


def test_a_code_that_the_provider_does_not_take(http: httpx.Client, liar: Liar) -> None:
    liar.says("/token", {"error": "invalid_grant"}, 400)
    refused(came_back(http, liar, lambda _: ""), "code")


def test_the_local_provider_wants_the_verifier(anyone: httpx.Client, issuer: LocalIssuer) -> None:
    page = location(anyone.get("/v1/auth/local/login"))
    code = query(typed(page, somebody()))["code"]
    form = {
        "grant_type": "authorization_code", "code": code,
        "redirect_uri": query(page)["redirect_uri"], "client_id": issuer.entry["client_id"],
        "client_secret": issuer.entry["client_secret"], "code_verifier": "guessed",
    }  # fmt: skip
    answer = httpx.post(f"{issuer.url}/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    plain = page.replace("S256", "plain")
    assert query(location(httpx.get(plain)))["error"] == "invalid_request"


# --- a provider that fails --------------------------------------------------------------------

WELL_KNOWN = "/.well-known/openid-configuration"
ELSEWHERE = ("authorization_endpoint", "token_endpoint", "jwks_uri")
GARBAGE: dict[str, tuple[Any, int]] = {
    "no JSON": (b"<html>", 200),
    "down": (b"", 503),
    "moved": (b"", 302),
    "another's": (dict.fromkeys(("issuer", *ELSEWHERE), "https://accounts.example/"), 200),
    "without TLS": (dict.fromkeys(ELSEWHERE, "http://accounts.example/"), 200),
    "endless": (b"[" * 600_000, 200),
}


def test_a_provider_that_answers_garbage_at_the_start(settings: Settings) -> None:
    with lying() as liar, over(settings, liar.entry()) as http:
        for name, (body, status) in GARBAGE.items():
            told = body | {"issuer": liar.url} if name == "without TLS" else body
            liar.says(WELL_KNOWN, told, status)
            answer = http.get("/v1/auth/liar/login")
            problem = assert_problem(answer, 503, "identity_provider_unavailable")
            assert problem["retryable"]
            assert "retry-after" in answer.headers
            assert liar.url not in answer.text
        liar.answers.clear()
        assert location(http.get("/v1/auth/liar/login")).startswith(f"{liar.url}/authorize")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/token", b"<html>", 200),
        ("/token", {"access_token": "a"}, 200),
        ("/token", {"id_token": 7}, 200),
        ("/token", b"\xff\xfe", 200),
        ("/token", {"error": "invalid_client"}, 401),
        ("/token", b"", 500),
        ("/token", b"", 302),
    ],
)
def test_a_provider_that_answers_garbage_to_a_code(
    http: httpx.Client, liar: Liar, path: str, body: Any, status: int
) -> None:
    liar.says(path, body, status)
    answer = came_back(http, liar, lambda n: liar.sign(liar.claims(n)))
    assert_problem(answer, 503, "identity_provider_unavailable")


def test_a_provider_whose_keys_are_garbage(settings: Settings) -> None:
    with lying() as liar, over(settings, liar.entry()) as http:
        for body in (b"<html>", {"keys": 7}, {"keys": ["x"]}):
            liar.says("/jwks", body)
            answer = came_back(http, liar, lambda n: liar.sign(liar.claims(n)))
            assert_problem(answer, 503, "identity_provider_unavailable")
        liar.says("/jwks", {"keys": [{"kty": "oct", "k": "AAAA", "kid": "first"}]})
        answer = came_back(http, liar, lambda n: liar.sign(liar.claims(n)))
        refused(answer, "id_token")


def test_a_provider_that_is_down(settings: Settings) -> None:
    with lying() as liar:
        gone = liar.entry()
    with over(settings, gone) as http:
        answer = http.get("/v1/auth/liar/login")
        assert_problem(answer, 503, "identity_provider_unavailable")


def test_somebody_in_a_browser_goes_back_to_their_page(http: httpx.Client, liar: Liar) -> None:
    http.headers["Accept"] = "text/html,*/*"
    try:
        liar.says("/token", b"", 500)
        answer = came_back(http, liar, lambda n: liar.sign(liar.claims(n)))
        assert location(answer) == PAGE + "&error=identity_provider_unavailable"
        assert_problem(http.get("/v1/auth/callback"), 400, "sign_in_refused")
    finally:
        http.headers["Accept"] = "*/*"


# --- pages to come back to ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    ["https://app.example", "https://app.example/", "https://app.example:443/x?y=1#/z",
     "https://APP.example/x"],
)  # fmt: skip
def test_pages_of_ours(anyone: httpx.Client, page: str) -> None:
    assert location(walked(anyone, somebody(), return_to=page)) == page


@pytest.mark.parametrize(
    "page",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "https:/\\evil.example",
     "https:\\\\evil.example", "https://app.example@evil.example/", "http://app.example/",
     "https://app.example.evil.example/", "https://evilapp.example/", "https://app.example:8443/",
     "https://app.example\\@evil.example/", "https://evil.example\\.app.example/",
     "javascript:alert(1)", "data:text/html,x", "\thttps://app.example/",
     "https://app.example/\r\nSet-Cookie: a=b", "https://app.example%2eevil.example/",
     "https://app.example%40evil.example/", "///evil.example", "https:app.example",
     "https://[::1", "https://app.example:x/", "/library", "library", "ftp://app.example/",
     "https://äpp.example/", "https://app.example./", "https://user:pw@app.example/",
     "https://app.example/" + "x" * 1990],
)  # fmt: skip
def test_no_open_redirect(anyone: httpx.Client, page: str) -> None:
    answer = anyone.get("/v1/auth/local/login", params={"return_to": page})
    problem = assert_problem(answer, 422, "invalid_request")
    assert problem["errors"][0]["parameter"] == "return_to"
    assert "location" not in answer.headers


def test_nobody_of_that_name(anyone: httpx.Client) -> None:
    assert_problem(anyone.get("/v1/auth/nobody/login"), 404, "not_found")


# --- people who were erased --------------------------------------------------------------------


def test_who_was_erased_comes_back_as_somebody_new(
    anyone: httpx.Client, served: Served, worker: Worker
) -> None:
    email = somebody()
    walked(anyone, email)
    user_id = refresh(anyone).json()["user_id"]
    worker.run(EraseUser(user_id, "asked"))
    assert_problem(refresh(anyone), 410, "account_erased")
    problem = assert_problem(walked(anyone, email), 409, "account_being_erased")
    assert problem["retryable"]
    served.application.personal.erase(user_id)
    worker.run(FinishErasure(user_id, 0))
    walked(anyone, email)
    again = refresh(anyone).json()
    assert again["user_id"] == user_id
    me = {"Authorization": f"Bearer {again['access_token']}"}
    assert anyone.get("/v1/credits", headers=me).json()["available"] == 100


def test_sign_ins_that_are_never_finished_do_not_fill_the_browsers_head(
    anyone: httpx.Client,
) -> None:
    pages = [location(anyone.get("/v1/auth/local/login")) for _ in range(cookies.MOST_LOGINS + 4)]
    waiting = [name for name in anyone.cookies if "splitsound-login-" in name]
    assert len(waiting) == cookies.MOST_LOGINS
    assert location(anyone.get(typed(pages[-1], somebody()))) == PAGE
    assert_problem(anyone.get(typed(pages[0], somebody())), 400, "sign_in_refused")

"""Refresh tokens: each good once, ended together, and nobody's but the browser's own pages'."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jwt
import msgspec
import pytest

from handlers.api.auth import cookies
from infra.bootstrap import Application
from infra.operations.sessions import forget
from infra.settings import Settings
from tests.handlers.api.conftest import ADMIN, ORIGIN, Served, serving
from tests.handlers.api.issuers import refresh, walked
from tests.handlers.api.people import assert_problem, client

COOKIE = "splitsound-session"


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    """Signed in."""
    with client(served.url) as http:
        walked(http, f"{uuid.uuid4().hex}@example.org")
        yield http


def bring(http: httpx.Client, token: str) -> httpx.Response:
    """A refresh token, whatever the browser has."""
    http.cookies.clear()
    http.cookies.set(COOKIE, token, domain="127.0.0.1")
    return refresh(http)


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_each_use_gives_another_token_of_the_same_session(browser: httpx.Client) -> None:
    first = browser.cookies[COOKIE]
    tokens = [refresh(browser).json()["access_token"] for _ in range(3)]
    claims = [jwt.decode(t, options={"verify_signature": False}) for t in tokens]
    assert len({c["sid"] for c in claims}) == 1
    assert len({c["jti"] for c in claims}) == 3
    # What wants a person who signed in just now is not taken in by a token that is new.
    assert len({c["auth_time"] for c in claims}) == 1
    assert all(c["exp"] - c["iat"] <= 900 for c in claims)
    assert browser.cookies[COOKIE] not in (first, "")
    assert browser.get("/v1/jobs", headers={"Authorization": f"Bearer {tokens[-1]}"}).is_success


def test_an_old_token_ends_the_family(browser: httpx.Client) -> None:
    stolen = browser.cookies[COOKIE]
    refresh(browser)
    refresh(browser)
    ours = browser.cookies[COOKIE]
    assert_problem(bring(browser, stolen), 401, "refresh_token_reused")
    assert_problem(bring(browser, ours), 401, "session_ended")


def test_a_lost_answer_and_a_second_tab_sign_nobody_out(browser: httpx.Client) -> None:
    before = browser.cookies[COOKIE]
    refresh(browser)
    after = browser.cookies[COOKIE]
    assert bring(browser, before).is_success
    assert browser.cookies[COOKIE] == after
    assert bring(browser, after).is_success


def test_many_tabs_at_once(served: Served, browser: httpx.Client) -> None:
    token = browser.cookies[COOKIE]

    def one(_: int) -> tuple[int, str]:
        with client(served.url) as http:
            answer = bring(http, token)
            return answer.status_code, str(http.cookies.get(COOKIE))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "x",
        lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"),
        lambda t: t.replace(".1.", ".2."),
        lambda t: "usr_" + "0" * 26 + t[30:],
        lambda t: t + "0",
        lambda t: t.upper(),
        lambda _: "é",
    ],
)
def test_tokens_that_are_not_ours(browser: httpx.Client, change: object) -> None:
    assert callable(change)
    token = browser.cookies[COOKIE]
    browser.cookies.clear()
    headers = {"Origin": ORIGIN, "Cookie": f"{COOKIE}={change(token)}".encode()}
    answer = browser.post("/v1/auth/refresh", headers=headers)  # type: ignore[arg-type]
    assert_problem(answer, 401, "session_ended")
    assert "www-authenticate" in answer.headers
    assert bring(browser, token).is_success


def test_signing_out_here(browser: httpx.Client) -> None:
    token = browser.cookies[COOKIE]
    answer = browser.post("/v1/auth/logout", headers={"Origin": ORIGIN})
    assert answer.status_code == 204
    assert COOKIE not in browser.cookies
    assert_problem(bring(browser, token), 401, "session_ended")
    browser.cookies.clear()
    assert browser.post("/v1/auth/logout", headers={"Origin": ORIGIN}).status_code == 204


def test_signing_out_everywhere(served: Served) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    with client(served.url) as phone, client(served.url) as laptop, client(served.url) as other:
        for http in (phone, laptop):
            walked(http, email)
        walked(other, f"{uuid.uuid4().hex}@example.org")
        me = bearer(refresh(phone))
        assert_problem(phone.post("/v1/auth/logout-everywhere"), 401, "unauthenticated")
        assert phone.post("/v1/auth/logout-everywhere", headers=me).status_code == 204
        assert COOKIE not in phone.cookies
        assert_problem(refresh(laptop), 401, "session_ended")
        assert refresh(other).is_success
        walked(laptop, email)
        assert refresh(laptop).is_success


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": ORIGIN}, 200),
        ({"X-Requested-With": "a program"}, 200),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "X-Requested-With": "x"}, 403),
        ({"Origin": "https://app.example.evil.example"}, 403),
        ({"Origin": "http://app.example"}, 403),
        ({"Origin": "https://app.example/x"}, 403),
        ({"Origin": ""}, 403),
    ],
)
def test_only_pages_of_ours_use_the_cookie(
    browser: httpx.Client, headers: dict[str, str], status: int
) -> None:
    for path in ("/v1/auth/refresh", "/v1/auth/logout"):
        answer = browser.post(path, headers=headers)
        if status == 403:
            assert_problem(answer, 403, "origin_not_allowed")
            assert answer.headers.get("access-control-allow-origin") in (None, ORIGIN)
        else:
            assert answer.is_success


def test_the_apis_own_pages_are_ours(served: Served, browser: httpx.Client) -> None:
    assert browser.post("/v1/auth/refresh", headers={"Origin": served.url}).is_success


def test_any_origin_may_read_but_not_use_the_cookie(settings: Settings) -> None:
    anybody = msgspec.structs.replace(settings, allowed_origins="*")
    with serving(Application(anybody)) as running, client(running.url) as http:
        assert (
            http.get("/v1/packs", headers={"Origin": "https://x.example"}).headers[
                "access-control-allow-origin"
            ]
            == "*"
        )
        walked(http, f"{uuid.uuid4().hex}@example.org")
        answer = http.post("/v1/auth/refresh", headers={"Origin": "https://x.example"})
        assert_problem(answer, 403, "origin_not_allowed")
        assert "access-control-allow-credentials" not in answer.headers


def test_a_session_that_nobody_used_is_over(settings: Settings) -> None:
    brief = msgspec.structs.replace(settings, session_idle_days=0)
    with serving(Application(brief)) as running, client(running.url) as http:
        walked(http, f"{uuid.uuid4().hex}@example.org")
        assert_problem(refresh(http), 401, "session_ended")


def test_who_is_off_the_list_is_no_administrator_any_more(settings: Settings) -> None:
    with serving(Application(settings)) as running, client(running.url) as http:
        walked(http, ADMIN, admin=True)
        me = bearer(refresh(http))
        token = http.cookies[COOKIE]
        assert http.get("/v1/admin/projections", headers=me).is_success
    shorter = msgspec.structs.replace(settings, admin_emails_csv="other@example.org")
    with serving(Application(shorter)) as running, client(running.url) as http:
        assert_problem(http.get("/v1/admin/projections", headers=me), 403, "not_an_admin")
        again = bring(http, token)
        assert again.json()["admin"] is False


def test_a_new_signing_key_signs_nobody_out(settings: Settings, tmp_path: Path) -> None:
    own = msgspec.structs.replace(settings, keys=tmp_path)
    with serving(Application(own)) as running, client(running.url) as http:
        walked(http, f"{uuid.uuid4().hex}@example.org")
        me = bearer(refresh(http))
        keys = running.application.identity.signing_keys
        before = keys.signing().kid
        made = keys.rotate()
        listed = http.get("/.well-known/jwks.json").json()["keys"]
        assert [key["kid"] for key in listed] == [before, made.kid]
        assert http.get("/v1/jobs", headers=me).is_success
        assert http.get("/v1/jobs", headers=bearer(refresh(http))).is_success


def test_by_https_the_cookies_are_the_hosts_alone() -> None:
    base = "https://api.example.org"
    for cookie in (
        cookies.session(base, "t", 60), cookies.login(base, "s", "sealed", 60),
        cookies.session_over(base),
    ):  # fmt: skip
        told = cookie.to_header(header="")
        assert cookie.key.startswith("__Host-")
        assert "Secure" in told
        assert "HttpOnly" in told
        assert "Path=/" in told
        assert "Domain" not in told
    assert cookies.session(base, "t", 60).samesite == "strict"


def test_nothing_of_a_persons_sessions_is_left_when_they_are_forgotten(
    served: Served, browser: httpx.Client
) -> None:
    user_id = refresh(browser).json()["user_id"]
    forget(served.application.operational_table, user_id)
    assert_problem(refresh(browser), 401, "session_ended")

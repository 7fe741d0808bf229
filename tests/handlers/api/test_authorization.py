"""Every route with every kind of caller. Routes are the application's own: none is forgotten."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar.routes import HTTPRoute
from msgspec import Struct

from commands import AddWebhookEndpoint, CreateApiKey, EraseUser, RevokeApiKey, SignUp, execute
from domain import api_keys
from domain.api_keys import SCOPES
from domain.commit import Meta
from handlers.api import create_app
from handlers.api.requests import SCOPE, administrator
from infra.bootstrap import Application
from infra.identity import DEVELOPMENT
from infra.settings import Settings
from tests.handlers.api.conftest import serving
from tests.handlers.api.documented import Document
from tests.handlers.api.people import Person, Worker, assert_problem, client, sign_in
from tests.handlers.api.test_tokens import Forger

# What anybody may ask for. A new name here is a decision, not a detail.
PUBLIC = {
    "getHealth", "getReadiness", "getKeySet", "getCapabilities", "listPacks", "receiveStripeEvent",
    "listProviders", "beginSignIn", "finishSignIn", "refreshSession", "signOut",
}  # fmt: skip
# Guarded by more than who asks: a scrape token opens it too.
SCRAPED = {"getMetrics"}
HOUR = 3_600_000
PREFIXES = {
    "asset_id": "ast_", "job_id": "job_", "purchase_id": "pur_", "key_id": "key_",
    "user_id": "usr_", "endpoint_id": "whk_", "delivery_id": "dlv_",
}  # fmt: skip
NONE = {name: prefix + "0" * 26 for name, prefix in PREFIXES.items()}


class Route(Struct, frozen=True):
    """scope: None where no API key will do. kind: public, personal or admin."""

    method: str
    path: str
    operation: str
    kind: str
    scope: str | None

    @property
    def parameters(self) -> list[str]:
        """Names in the path."""
        return re.findall(r"\{(\w+)", self.path)

    def fill(self, ids: dict[str, str]) -> str:
        """The path with those ids in it, made up where there is none."""
        made_up = NONE | ids
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: made_up.get(m[1], "nothing"), self.path)


def routes_of(application: Application) -> list[Route]:
    """All of them, those that end a session or a person last."""
    found = []
    for route in create_app(application).routes:
        if not isinstance(route, HTTPRoute) or route.path.startswith("/schema"):
            continue
        for handler in route.route_handlers:
            guards = handler.resolve_guards()
            if handler.http_methods == {"OPTIONS"}:
                continue
            admin = administrator in guards or handler.operation_id in SCRAPED
            kind = "admin" if admin else "personal" if guards else "public"
            assert isinstance(handler.operation_id, str)
            found.append(
                Route(
                    min(handler.http_methods), route.path_format, handler.operation_id, kind,
                    handler.opt.get(SCOPE),
                )
            )  # fmt: skip
    return sorted(found, key=lambda r: (r.method == "DELETE", r.path))


class Matrix:
    """An API of its own, with as many administrators as there are routes."""

    def __init__(self, url: str, application: Application, admins: list[str]) -> None:
        self.url, self.application, self.admins = url, application, admins
        self.routes = routes_of(application)
        with client(url) as http:
            self.document = Document(http)

    @property
    def guarded(self) -> list[Route]:
        return [r for r in self.routes if r.kind != "public"]

    def join(self, email: str = "") -> str:
        """Another person's id."""
        email = email or f"{uuid.uuid4().hex}@example.org"
        user_id = self.application.identity.user_id(DEVELOPMENT, email)
        self.run(SignUp(user_id, DEVELOPMENT, email))
        return user_id

    def run(self, command: Any) -> None:
        meta = Meta(self.application.ids.fresh("cmd"), "test")
        execute(self.application.context, command, meta)

    def key(self, user_id: str, *scopes: str, expires: int | None = None) -> str:
        """An API key of theirs."""
        key_id = self.application.ids.fresh("key")
        text = api_keys.compose(user_id, key_id, bytes(range(20)))
        self.run(CreateApiKey(user_id, key_id, "k", api_keys.digest(text), scopes, expires))
        return text

    def ask(self, route: Route, token: str | None, **ids: str) -> httpx.Response:
        """One request, held to the document if it is refused."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body: dict[str, Any] | None = {} if route.method in ("POST", "PATCH", "PUT") else None
        with client(self.url, **headers) as http:
            self.document.watch_refusals(http)
            with http.stream(route.method, route.fill(ids), json=body) as answer:
                # A stream of events would go on for ever.
                if answer.status_code != 200:
                    answer.read()
                ready = answer.status_code < 500 or route.operation == "getReadiness"
                assert ready, route
                return answer


@pytest.fixture(scope="module")
def matrix(settings: Settings) -> Iterator[Matrix]:
    admins = [f"{uuid.uuid4().hex}@example.org" for _ in range(300)]
    own = msgspec.structs.replace(settings, admin_emails_csv=",".join(admins))
    with serving(Application(own)) as running:
        yield Matrix(running.url, running.application, admins)


def test_every_route_says_who_may_ask(matrix: Matrix) -> None:
    public = {r.operation for r in matrix.routes if r.kind == "public"}
    assert public == PUBLIC
    for route in matrix.routes:
        under_admin = "/admin" in route.path or route.operation in SCRAPED
        assert (route.kind == "admin") == under_admin, route
        if route.kind == "admin":
            assert route.scope is None, route
    told = {o["operationId"]: o for each in matrix.document.text["paths"].values()
            for o in each.values()}  # fmt: skip
    assert told.keys() == {r.operation for r in matrix.routes}
    for route in matrix.routes:
        schemes = [name for each in told[route.operation].get("security", []) for name in each]
        keys = ["apiKey"] if route.scope else []
        assert schemes == ([] if route.kind == "public" else ["bearer", *keys]), route


# --- who is nobody ---------------------------------------------------------------------------


def expired_key(matrix: Matrix) -> str:
    user_id = matrix.join()
    soon = matrix.application.clock.now() + 500
    key = matrix.key(user_id, *SCOPES, expires=soon)
    while matrix.application.clock.now() < soon:
        time.sleep(0.05)
    return key


def revoked_key(matrix: Matrix) -> str:
    user_id = matrix.join()
    key = matrix.key(user_id, *SCOPES)
    matrix.run(RevokeApiKey(user_id, api_keys.parse(key).key_id))
    return key


def erased_key(matrix: Matrix) -> str:
    user_id = matrix.join()
    key = matrix.key(user_id, *SCOPES)
    matrix.run(EraseUser(user_id, "a test"))
    return key


def mistyped_key(matrix: Matrix) -> str:
    key = matrix.key(matrix.join(), *SCOPES)
    return key[:-1] + ("0" if key[-1] != "0" else "1")


def forged(change: Callable[[Forger], str]) -> Callable[[Matrix], str]:
    return lambda matrix: change(Forger(matrix, matrix.join()))  # type: ignore[arg-type]


NOBODIES: dict[str, Callable[[Matrix], str | None]] = {
    "no token": lambda _: None,
    "garbage": lambda _: "garbage",
    "expired": forged(lambda f: f.sign(exp=int(time.time()) - 60)),
    "alg none": forged(lambda f: f.raw({**f.header, "alg": "none"})),
    "swapped algorithm": forged(lambda f: f.hs256_with_the_public_key()),
    "foreign key": forged(lambda f: f.sign(Ed25519PrivateKey.generate())),
    "another audience": forged(lambda f: f.sign(aud="another-api")),
    "an ID token": forged(lambda f: f.sign(header={"typ": "JWT"})),
    "revoked API key": revoked_key,
    "expired API key": expired_key,
    "mistyped API key": mistyped_key,
    "API key of an erased person": erased_key,
    "API key nobody has": lambda _: api_keys.compose(NONE["user_id"], NONE["key_id"], bytes(20)),
}


@pytest.mark.parametrize("caller", NOBODIES)
def test_nobody(matrix: Matrix, caller: str) -> None:
    token = NOBODIES[caller](matrix)
    for route in matrix.guarded:
        answer = matrix.ask(route, token)
        assert_problem(answer, 401, "unauthenticated")
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="splitsound"'), route
        assert ("invalid_token" in challenge) == (token is not None), route


def test_what_is_public_does_not_look_at_tokens(matrix: Matrix) -> None:
    for route in matrix.routes:
        if route.kind == "public":
            path = route.fill({})
            # ``client`` holds each answer to the document.
            with client(matrix.url) as nobody, client(matrix.url, Authorization="Bearer x") as odd:
                bodies: tuple[dict[str, Any] | None, ...] = (None, {})
                for body in bodies:
                    answers = {
                        http.request(route.method, path, json=body).status_code
                        for http in (nobody, odd)
                    }
                    assert len(answers) == 1, route


# --- people ----------------------------------------------------------------------------------


def allowed(answer: httpx.Response) -> bool:
    """Whatever else was wrong with the request, the caller was not."""
    if answer.status_code == 403:
        return bool(answer.json()["code"] == "confirmation_required")
    return answer.status_code != 401


def test_people(matrix: Matrix) -> None:
    issue = matrix.application.identity.issue
    for route in matrix.guarded:
        answer = matrix.ask(route, issue(matrix.join()))
        if route.kind == "admin":
            assert assert_problem(answer, 403, "not_an_admin")["missing"] == ["list", "claim"]
        else:
            assert allowed(answer), route
        # The claim alone, as somebody has it who was taken off the list.
        answer = matrix.ask(route, issue(matrix.join(), admin=True))
        if route.kind == "admin":
            assert assert_problem(answer, 403, "not_an_admin")["missing"] == ["list"]
        else:
            assert allowed(answer), route


def test_administrators(matrix: Matrix) -> None:
    for route, email in zip(matrix.guarded, matrix.admins, strict=False):
        if route.kind == "admin":
            unasked = matrix.ask(route, sign_in(matrix.application, email)[0])
            assert assert_problem(unasked, 403, "admin_claim_missing")["missing"] == ["claim"]
        token, _ = sign_in(matrix.application, email, admin=True)
        assert allowed(matrix.ask(route, token)), route


@pytest.mark.parametrize("scopes", [*((name,) for name in SCOPES), tuple(SCOPES)])
def test_api_keys(matrix: Matrix, scopes: tuple[str, ...]) -> None:
    # Also of an administrator: a key is none.
    key = matrix.key(matrix.join(matrix.admins[-1 - len(scopes)]), *scopes)
    for route in matrix.guarded:
        answer = matrix.ask(route, key)
        if route.scope in scopes:
            assert allowed(answer), route
        elif route.scope is None:
            assert_problem(answer, 403, "person_required")
        else:
            problem = assert_problem(answer, 403, "insufficient_scope")
            assert problem["scope"] == route.scope


# --- other people's things -------------------------------------------------------------------


def test_other_peoples_ids_are_not_there(matrix: Matrix) -> None:
    issue = matrix.application.identity.issue
    eve = issue(matrix.join())
    with owner(matrix) as (ann, ids):
        for route in matrix.guarded:
            if route.kind == "personal" and route.parameters:
                assert ids.keys() >= set(route.parameters), f"give Ann a {route.parameters}"
                answer = matrix.ask(route, eve, **ids)
                # Removing what is not there is harmless; below, Ann still has hers.
                if (route.method, answer.status_code) != ("DELETE", 204):
                    assert_problem(answer, 404, "not_found")
        for route in matrix.guarded:
            told = route.method == "GET" and "message_id" not in route.parameters
            if route.kind == "personal" and route.parameters and told:
                assert matrix.ask(route, ann, **ids).status_code != 404, route


@contextmanager
def owner(matrix: Matrix) -> Iterator[tuple[str, dict[str, str]]]:
    """Somebody who has one of everything: her token, and the ids by the names in paths."""
    user_id = matrix.join()
    token = matrix.application.identity.issue(user_id)
    with client(matrix.url, Authorization=f"Bearer {token}") as http:
        ann = Person(http, Worker(matrix.application), user_id)
        job = ann.job()
        bought = http.post("/v1/checkout", json={"pack": "hour"}).json()
        key_id = api_keys.parse(matrix.key(user_id, "read")).key_id
        endpoint_id = matrix.application.ids.fresh("whk")
        matrix.run(AddWebhookEndpoint(user_id, endpoint_id, "https://hook.example/", "whsec_x"))
        yield token, {
            "endpoint_id": endpoint_id, "message_id": "msg_none",
            "asset_id": job["asset_id"], "job_id": job["job_id"],
            "purchase_id": bought["purchase_id"], "key_id": key_id,
        }  # fmt: skip


def test_an_erased_person_gets_nothing(matrix: Matrix) -> None:
    user_id = matrix.join()
    matrix.run(EraseUser(user_id, "a test"))
    for route in matrix.guarded:
        answer = matrix.ask(route, matrix.application.identity.issue(user_id))
        assert_problem(answer, 410, "account_erased")

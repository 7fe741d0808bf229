"""OpenID providers for the API to sign people in with: the local stack's own, and one that lies."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
import msgspec
import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from msgspec import Struct

from infra.identity import DEVELOPMENT
from infra.local.oidc.app import create_app
from infra.local.oidc.component import LocalProvider
from infra.local.oidc.secrets import Secrets
from infra.local.ports import HOST, free_port

PAGE = "https://app.example/library?tab=new"
"""A page of the front end's, at the only origin that the tests' API allows."""
Answer = tuple[int, bytes]


class LocalIssuer(Struct, frozen=True):
    """The local stack's provider, running."""

    url: str
    entry: dict[str, Any]

    def settings(self) -> dict[str, str]:
        """What makes the API sign people in with it."""
        return {
            "oidc_providers": msgspec.json.encode([self.entry]).decode(),
            "sign_in_return_url": PAGE,
            "public_url": "http://127.0.0.1:8040",  # the loopback; the port is the request's
        }


@contextmanager
def vouching(data: Path) -> Iterator[LocalIssuer]:
    """Serve it until the block ends."""
    provider = LocalProvider(data, free_port(None))
    (entry,) = json.loads(provider.settings()["SPLITSOUND_OIDC_PROVIDERS"])
    assert entry["users_as"] == DEVELOPMENT
    app = create_app(provider.url, Secrets.of(data / "keys"))
    config = uvicorn.Config(
        app, host=HOST, port=provider.port, lifespan="on", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the provider did not start"
        assert time.monotonic() < deadline, "the provider did not start in time"
        time.sleep(0.01)
    try:
        yield LocalIssuer(provider.url, entry)
    finally:
        server.should_exit = True
        thread.join(20)


class Liar:
    """An issuer whose every answer a test may replace; by itself it tells the truth.

    ``answers`` has what is said instead, by path; ``asked`` counts requests by path, and ``forms``
    are those that came to the token endpoint.
    """

    CLIENT = "client-of-a-liar"

    def __init__(self) -> None:
        self.url = ""
        self.keys = {"first": private_key("first")}
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.asked: dict[str, int] = {}
        self.forms: list[dict[str, str]] = []
        self.token = ""
        self.slow = 0.0

    def entry(self, **also: Any) -> dict[str, Any]:
        """For the API's settings."""
        known = {"name": "liar", "issuer": self.url, "client_id": self.CLIENT}
        return known | {"client_secret": "a secret/with:signs"} | also

    def metadata(self) -> dict[str, Any]:
        """Discovery."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }

    def jwks(self) -> dict[str, Any]:
        """The keys that are published."""
        return {"keys": [{**public_jwk(key), "kid": kid} for kid, key in self.keys.items()]}

    def claims(self, nonce: str | None, **other: Any) -> dict[str, Any]:
        """Those of a good ID token, with others in their place; None leaves one out."""
        now = int(time.time())
        good = {
            "iss": self.url, "aud": self.CLIENT, "sub": "subject-1", "iat": now, "exp": now + 300,
            "nonce": nonce, "email": "Lia@Example.org", "email_verified": True,
        }  # fmt: skip
        return {name: value for name, value in (good | other).items() if value is not None}

    def sign(
        self, claims: dict[str, Any], kid: str | None = "first", key: Any = None, alg: str = "RS256"
    ) -> str:
        """An ID token."""
        signing = self.keys[kid or "first"] if key is None else key
        return jwt.encode(claims, signing, alg, {"kid": kid} if kid else None)

    def says(self, path: str, body: bytes | object, status: int = 200) -> None:
        """From now on that stands there."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.answers[path] = lambda: (status, raw)

    def answer(self, path: str, form: dict[str, str]) -> Answer:
        """What is said to a request."""
        self.asked[path] = self.asked.get(path, 0) + 1
        time.sleep(self.slow)
        if path == "/token":
            self.forms.append(form)
        if path in self.answers:
            return self.answers[path]()
        honest: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": self.metadata,
            "/jwks": self.jwks,
            "/token": lambda: {"access_token": "a", "token_type": "Bearer", "id_token": self.token},
        }
        return (200, msgspec.json.encode(honest[path]())) if path in honest else (404, b"")


@cache
def private_key(name: str) -> RSAPrivateKey:
    """The key of that name; making one takes a while."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: RSAPrivateKey) -> dict[str, Any]:
    """The public half (RFC 7518, section 6.3.1)."""
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"kty": "RSA", "n": jwk["n"], "e": jwk["e"], "use": "sig", "alg": "RS256"}


@contextmanager
def lying() -> Iterator[Liar]:
    """Serve one until the block ends."""
    liar = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            basic = self.headers.get("Authorization", "Basic ").removeprefix("Basic ")
            shown = {"": base64.b64decode(basic).decode()}
            self._say(dict(parse_qsl(raw)) | shown)

        def _say(self, form: dict[str, str]) -> None:
            status, body = liar.answer(self.path, form)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    liar.url = f"http://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


def location(answer: httpx.Response) -> str:
    """Where it sends the browser."""
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def query(url: str) -> dict[str, str]:
    """The parameters of a URL."""
    return {name: value for name, (value, *_) in parse_qs(urlsplit(url).query).items()}


def typed(page: str, email: str, **also: str) -> str:
    """Somebody types an address on the local provider's page; where the browser is sent then."""
    return location(
        httpx.post(page, data={"email": email} | also, trust_env=False, headers={"Accept": "*/*"})
    )


def walked(http: httpx.Client, email: str, **asked: Any) -> httpx.Response:
    """The whole way with the local provider: what the callback answers."""
    page = location(http.get("/v1/auth/local/login", params=asked))
    return http.get(typed(page, email))


def refresh(http: httpx.Client, **headers: str) -> httpx.Response:
    """An access token for the session cookie."""
    told = headers or {"Origin": "https://app.example"}
    return http.post("/v1/auth/refresh", headers=told)

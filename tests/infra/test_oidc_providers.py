"""What ``SPLITSOUND_OIDC_PROVIDERS`` may say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from domain.errors import Invalid
from infra.identity.providers import configured
from infra.settings import Settings

NAMES: dict[str, Any] = {f.name: f.name for f in msgspec.structs.fields(Settings) if f.required}
GOOGLE = {"name": "google", "issuer": "https://accounts.google.com", "client_id": "x"}


def settings(providers: object, **other: str) -> Settings:
    told = {"public_url": "https://api.example.org", "keys": "keys"} | other
    text = providers if isinstance(providers, str) else json.dumps(providers)
    return msgspec.convert(
        NAMES | told | {"oidc_providers": text}, Settings, strict=False, dec_hook=lambda t, v: t(v)
    )


def test_none_is_fine() -> None:
    assert configured(settings("")) == {}
    assert configured(settings([])) == {}


def test_a_provider_with_what_is_not_said() -> None:
    (google,) = configured(settings([GOOGLE])).values()
    assert (google.label, google.known_as) == ("Google", "https://accounts.google.com")
    assert google.scopes == ("openid", "email")
    assert not google.admins
    assert not google.client_secret


def test_an_issuer_may_move() -> None:
    (moved,) = configured(settings([GOOGLE | {"users_as": "https://old.example"}])).values()
    assert moved.known_as == "https://old.example"


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ("{", "no JSON|is not a JSON list"),
        ({"name": "x"}, "is not a JSON list"),
        ([{"name": "x"}], "missing required field"),
        ([GOOGLE | {"secret": "x"}], "unknown field `secret`"),
        ([GOOGLE | {"name": "Go ogle"}], "a name is"),
        ([GOOGLE | {"name": ""}], "a name is"),
        ([GOOGLE | {"issuer": "http://accounts.google.com"}], "an issuer is"),
        ([GOOGLE | {"issuer": "accounts.google.com"}], "an issuer is"),
        ([GOOGLE | {"issuer": "https://x.example/?a=b"}], "an issuer is"),
        ([GOOGLE | {"issuer": "https://u:p@x.example"}], "an issuer is"),
        ([GOOGLE | {"issuer": "https://x.example:99999"}], "an issuer is"),
        ([GOOGLE | {"client_id": " "}], "client_id"),
        ([GOOGLE | {"scopes": ["email"]}], "openid among them"),
        ([GOOGLE | {"scopes": ["openid", "a b"]}], "openid among them"),
        ([GOOGLE, GOOGLE | {"issuer": "https://x.example"}], "'google' twice"),
        ([GOOGLE, GOOGLE | {"name": "other"}], "twice"),
    ],
)
def test_what_is_wrong_is_said(providers: object, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        configured(settings(providers))


@pytest.mark.parametrize(
    "url", ["", "api.example.org", "http://api.example.org", "https://api.example.org/v1", "x:y"]
)
def test_where_browsers_reach_us_must_be_said(url: str) -> None:
    with pytest.raises(Invalid, match="PUBLIC_URL"):
        configured(settings([GOOGLE], public_url=url))


def test_on_the_loopback_it_needs_no_tls() -> None:
    local = GOOGLE | {"issuer": "http://127.0.0.1:5000"}
    assert configured(settings([local], public_url="http://localhost:8040"))

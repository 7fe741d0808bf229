"""What doctor says of signing in, and ``splitsound keys``."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.cli.checks import Ailing
from handlers.cli.checks.signing_in import cookie_travels, same_site
from infra.bootstrap import Application
from tests.handlers.cli.operators import splitsound


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.example.org", "https://app.example.org", True),
        ("https://api.example.org", "https://example.org", True),
        ("https://api.example.org:8443", "https://app.example.org", True),
        ("https://api.example.co.uk", "https://app.example.co.uk", True),
        ("https://one.co.uk", "https://other.co.uk", False),
        ("https://one.github.io", "https://other.github.io", False),
        ("https://api.example.org", "https://app.example.com", False),
        ("https://api.example.org", "http://app.example.org", False),
        ("https://api.example.org", "https://notexample.org", False),
        ("https://10.0.0.1", "https://10.0.0.2", False),
        ("http://127.0.0.1:8040", "http://localhost:*", True),
        ("http://127.0.0.1:8040", "https://app.example.org", False),
    ],
)
def test_what_is_one_site(one: str, other: str, same: bool) -> None:
    assert same_site(one, other) is same


def test_doctor_names_the_origins_that_the_cookie_does_not_reach() -> None:
    api = "https://api.example.org"
    assert "send the session cookie" in cookie_travels(api, "https://app.example.org")
    with pytest.raises(Ailing, match=r"https://app\.example\.com"):
        cookie_travels(api, "https://app.example.org, https://app.example.com")
    with pytest.raises(Ailing, match="any origin"):
        cookie_travels(api, "*")


def test_keys_are_listed_and_rotated(application: Application, capsys: Any) -> None:
    before = application.identity.signing_keys.signing().kid
    listed = splitsound(capsys, "keys", "list", "--json").data
    assert [(k["kid"], k["state"]) for k in listed] == [(before, "signs")]
    assert "signs from 20" in splitsound(capsys, "keys", "rotate").out
    states = [k["state"] for k in splitsound(capsys, "keys", "list", "--json").data]
    assert states == ["signs", "waits"]

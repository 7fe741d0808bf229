from __future__ import annotations

from pathlib import Path

import jwt
import msgspec
import pytest

from infra.clock import SystemClock
from infra.identity import Caller, Identity
from infra.identity.ring import RELOAD_SECONDS
from infra.keys import KeyFiles
from infra.settings import Settings

OURS = "https://ours.example"
NAMES: dict[str, object] = {f.name: f.name for f in msgspec.structs.fields(Settings) if f.required}


def identity(keys: Path, admins: str = "") -> Identity:
    providers = msgspec.json.encode([
        {"name": "ours", "issuer": "https://ours.example", "client_id": "x", "admins": True},
        {"name": "others", "issuer": "https://others.example", "client_id": "x"},
    ]).decode()  # fmt: skip
    told = {"keys": keys, "admin_emails_csv": admins, "oidc_providers": providers}
    also = {"public_url": "https://api.example"}
    settings = msgspec.convert(NAMES | told | also, Settings, strict=False)
    return Identity(KeyFiles(keys), settings, SystemClock())


def test_a_token_says_whom_it_speaks_for(tmp_path: Path) -> None:
    ours = identity(tmp_path)
    assert ours.verify(ours.issue("usr_1")) == Caller("usr_1")
    assert ours.verify(ours.issue("usr_1", admin=True)) == Caller("usr_1", admin=True)
    token = ours.issue("usr_1", session="ses_1", begun=7)
    assert ours.verify(token) == Caller("usr_1", session="ses_1")
    assert jwt.decode(token, options={"verify_signature": False})["auth_time"] == 7
    plain = jwt.decode(ours.issue("usr_1"), options={"verify_signature": False})
    assert "admin" not in plain


@pytest.mark.parametrize("value", ["true", 1, [True], {"admin": True}, None, False])
def test_only_true_is_the_claim(tmp_path: Path, value: object) -> None:
    ours = identity(tmp_path)
    token = ours.issue("usr_1")
    claims = jwt.decode(token, options={"verify_signature": False}) | {"admin": value}
    head = jwt.get_unverified_header(token)
    forged = jwt.encode(claims, ours.signing_keys.signing().private, "EdDSA", head)
    assert ours.verify(forged) == Caller("usr_1", admin=False)


def test_the_list_is_compared_without_case_and_spaces(tmp_path: Path) -> None:
    ours = identity(tmp_path, " Ada@Example.org ,, bob@example.org,")
    for address, listed in {
        "ada@example.org": True, "BOB@example.org": True, "eve@example.org": False, "": False,
    }.items():  # fmt: skip
        assert ours.is_listed(ours.mark(OURS, address)) is listed
    assert not identity(tmp_path).is_listed(ours.mark(OURS, ""))
    assert not identity(tmp_path).is_listed("")


def test_only_an_issuer_that_is_believed_names_administrators(tmp_path: Path) -> None:
    ours = identity(tmp_path, "ada@example.org")
    for issuer in ("https://others.example", "https://unknown.example", "ours", ""):
        assert not ours.is_listed(ours.mark(issuer, "ada@example.org"))


def test_who_is_off_the_list_is_so_at_the_next_request(tmp_path: Path) -> None:
    before = identity(tmp_path, "ada@example.org")
    mark = before.mark(OURS, "ada@example.org")
    token = before.issue("usr_1", admin=True, mark=mark)
    assert before.is_listed(before.verify(token).mark)
    after = identity(tmp_path, "bob@example.org")
    assert not after.is_listed(after.verify(token).mark)
    assert after.verify(after.issue("usr_1", mark=mark)).mark == ""


def test_a_token_carries_no_address(tmp_path: Path) -> None:
    ours = identity(tmp_path, "ada@example.org")
    mark = ours.mark(OURS, "ada@example.org")
    token = ours.issue(ours.user_id(OURS, "ada@example.org"), admin=True, mark=mark)
    assert "ada" not in str(jwt.decode(token, options={"verify_signature": False}))


def test_a_token_is_known_once_it_was_verified_while_it_and_its_key_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = identity(tmp_path)
    token = ours.issue("usr_1", admin=True)
    assert ours.known(token) is None
    assert ours.verify(token) == ours.known(token) == Caller("usr_1", admin=True)
    assert ours.known(token + "x") is None
    assert ours.known("") is None
    over = jwt.decode(token, options={"verify_signature": False})["exp"]
    with monkeypatch.context() as patch:
        patch.setattr("infra.identity.tokens.time.time", lambda: over)
        assert ours.known(token) is None
    assert ours.known(token)
    with monkeypatch.context() as patch:
        # Nobody has looked at the keys lately: whether it counts is not known without a look.
        patch.setattr(ours.signing_keys, "_looked", ours.signing_keys._looked - RELOAD_SECONDS)
        assert ours.known(token) is None
    other = identity(tmp_path / "other").signing_keys
    ours.signing_keys._keys = tuple(other.published())
    assert ours.known(token) is None


def test_no_more_tokens_are_known_than_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.identity.tokens.MOST_KNOWN", 2)
    ours = identity(tmp_path)
    tokens = [ours.issue("usr_1") for _ in range(3)]
    for token in tokens:
        ours.verify(token)
    assert [bool(ours.known(token)) for token in tokens] == [False, True, True]

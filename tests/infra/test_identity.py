from __future__ import annotations

from pathlib import Path

import jwt
import msgspec
import pytest

from infra.clock import SystemClock
from infra.identity import DEVELOPMENT, Caller, Identity
from infra.keys import KeyFiles
from infra.settings import Settings

NAMES = {f.name: f.name for f in msgspec.structs.fields(Settings) if f.required}


def identity(keys: Path, admins: str = "") -> Identity:
    settings = msgspec.convert(
        {**NAMES, "keys": keys, "admin_emails_csv": admins}, Settings, strict=False
    )
    return Identity(KeyFiles(keys), settings, SystemClock())


def test_a_token_says_whom_it_speaks_for(tmp_path: Path) -> None:
    ours = identity(tmp_path)
    assert ours.verify(ours.issue("usr_1")) == Caller("usr_1")
    assert ours.verify(ours.issue("usr_1", admin=True)) == Caller("usr_1", admin=True)
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
        "ada@example.org": True, "bob@example.org": True, "eve@example.org": False, "": False,
    }.items():  # fmt: skip
        assert ours.is_listed(ours.user_id(DEVELOPMENT, address)) is listed
    assert not ours.is_listed(ours.user_id("https://accounts.example", "ada@example.org"))
    assert not identity(tmp_path).is_listed(ours.user_id(DEVELOPMENT, ""))


def test_a_token_carries_no_address(tmp_path: Path) -> None:
    ours = identity(tmp_path, "ada@example.org")
    token = ours.issue(ours.user_id(DEVELOPMENT, "ada@example.org"), admin=True)
    assert "ada" not in str(jwt.decode(token, options={"verify_signature": False}))

"""Secrets are kept alike in files and in a table under KMS."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from domain.errors import AccessDenied, Conflict, Invalid, Unavailable
from infra.keys import KeyFiles, KeyStore, KeyTable, KmsSealing
from infra.keys.sealing import MOST_BYTES
from infra.local.emulator import Emulator
from infra.personal import PersonalFields
from tests.infra.test_faults import restricted


@pytest.fixture(scope="module")
def kms() -> Iterator[Any]:
    """Of moto, which checks the encryption context."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.session.Session(region_name="us-east-1")
    yield session.client("kms", endpoint_url=f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="module")
def sealing(kms: Any) -> KmsSealing:
    return KmsSealing(kms, kms.create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture
def table(emulator: Emulator) -> str:
    name = f"keys-{uuid.uuid4().hex}"
    emulator.access.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
    )
    return name


Opened = Callable[[], KeyStore]


@pytest.fixture(params=["files", "table"])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator, sealing: KmsSealing
) -> Opened:
    """Each call is another process's view of the same secrets."""
    if request.param == "files":
        return lambda: KeyFiles(tmp_path)
    name = request.getfixturevalue("table")
    return lambda: KeyTable(emulator.access.client("dynamodb"), name, sealing)


def test_a_secret_is_made_once(opened: Opened) -> None:
    assert opened().get("people/one.key") is None
    made = opened().get_or_make("people/one.key", lambda: b"first")
    again = opened().get_or_make("people/one.key", lambda: b"second")
    assert made == again == opened().get("people/one.key") == b"first"
    assert opened().get("people/two.key") is None


def test_of_those_who_make_it_at_once_one_wins(opened: Opened) -> None:
    begin, found = threading.Barrier(6), []

    def make(number: int) -> None:
        store = opened()
        begin.wait()
        found.append(store.get_or_make("a", lambda: b"%d" % number))

    threads = [threading.Thread(target=make, args=(n,)) for n in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(found) == {opened().get("a")}


def test_changes_at_once_lose_none(opened: Opened) -> None:
    begin = threading.Barrier(4)

    def count() -> None:
        store = opened()
        begin.wait()
        store.change("n", lambda n: b"%d" % (int(n or b"0") + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert opened().get("n") == b"4"


def test_what_is_destroyed_is_gone_and_can_be_made_anew(opened: Opened) -> None:
    store = opened()
    store.get_or_make("people/x.key", lambda: b"old")
    store.destroy("people/x.key")
    store.destroy("people/x.key")
    assert store.get("people/x.key") is None
    assert store.get_or_make("people/x.key", lambda: b"new") == b"new"


def test_nobody_reads_a_secret_in_the_table(
    emulator: Emulator, sealing: KmsSealing, table: str
) -> None:
    client = emulator.access.client("dynamodb")
    store = KeyTable(client, table, sealing)
    store.get_or_make("signing", lambda: b"a very private key")
    store.get_or_make("other", lambda: b"another")
    [ours] = [i for i in client.scan(TableName=table)["Items"] if i["name"]["S"] == "signing"]
    assert b"private" not in ours["secret"]["B"]
    # Put in another's place it does not open: the name is part of the encryption.
    client.put_item(TableName=table, Item={**ours, "name": {"S": "other"}})
    with pytest.raises(Unavailable):
        store.get("other")


def test_personal_fields_are_erased_with_the_key(
    emulator: Emulator, sealing: KmsSealing, table: str
) -> None:
    client = emulator.access.client("dynamodb")
    keys, people = KeyTable(client, table, sealing), KeyTable(client, table, None)
    fields = PersonalFields(keys, people)
    sealed = fields.seal("usr_1", ("user-usr_1", 1, "email"), "ada@example.org")
    assert fields.open("usr_1", ("user-usr_1", 1, "email"), sealed) == "ada@example.org"
    assert {i["name"]["S"] for i in client.scan(TableName=table)["Items"]} == {
        "master.key", "people/usr_1.key",
    }  # fmt: skip
    fields.erase("usr_1")
    assert people.get("people/usr_1.key") is None


def test_what_kms_does_not_take_is_refused(sealing: KmsSealing) -> None:
    with pytest.raises(Invalid, match=f"KMS takes {MOST_BYTES}"):
        sealing.seal("ring", bytes(MOST_BYTES + 1))


def test_who_keeps_losing_is_told(emulator: Emulator, sealing: KmsSealing, table: str) -> None:
    store = KeyTable(emulator.access.client("dynamodb"), table, None)
    other = KeyTable(emulator.access.client("dynamodb"), table, None)

    def overtaken(n: bytes | None) -> bytes:
        other.change("n", lambda m: b"%d" % (int(m or b"0") + 1))
        return b"mine"

    with pytest.raises(Conflict, match="secret n"):
        store.change("n", overtaken)


def test_denials_name_the_right_that_is_missing(emulator: Emulator, table: str) -> None:
    access = restricted(emulator.access, [("Deny", "kms:*"), ("Allow", "dynamodb:*")])
    denied = KmsSealing(access.client("kms"), "some-key")
    with pytest.raises(AccessDenied, match="kms:Encrypt"):
        denied.seal("a", b"x")
    access = restricted(emulator.access, [("Deny", "dynamodb:*")])
    with pytest.raises(AccessDenied, match="dynamodb:GetItem"):
        KeyTable(access.client("dynamodb"), table, None).get("a")

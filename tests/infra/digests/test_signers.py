"""Both kinds of keys sign alike: the file, and KMS as moto serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
from moto.server import ThreadedMotoServer

from domain.errors import AccessDenied, HistoryBroken, Invalid, NotFound
from infra.bootstrap import Application
from infra.digests.bucket import DigestFile
from infra.digests.checking import heads_of, opened
from infra.digests.document import Head
from infra.digests.scanning import Scanned
from infra.digests.signers import KeyFileSigner, KmsSigner, Signer, fingerprint, holds
from infra.digests.taking import take
from infra.keys import KeyFiles
from infra.local.emulator import Emulator
from tests.infra.test_faults import restricted

ECC = {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}


@pytest.fixture(scope="module")
def kms() -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.session.Session(region_name="us-east-1")
    yield session.client("kms", endpoint_url=f"http://{host}:{port}")
    server.stop()


def new_key(kms: Any, **options: str) -> str:
    name: str = kms.create_key(**(options or ECC))["KeyMetadata"]["KeyId"]
    return name


@pytest.fixture(params=["file", "kms"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Signer:
    if request.param == "file":
        return KeyFileSigner(KeyFiles(tmp_path / "keys"))
    client = request.getfixturevalue("kms")
    return KmsSigner(client, new_key(client))


def test_a_signature_holds_for_these_bytes_under_this_key_only(
    signer: Signer, tmp_path: Path
) -> None:
    signature = signer.sign(b"digest")
    assert holds(signer.public_key, signature, b"digest")
    assert not holds(signer.public_key, signature, b"digest ")
    assert not holds(signer.public_key, signature[:-1], b"digest")
    other = KeyFileSigner(KeyFiles(tmp_path / "other"))
    assert not holds(other.public_key, signature, b"digest")
    assert fingerprint(signer.public_key) != fingerprint(other.public_key)


def test_a_digest_is_opened_with_the_key_that_signed_it(signer: Signer, tmp_path: Path) -> None:
    file = DigestFile(tmp_path / "digest.json")
    scanned = Scanned([Head("a", 1, "00" * 32), Head("b", 2, "11" * 32)], 3, 3)
    with (tmp_path / "heads").open("w+b") as heads:
        taken = take(scanned, None, signer, "events", 1_795_450_000_123, heads)
        file.put(taken.envelope, heads)
    digest = opened(taken.name, file.envelope(), [signer.public_key])
    assert digest == taken.digest
    assert (digest.day, digest.taken_at) == ("2026-11-23", "2026-11-23T16:06:40.123Z")
    assert heads_of(taken.name, digest, file.head_lines()) == scanned.heads
    other = KeyFileSigner(KeyFiles(tmp_path / "other"))
    with pytest.raises(HistoryBroken, match="signed by another key"):
        opened(taken.name, file.envelope(), [other.public_key])


def test_the_key_in_the_file_stays(tmp_path: Path) -> None:
    keys = KeyFiles(tmp_path)
    assert KeyFileSigner(keys).public_key == KeyFileSigner(keys).public_key
    assert (tmp_path / "digest.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["a key of tokens", "garbage"])
def test_another_file_is_no_key(application: Application, tmp_path: Path, kind: str) -> None:
    of_tokens = application.identity.signing_keys.signing().pem.encode()
    (tmp_path / "digest.pem").write_bytes(b"garbage" if kind == "garbage" else of_tokens)
    with pytest.raises(Invalid, match="is no private key"):
        _ = KeyFileSigner(KeyFiles(tmp_path)).public_key


def test_a_kms_key_that_is_not_there_or_cannot_sign_is_named(kms: Any) -> None:
    with pytest.raises(NotFound, match=r"KMS key no-such-key .*SPLITSOUND_DIGEST_KEY"):
        _ = KmsSigner(kms, "no-such-key").public_key
    rsa = new_key(kms, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    with pytest.raises(Invalid, match="not of the kind ECC_NIST_P256"):
        _ = KmsSigner(kms, rsa).public_key


def test_kms_denied(emulator: Emulator) -> None:
    access = restricted(emulator.access, [("Deny", "kms:*")])
    signer = KmsSigner(access.client("kms"), "some-key")
    asked: list[Callable[[], object]] = [lambda: signer.public_key, lambda: signer.sign(b"x")]
    for ask in asked:
        with pytest.raises(AccessDenied, match="AWS denied kms:"):
            ask()


def test_settings_choose_the_signer(application: Application) -> None:
    assert isinstance(application.digest_signer, KeyFileSigner)
    settings = msgspec.structs.replace(application.settings, digest_key="key-1")
    assert isinstance(Application(settings).digest_signer, KmsSigner)


@pytest.mark.parametrize("pem", [b"", b"x", b"-----BEGIN PUBLIC KEY-----\nAA\n"])
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(Invalid, match="no public key in PEM"):
        fingerprint(pem)

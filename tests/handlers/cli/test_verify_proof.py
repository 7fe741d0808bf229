"""The script that third parties run: by itself, on real proofs, and on every forgery of them."""

from __future__ import annotations

import base64
import copy
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from commands import SignUp
from domain.commit import Append, Meta
from domain.credits import CREDITS, CreditsGranted
from handlers.cli.audit.key import SCRIPT
from infra.bootstrap import Application
from infra.digests.signers import KeyFileSigner
from infra.keys import KeyFiles
from infra.settings import to_environment
from tests.handlers.cli.operators import do, splitsound

# -S: without site-packages, so neither ours nor anybody's code but what is named here.
_ISOLATED = [sys.executable, "-I", "-S"]
_ALONE = """
import json, runpy, sys
sys.path.append(sys.argv[1])
script, key, proofs = sys.argv[2], sys.argv[3], sys.argv[4:]
for proof in proofs:
    sys.argv = [script, proof, "--key", key]
    try:
        runpy.run_path(script, run_name="__main__")
        print("PROVED", file=sys.stderr)
    except SystemExit as error:
        print(json.dumps(error.code), file=sys.stderr)
assert not {"domain", "infra", "handlers", "msgspec", "boto3"} & sys.modules.keys()
"""


class Auditor(Struct):
    """A folder of somebody else's, with the key and the script and `cryptography` in it."""

    home: Path
    proofs: list[Path] = []

    @classmethod
    def at(cls, home: Path, key: bytes) -> Auditor:
        packages = home / "packages"
        packages.mkdir()
        for name in ("cryptography", "cffi", "_cffi_backend", "pycparser"):
            if spec := importlib.util.find_spec(name):
                assert spec.origin is not None
                found = Path(spec.origin)
                found = found.parent if found.name == "__init__.py" else found
                (packages / found.name).symlink_to(found)
        (home / "verify.py").write_bytes(SCRIPT.read_bytes())
        (home / "key.pem").write_bytes(key)
        return cls(home)

    def checks(self, *proofs: bytes, key: str = "key.pem") -> list[Any]:
        """For each proof "PROVED", or the sentence that says what broke."""
        places = []
        for number, proof in enumerate(proofs):
            place = self.home / f"{number}.json"
            place.write_bytes(proof)
            places.append(place.name)
        command = [*_ISOLATED, "-c", _ALONE, "packages", "verify.py", key, *places]
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = done.stderr.splitlines()
        assert len(lines) == len(proofs)
        return [line if line == "PROVED" else json.loads(line) for line in lines]


class Proved(Struct):
    """Proofs of one stream, by version."""

    auditor: Auditor
    proofs: dict[int, Any]


@pytest.fixture
def proved(
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Proved:
    """usr_3's account: a commit with a peer, one of two events, and one more."""
    for name, value in to_environment(application.settings).items():
        monkeypatch.setenv(name, value)
    for number in range(6):
        do(application, SignUp(f"usr_{number}", "development", f"{number}@example.com"))
    for names in (("grt_a", "grt_b"), ("grt_c",)):
        account = application.store.load(CREDITS, "credits-usr_3")
        granted = [CreditsGranted("usr_3", name, "promotion", 10) for name in names]
        application.store.append([Append(account, granted)], Meta(f"cmd_{names[0]}", "cli:ann"))
    assert splitsound(capsys, "audit", "digest").code == 0
    proofs = {
        version: splitsound(capsys, "audit", "prove", "usr_3", str(version)).data
        for version in (1, 3, 4)
    }
    home = tmp_path / "auditor"
    home.mkdir()
    return Proved(Auditor.at(home, application.digest_signer.public_key), proofs)


def encoded(proof: Any) -> bytes:
    return json.dumps(proof).encode()


def test_the_script_alone_says_what_is_proved(proved: Proved) -> None:
    home = proved.auditor.home
    (home / "proof.json").write_bytes(encoded(proved.proofs[3]))
    run = "import sys, runpy; sys.path.append('packages'); sys.argv = sys.argv[1:]; "
    run += "runpy.run_path('verify.py', run_name='__main__')"
    command = [*_ISOLATED, "-c", run, "verify.py", "proof.json", "--key", "key.pem"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["stream"], told["version"], told["by"]) == ("credits-usr_3", 3, "cli:ann")
    assert told["event"]["grant_id"] == "grt_b"
    assert told["command"] == "cmd_grt_a"
    assert told["digest"]["streams"] == 12
    (home / "proof.json").write_bytes(encoded(proved.proofs[3] | {"version": 2}))
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    said = "NOT PROVED: the event does not stand at that version of the commit.\n"
    assert done.stderr == said


def test_every_version_is_proved(proved: Proved) -> None:
    assert [len(each["later"]) for each in proved.proofs.values()] == [2, 1, 0]
    assert proved.auditor.checks(*map(encoded, proved.proofs.values())) == ["PROVED"] * 3


Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every field and every member, the ones that hold others too."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        yield (*at, key)
        if isinstance(member, dict | list):
            yield from places(member, (*at, key))


def others(value: Any) -> Iterator[Any]:
    """What might stand there instead."""
    yield from (None, True, [], {}, "", "x", 0, -1, 1.5, [None], {"a": 1}, "\ud800", 10**30)
    if isinstance(value, str):
        for at in {0, len(value) // 3, len(value) // 2, len(value) - 2, len(value) - 1}:
            if 0 <= at < len(value):
                yield value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
                yield value[:at] + value[at + 1 :]
        yield from (value + " ", " " + value, value + "\n", value.upper(), value + "=", value * 2)
    if isinstance(value, int):
        yield from (value + 1, value - 1, float(value), str(value))
    if isinstance(value, list):
        yield from (
            value[:-1],
            value[1:],
            value[::-1],
            value * 2,
            [*value, *value[-1:]],
            [*value, []],
        )
    if isinstance(value, dict):
        yield from (value | {"more": 1}, dict(reversed(value.items())), [*value.items()])


def forgeries(proof: Any) -> Iterator[tuple[Place, Any]]:
    """The proof with one place changed or left out, each in every way we know."""
    for place in places(proof):
        holder: Any = proof
        for key in place[:-1]:
            holder = holder[key]
        instead = list(others(holder[place[-1]]))
        for other in [..., *instead]:
            if other is not ... and json.dumps(other) == json.dumps(holder[place[-1]]):
                continue
            forged = copy.deepcopy(proof)
            inside = forged
            for key in place[:-1]:
                inside = inside[key]
            if other is ...:
                del inside[place[-1]]
            else:
                inside[place[-1]] = other
            yield (*place, repr(other)[:40]), forged


@pytest.mark.parametrize("version", [1, 3, 4])
def test_no_part_of_a_proof_can_be_another(proved: Proved, version: int) -> None:
    forged = list(forgeries(proved.proofs[version]))
    assert len(forged) > 300
    answers = proved.auditor.checks(*(encoded(proof) for _, proof in forged))
    for (place, _), answer in zip(forged, answers, strict=True):
        assert answer != "PROVED", place
        assert answer.startswith("NOT PROVED: "), (place, answer)
        assert answer.endswith("."), (place, answer)
        assert "\n" not in answer, (place, answer)


def test_parts_of_other_proofs_do_not_fit(proved: Proved) -> None:
    one, other = proved.proofs[1], proved.proofs[4]
    # What belongs to the digest and the head is the same in both.
    own = [name for name in one if one[name] != other[name]]
    assert set(own) == {"version", "event", "commit", "before", "peers", "later"}
    answers = proved.auditor.checks(*(encoded(one | {name: other[name]}) for name in own))
    assert all(answer.startswith("NOT PROVED: ") for answer in answers)


def test_what_is_no_proof_at_all(proved: Proved) -> None:
    nested = b"[" * 200_000
    texts = [b"", b"null", b"[]", b"{}", b"3", b'"x"', b"\xff\xfe\x00", nested, b"9" * 5000]
    answers = proved.auditor.checks(*texts)
    assert all(answer.startswith("NOT PROVED: ") for answer in answers), answers


def test_only_the_pinned_key_counts(proved: Proved, tmp_path: Path) -> None:
    home, proof = proved.auditor.home, encoded(proved.proofs[3])

    def answer(pem: bytes) -> str:
        (home / "other.pem").write_bytes(pem)
        told: str = proved.auditor.checks(proof, key="other.pem")[0]
        return told

    def pem(private: Any) -> bytes:
        public: bytes = private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        return public

    another = "NOT PROVED: the digest was changed, or another key than this one signed it."
    assert answer(pem(ec.generate_private_key(ec.SECP256R1()))) == another
    assert answer(pem(ec.generate_private_key(ec.SECP384R1()))) == another
    none = "NOT PROVED: the key is none of an elliptic curve."
    assert answer(pem(rsa.generate_private_key(65537, 2048))) == none
    assert answer(pem(ed25519.Ed25519PrivateKey.generate())) == none
    for garbage in (b"", b"no key", b"-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n"):
        assert answer(garbage).startswith("NOT PROVED: ")
    assert "No such file" in proved.auditor.checks(proof, key="absent.pem")[0]


def test_a_forger_with_a_key_of_his_own_convinces_nobody(
    proved: Proved, application: Application, tmp_path: Path
) -> None:
    forger = KeyFileSigner(KeyFiles(tmp_path / "forger"))
    text = proved.proofs[3]["digest"]
    signature = base64.b64encode(forger.sign(text.encode())).decode()
    answer = proved.auditor.checks(encoded(proved.proofs[3] | {"signature": signature}))[0]
    assert answer.endswith("another key than this one signed it.")

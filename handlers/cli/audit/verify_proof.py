"""Check a proof that an event stands in a signed digest: verify_proof.py PROOF --key KEY.pem

Get the key by a way that you trust, and keep it: one that comes with a proof proves nothing.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from datetime import UTC, datetime  # Python 3.11
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SHAPE: dict[str, type] = {"version": int, "index": int, "event": dict, "later": list, "path": list}
SHAPE |= dict.fromkeys(("format", "commit", "before", "peers", "head", "digest", "signature"), str)


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _unhex(text: Any) -> bytes:
    _need(type(text) is str and bool(re.fullmatch("[0-9a-f]{64}", text)), "a hash is not in hex")
    return bytes.fromhex(text)


def _end(proof: dict[str, Any]) -> str:
    """The hash to which the chain leads from the event's commit."""
    found, body = _unhex(proof["before"]), _sha256(proof["commit"].encode())
    for link in [[body.hex(), proof["peers"]], *proof["later"]]:
        _need(type(link) is list and [*map(type, link)] == [str, str], "a later commit is no pair")
        found = _sha256(found, _unhex(link[0]), link[1].encode())
    return found.hex()


def _root(leaf: bytes, index: int, size: int, path: list[Any]) -> str:
    """The root of a Merkle tree (RFC 6962) in which the leaf stands at that index."""
    _need(0 <= index < size, f"the digest has no leaf {index}")
    found, last = _sha256(b"\0", leaf), size - 1
    for beside in map(_unhex, path):
        _need(last > 0, "the Merkle path is too long")
        while index == last and index % 2 == 0:
            index, last = index // 2, last // 2
        found = _sha256(b"\1", beside, found) if index % 2 else _sha256(b"\1", found, beside)
        index, last = index // 2, last // 2
    _need(last == 0, "the Merkle path is too short")
    return found.hex()


def _check(proof: Any, key: Any) -> dict[str, Any]:
    shape = {name: type(value) for name, value in proof.items()} if type(proof) is dict else None
    _need(shape == SHAPE, f"the proof should have {', '.join(SHAPE)}, each of its type, no more")
    _need(proof["format"] == "splitsound-proof-1", "proofs of that format are not known here")
    signature = base64.b64decode(proof["signature"], validate=True)
    _need(base64.b64encode(signature) == proof["signature"].encode(), "the signature is no base64")
    key.verify(signature, proof["digest"].encode(), ec.ECDSA(hashes.SHA256()))
    digest = json.loads(proof["digest"])  # signed: from here on what it says is true
    root = _root(proof["head"].encode(), proof["index"], digest["streams"], proof["path"])
    _need(root == digest["root"], "the head of the stream is not in the signed Merkle tree")
    stream, _, end = json.loads(proof["head"])
    _need(_end(proof) == end, "the chain from the event's commit does not lead to the head")
    name, first, last, _, events, command, time, actor, *_ = json.loads(proof["commit"])
    _need(name == stream, "the commit is another stream's")
    version, event = proof["version"], json.dumps(proof["event"])
    there = first <= version <= last and json.dumps(json.loads(events)[version - first]) == event
    _need(there, "the event does not stand at that version of the commit")
    when = datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds")
    known = {"proved": True, "stream": stream, "version": version, "event": proof["event"]}
    return known | {"when": when, "by": actor, "command": command, "digest": digest}


def main() -> None:
    """Print what is proved, or end with exit code 1 and the link that broke."""
    options = argparse.ArgumentParser(description="Check a proof.")
    options.add_argument("proof", type=Path)
    options.add_argument("--key", type=Path, required=True)
    given = options.parse_args()
    try:
        key = serialization.load_pem_public_key(given.key.read_bytes())
        _need(isinstance(key, ec.EllipticCurvePublicKey), "the key is none of an elliptic curve")
        print(json.dumps(_check(json.loads(given.proof.read_bytes()), key), indent=2))
    except InvalidSignature:
        sys.exit("NOT PROVED: the digest was changed, or another key than this one signed it.")
    except (OSError, ValueError, RecursionError, UnsupportedAlgorithm) as error:
        sys.exit(f"NOT PROVED: {error}.")


if __name__ == "__main__":
    main()

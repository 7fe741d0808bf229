"""Texts under a signature: what was signed is the text byte by byte, and no form of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from domain.errors import HistoryBroken
from infra.digests.signers import Signer, fingerprint, holds


def signature(text: bytes, signer: Signer) -> str:
    """Of the text, in base64."""
    return base64.b64encode(signer.sign(text)).decode()


def require_signed(what: str, text: str, signed: str, key: str, trusted: Sequence[bytes]) -> None:
    """Raises HistoryBroken unless one of the trusted keys (PEM) signed the text.

    what: for people, what it is; signed: base64; key: fingerprint of the key that it names.
    """
    keys = {fingerprint(each): each for each in trusted}
    if key not in keys:
        # An editor who leaves the name of the key alone ends below.
        raise HistoryBroken(
            f"{what} was signed by another key, {key[:16]}, and not by "
            f"{' or '.join(known[:16] for known in keys)}. If the key was changed on purpose, "
            "name the public key from before with --trust-key."
        )
    try:
        raw = base64.b64decode(signed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HistoryBroken(f"{what} is damaged: {error}.") from error
    if not holds(keys[key], raw, text.encode()):
        raise HistoryBroken(
            f"{what} was changed after it was signed, or signed by another key: its signature "
            "does not hold."
        )

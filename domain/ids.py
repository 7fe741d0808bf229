"""Prefixed ids: ``job_``, ``ast_``, ``usr_``, ``grt_``, ``cmd_``, ``req_``.

A fresh id sorts by time (48 bits of milliseconds, 80 random bits, in Crockford's base 32,
as ULID does: https://github.com/ulid/spec). A derived id is a hash of what it stands for,
so that a repeated request finds the first one's aggregate; it cannot sort by time.
"""

from __future__ import annotations

import hashlib

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def fresh(prefix: str, time: int, random: bytes) -> str:
    """A new id. time: epoch milliseconds; random: 10 bytes."""
    return f"{prefix}_{_base32((time << 80) | int.from_bytes(random[:10]))}"


def derived(prefix: str, *parts: str) -> str:
    """The id that these parts always give (128 bits of SHA-256 over the parts)."""
    text = "\x00".join(f"{len(p)}:{p}" for p in parts).encode()
    return f"{prefix}_{_base32(int.from_bytes(hashlib.sha256(text).digest()[:16]))}"

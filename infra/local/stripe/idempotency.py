"""``Idempotency-Key``: the same answer again, never the same work twice."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from infra.local.stripe.errors import IDEMPOTENCY, Refused
from infra.local.stripe.store import Answer, Transaction

_MAX_KEY = 255


class Running:
    """The keys whose requests are being answered right now, in this process."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def only(self, key: str) -> Iterator[None]:
        """Hold ``key``. Raises Refused (409) while another request holds it."""
        if len(key) > _MAX_KEY:
            raise Refused(f"Idempotency keys have at most {_MAX_KEY} characters.")
        with self._lock:
            if key in self._keys:
                raise Refused(
                    "There is currently another in-progress request using this Stripe "
                    "Idempotency-Key. Please try again later.",
                    status=409,
                    code="idempotency_key_in_use",
                    error_type=IDEMPOTENCY,
                )
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard(key)


def fingerprint(method: str, path: str, body: str) -> str:
    """What must be the same for a key to mean the same request."""
    pairs = sorted(parse_qsl(body, keep_blank_values=True))
    return hashlib.sha256(repr((method, path, pairs)).encode()).hexdigest()


def earlier(tx: Transaction, key: str, asked: str) -> Answer | None:
    """The first answer to ``key``. Raises Refused when it was to another request."""
    found = tx.answer(key)
    if found is not None and found.fingerprint != asked:
        raise Refused(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            error_type=IDEMPOTENCY,
        )
    return found

"""Personal fields: AES-GCM under a data key per person, wrapped by one master key.

A sealed field is base64 of nonce (12 bytes) ‖ ciphertext ‖ tag; its associated data is
``stream|version|field``, so that it opens only in the place where it was sealed.
Destroying the person's data key erases every field for good.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING

from domain.errors import NotFound
from domain.sealed import Sealed
from infra.keys import KeyStore

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Place = tuple[str, int, str]
REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 4096


class PersonalFields:
    """Implements commands.ports.Sealer. keys: has the master key; people: wrapped data keys."""

    def __init__(self, keys: KeyStore, people: KeyStore) -> None:
        self._keys = keys
        self._people = people
        self._lock = threading.Lock()
        self._opened: dict[str, tuple[float, bytes]] = {}

    def seal(self, user_id: str, place: Place, text: str) -> str:
        """See Sealer. The person's data key is made at the first field."""
        wrapped = self._people.get_or_make(_name(user_id), lambda: self._new_data_key(user_id))
        return _sealed(self._unwrap(user_id, wrapped), place, text.encode())

    def seal_bytes(self, user_id: str, place: Place, content: bytes) -> str:
        """Of somebody who has a data key: none is made for who was erased. Raises NotFound."""
        return _sealed(self._data_key(user_id), place, content)

    def open(self, user_id: str, place: Place, sealed: str) -> str:
        """The text. Raises NotFound when the person was erased or the place is another."""
        return self.open_bytes(user_id, place, sealed).decode()

    def open_bytes(self, user_id: str, place: Place, sealed: str) -> bytes:
        """What ``seal_bytes`` was given. Raises as ``open``."""
        from cryptography.exceptions import InvalidTag

        raw = base64.b64decode(sealed)
        known = self._opened.get(user_id)
        try:
            return _opened(self._data_key(user_id), raw, place)
        except InvalidTag:
            if known is None:
                raise NotFound("This field was sealed for another place.") from None
        # The key that was remembered may be that of somebody who was erased meanwhile.
        self._forget(user_id)
        return self.open_bytes(user_id, place, sealed)

    def unseal(self, user_id: str, sealed: Sealed) -> str:
        """Text that stands in the person's own stream. Raises NotFound like ``open``."""
        return self.open(user_id, (f"user-{user_id}", sealed.version, sealed.field), sealed.text)

    def erase(self, user_id: str) -> None:
        """Destroy the person's data key."""
        self._people.destroy(_name(user_id))
        self._forget(user_id)

    def _forget(self, user_id: str) -> None:
        with self._lock:
            self._opened.pop(user_id, None)

    def _data_key(self, user_id: str) -> bytes:
        """Read at most once in REMEMBERED_SECONDS: a page of a list opens a hundred names.

        So another process opens for that long what this one has erased. Raises NotFound.
        """
        now = time.monotonic()
        with self._lock:
            until, known = self._opened.get(user_id, (0.0, b""))
        if now < until:
            return known
        wrapped = self._people.get(_name(user_id))
        if wrapped is None:
            raise NotFound("This person's data was erased.")
        data_key = self._unwrap(user_id, wrapped)
        with self._lock:
            if len(self._opened) >= MOST_REMEMBERED:
                self._opened.clear()
            self._opened[user_id] = (now + REMEMBERED_SECONDS, data_key)
        return data_key

    @cached_property
    def _master(self) -> AESGCM:
        return _cipher(self._keys.get_or_make("master.key", lambda: os.urandom(32)))

    def _new_data_key(self, user_id: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._master.encrypt(nonce, os.urandom(32), user_id.encode())

    def _unwrap(self, user_id: str, wrapped: bytes) -> bytes:
        return self._master.decrypt(wrapped[:12], wrapped[12:], user_id.encode())


def _sealed(data_key: bytes, place: Place, content: bytes) -> str:
    nonce = os.urandom(12)
    sealed = nonce + _cipher(data_key).encrypt(nonce, content, _bound_to(place))
    return base64.b64encode(sealed).decode()


def _cipher(key: bytes) -> AESGCM:
    # Functions in Lambda that have no field to open do not wait for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _name(user_id: str) -> str:
    return f"people/{user_id}.key"


def _opened(data_key: bytes, raw: bytes, place: Place) -> bytes:
    """Raises InvalidTag."""
    return _cipher(data_key).decrypt(raw[:12], raw[12:], _bound_to(place))


def _bound_to(place: Place) -> bytes:
    return "|".join(str(part) for part in place).encode()

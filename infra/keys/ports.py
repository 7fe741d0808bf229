"""What is asked of a place for secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class KeyStore(Protocol):
    """Secrets by name, shared by all processes of a deployment. Raises Unavailable throughout.

    Nothing of it may stand in backups or exports: a secret that is destroyed must be gone.
    """

    def get(self, name: str) -> bytes | None:
        """The secret, or None when there is none of that name."""

    def get_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret; the first caller among all processes makes it."""

    def change(self, name: str, change: Callable[[bytes | None], bytes]) -> bytes:
        """Put what ``change`` makes of the secret in its place; nobody else changes it meanwhile.

        ``change`` may be called more than once, and only what its last call gave counts.
        """

    def destroy(self, name: str) -> None:
        """Forget a secret for good; again is harmless."""

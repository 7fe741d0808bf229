"""How many event streams one user holds open at this process."""

from __future__ import annotations

from collections import Counter

from domain.errors import TooManyStreams

RETRY_SECONDS = 30


class Slots:
    """Used from the event loop only."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Streams that are open, of all users."""
        return self._taken.total()

    def check(self, user_id: str) -> None:
        """Raises TooManyStreams where the user has as many as one may."""
        if self._taken[user_id] >= self._most:
            raise TooManyStreams(
                f"You have {self._most} event streams open, as many as one may. Close one, or "
                "listen to all jobs at once by GET /v1/events.",
                limit=self._most,
                retry_after=RETRY_SECONDS,
            )

    def take(self, user_id: str) -> None:
        """One more. Raises TooManyStreams."""
        self.check(user_id)
        self._taken[user_id] += 1

    def free(self, user_id: str) -> None:
        """One less."""
        self._taken[user_id] -= 1
        if not self._taken[user_id]:
            del self._taken[user_id]

"""The halves of transactions: each commit of one must name the bodies of all the others."""

from __future__ import annotations

from domain.commit import Commit


class Pairs:
    """What one commit says of another until the other has said the same.

    Both ways round are one entry, which comes with the first half and goes with the second. So
    memory is needed for the halves that are apart, about 200 bytes each, and none for the rest.
    """

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, int, str, int]] = {}

    def say(self, commit: Commit, body: bytes, of: tuple[str, int] | None = None) -> None:
        """A commit with peers came. body: its hash, as it is and not as somebody names it.

        of: only what it says of that commit (stream, version).
        """
        own = (commit.stream, commit.first, body.hex())
        for peer in commit.peers:
            if of and of != (peer.stream, peer.first):
                continue
            other = (peer.stream, peer.first, peer.body)
            # Python's hash of text is keyed anew in each process: nobody can aim at it.
            pair = hash((own, other) if own < other else (other, own))
            if self._open.pop(pair, None) is None:
                self._open[pair] = (own[0], own[1], peer.stream, peer.first)

    def add(self, other: Pairs) -> None:
        """What was said elsewhere."""
        for pair, said in other._open.items():
            if self._open.pop(pair, None) is None:
                self._open[pair] = said

    @property
    def unanswered(self) -> list[tuple[str, int, str, int]]:
        """Who (stream, version) names whom (stream, version) and is not named back like that."""
        return sorted(self._open.values())

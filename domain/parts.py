"""The parts of an upload: what was declared, and whether what arrived is exactly that.

Emulators join parts in any order and of any size; S3 refuses that, late and without saying
which part is wrong. So the rule stands here and is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from domain.errors import PartsMismatch

MAX_ERRORS = 100


class Part(Struct, frozen=True):
    """One part of a multipart upload. number: from 1; etag: as storage answered the PUT."""

    number: int
    etag: str
    size: int = 0


class PartError(Struct, frozen=True):
    """What is wrong with one part; pointer: into the body that named the parts."""

    number: int
    detail: str
    pointer: str = "#/parts"


class Parts(Struct, frozen=True):
    """How an upload of ``size`` bytes is cut: all parts but the last have ``part_size``."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.part_size)

    def size_of(self, number: int) -> int:
        """Bytes of part ``number``."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def missing(self, stored: Sequence[Part]) -> list[int]:
        """Numbers of the parts that storage lacks, or has in another size."""
        right = {p.number for p in stored if p.number <= self.count and self._fits(p)}
        return [n for n in range(1, self.count + 1) if n not in right]

    def check(self, stored: Sequence[Part], named: Sequence[Part] | None) -> list[Part]:
        """The parts to join, in order. named: what the client believes it sent, if it says.

        Raises PartsMismatch, naming each part (the first MAX_ERRORS of them).
        """
        errors = list(self._wrong(stored))
        if named is not None:
            errors += _disagreements(named, {p.number: p for p in stored}, self.count)
        if errors:
            raise PartsMismatch(
                f"{len(errors)} things keep these parts from being the declared file; send those "
                "parts again (GET the upload for their URLs), then complete.",
                errors=errors[:MAX_ERRORS],
            )
        return sorted(stored, key=lambda p: p.number)

    def _fits(self, part: Part) -> bool:
        return part.size == self.size_of(part.number)

    def _wrong(self, stored: Sequence[Part]) -> Iterator[PartError]:
        present = {p.number for p in stored}
        for number in range(1, self.count + 1):
            if number not in present:
                yield PartError(number, "Storage does not have this part.")
        for part in stored:
            if part.number > self.count:
                yield PartError(part.number, f"The upload has only {self.count} parts.")
            elif not self._fits(part):
                wanted = self.size_of(part.number)
                yield PartError(part.number, f"It has {part.size} bytes instead of {wanted}.")


def _disagreements(
    named: Sequence[Part], stored: dict[int, Part], count: int
) -> Iterator[PartError]:
    earlier = 0
    for index, part in enumerate(named):
        pointer = f"#/parts/{index}"
        have = stored.get(part.number)
        if part.number <= earlier:
            yield PartError(part.number, "Name each part once, in ascending order.", pointer)
        elif have is None:
            yield PartError(part.number, "Storage does not have this part.", pointer)
        elif _bare(part.etag) != _bare(have.etag):
            yield PartError(part.number, f"Storage has ETag {_bare(have.etag)}.", pointer)
        earlier = part.number
    absent = set(range(1, count + 1)) - {p.number for p in named}
    for number in sorted(absent):
        yield PartError(number, "The request does not name this part.")


def _bare(etag: str) -> str:
    """Clients may hand the ETag back with its quotes or without."""
    return etag.strip().strip('"')

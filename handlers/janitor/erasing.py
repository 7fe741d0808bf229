"""Forgetting people: what ``UserErased`` sets going, until ``UserErasureFinished``.

First, at once: open jobs are cancelled, what is left of the credits is forfeited, each of the
person's streams ends in ``Erased``, rows of every generation and operational items go, and the
key that the person's fields are sealed with. Then, once ``settle`` has passed and no worker or API
process can still be busy with what it had begun before, all of that once more, and the media.

Which streams are the person's is told by rows, by the bucket, and by what the account holds for.
A stream's row in the list that it is found by is blanked last, so that whoever is killed finds it
again. No step builds on an earlier one having been done by the same process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

import projections
from commands import (
    Context,
    EraseAccount,
    EraseAsset,
    EraseJob,
    ErasePurchase,
    FinishErasure,
    execute,
)
from commands.dispatch import Command
from commands.ledger import account_of
from commands.users import person_of
from domain.asset import ASSET
from domain.commit import Meta
from domain.credits import CREDITS
from domain.erased import Erased
from domain.errors import NotFound, SplitSoundError
from domain.job import JOB
from domain.purchase import PURCHASE
from domain.user import USER
from handlers.janitor import ACTOR
from infra.media_bucket import Lying, user_prefix
from infra.operations import OperationalTable, ParkedStreams
from infra.operations.forgetting import forget_person, forget_stream
from projections import ERASURES_VIEW, JOBS_VIEW, LIBRARY_VIEW, PURCHASES_VIEW
from projections.catch_up import Reading, catch_up
from projections.checking import lines_of
from projections.doorbell import parse
from projections.erasures import ERASING
from projections.generations import DROPPING
from projections.leveling import noted
from projections.projection import Projection
from projections.query import latest, owned_between

_ALWAYS = ("0", "~")
_FOUND_BY: dict[str, Projection[Any]] = {
    JOB.category: JOBS_VIEW, ASSET.category: LIBRARY_VIEW, PURCHASE.category: PURCHASES_VIEW,
}  # fmt: skip
"""The list by which streams of a category are found."""
_COMMANDS: dict[str, Callable[[str, str], Command]] = {
    JOB.category: EraseJob, ASSET.category: EraseAsset, PURCHASE.category: ErasePurchase,
    CREDITS.category: lambda user_id, _: EraseAccount(user_id),
}  # fmt: skip


class Keys(Protocol):
    """Where the keys of personal fields are."""

    def erase(self, user_id: str) -> None:
        """Destroy a person's key."""


class Bucket(Protocol):
    """Storage, as far as forgetting empties it."""

    def everything(self, prefix: str) -> Iterator[Lying]:
        """Objects in all their versions, and unfinished uploads."""

    def remove(self, found: Sequence[Lying]) -> int:
        """Delete them; how many."""


@dataclass(frozen=True)
class Erasing:
    """reading: with generations as they stand at this moment. settle: ms, see the module."""

    context: Context
    reading: Reading
    bucket: Bucket
    table: OperationalTable
    parked: ParkedStreams
    keys: Keys
    settle: int
    log: Any

    def __call__(self, event: dict[str, Any], _context: object = None) -> dict[str, Any]:
        """A Lambda handler for SQS batches of ``UserErased``; those that failed come back."""
        failed: list[str] = []
        for record in event["Records"]:
            try:
                self.forget(parse(record["body"]).identity)
            except Exception as error:
                if isinstance(error, msgspec.MsgspecError):
                    self.log.exception("not a doorbell", message=record["messageId"])
                else:
                    self.log.exception("not forgotten yet", message=record["messageId"])
                failed.append(record["messageId"])
        return {"batchItemFailures": [{"itemIdentifier": i} for i in failed]}

    def once(self) -> int:
        """Go on with every erasure that is not finished; how many are now."""
        generation = self._live(ERASURES_VIEW)
        finished = 0
        for row in list(self.reading.rows.with_status(generation, ERASING)):
            try:
                finished += self.forget(row.stream.partition("-")[2])
            except SplitSoundError as error:
                # One person's trouble must not keep the others.
                self.log.warning("not forgotten yet", stream=row.stream, error=error.detail)
        return finished

    def forget(self, user_id: str) -> bool:
        """Whether nothing of that person is left. Raises Unavailable, Conflict, Refused."""
        erasure = latest(ERASURES_VIEW, USER.stream(user_id), self.reading)
        if not person_of(self.context, user_id).state.erasing or erasure is None:
            return True
        # In this order: no job may still hold credits when the account ends.
        for stream in self._streams(user_id):
            self._end(user_id, stream)
        self._end(user_id, CREDITS.stream(user_id))
        forget_person(self.table, user_id)
        self.keys.erase(user_id)
        if self.context.clock.now() < erasure.view.begun + self.settle:
            return False
        removed = self.bucket.remove(list(self.bucket.everything(user_prefix(user_id))))
        self._do(FinishErasure(user_id, removed))
        self._follow(ERASURES_VIEW, USER.stream(user_id))
        self.log.info("forgotten", user=user_id, objects=removed)
        return True

    def _streams(self, user_id: str) -> list[str]:
        """The person's jobs, uploads and purchases, as far as they are not blank yet."""
        found = {
            each.stream
            for view in _FOUND_BY.values()
            for each in owned_between(view, user_id, self.reading, _ALWAYS)
        }
        held = account_of(self.context, user_id).state.reservations
        found |= {JOB.stream(job_id) for job_id in held}
        found |= {each.stream for each in self.bucket.everything(user_prefix(user_id))}
        return sorted(found - {""})

    def _end(self, user_id: str, stream: str) -> None:
        category, _, identity = stream.partition("-")
        try:
            self._do(_COMMANDS[category](user_id, identity))
        except NotFound:
            return  # a key in the bucket that no history of this person ever named
        forget_stream(self.table, stream)
        for projection in projections.ALL.values():
            if projection.covers(stream) and projection is not _FOUND_BY.get(category):
                self._follow(projection, stream)
        if category in _FOUND_BY:
            self._follow(_FOUND_BY[category], stream)

    def _follow(self, projection: Projection[Any], stream: str) -> None:
        """Bring the rows of all generations to the stream's end, the one that is read last."""
        catalogue = noted(projection, self.reading)
        numbers = {g.number for g in catalogue.generations if g.state != DROPPING}
        for number in sorted(numbers, key=lambda n: n == catalogue.live.number):
            if parked := self.parked.find(projection.name, number, stream):
                self.parked.release(parked)
            if projection.has_lines:
                self._drop_lines(projection, number, stream)
            catch_up(projection, stream, self.reading, number=number)

    def _drop_lines(self, projection: Projection[Any], number: int, stream: str) -> None:
        commits = self.context.store.newest_first(stream)
        end = next((c.last for c in commits if Erased.event_name() in c.types), 0)
        lines = lines_of(self.reading, projection.generation(number), stream)
        self.reading.rows.delete([row for row in lines if row.version <= end])

    def _live(self, projection: Projection[Any]) -> str:
        return projection.generation(self.reading.generations.live(projection.name))

    def _do(self, command: Command) -> None:
        execute(self.context, command, Meta(self.context.ids.fresh("cmd"), ACTOR))

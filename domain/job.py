"""A separation job: requested and paid for, claimed by a worker, then one of three ends.

A claim carries an attempt number. Whoever acts under an older number is stale: another
worker took the job over, and the stale one's result is discarded (a fencing token).
"""

from __future__ import annotations

from msgspec import Struct

from domain import reasons
from domain.aggregate import Aggregate, Event
from domain.errors import KeyReused, NotFound, Refused, StaleAttempt

# --- events (these names are the storage format) ---------------------------------------


class SeparationRequested(Event, frozen=True):
    """Accepted, and its price is reserved in the same transaction.

    price: credits; samples per channel at rate Hz, as probed.
    """

    user_id: str
    asset_id: str
    source_key: str
    model: str
    stems: tuple[str, ...]
    format: str
    samples: int
    rate: int
    channels: int
    price: int
    price_list: str
    retry_of: str | None = None


class SeparationStarted(Event, frozen=True):
    """A worker claimed the job as this attempt (1, 2, ...)."""

    user_id: str
    attempt: int
    worker: str


class StageRecorded(Event, frozen=True):
    """A stage of the worker's pipeline ended after that many milliseconds."""

    user_id: str
    attempt: int
    stage: str
    milliseconds: int


class StemFile(Struct, frozen=True):
    """A finished stem in storage. peak: largest absolute sample before encoding."""

    name: str
    key: str
    bytes: int
    media_type: str
    peak: float = 0.0


class SeparationCompleted(Event, frozen=True):
    """The stems that count. gain_db: the one gain common to all stems (0 unless one clipped)."""

    user_id: str
    attempt: int
    stems: tuple[StemFile, ...]
    gain_db: float


class SeparationFailed(Event, frozen=True):
    """The job ended without stems; its credits are released in the same transaction."""

    user_id: str
    attempt: int
    stage: str
    code: str
    detail: str


class SeparationCancelled(Event, frozen=True):
    """The user took the request back; its credits are released in the same transaction."""

    user_id: str
    reason: str


class SeparationRequeued(Event, frozen=True):
    """An operator has it done anew; the queue's wake-up, like the request.

    attempt: the number that nobody works under; whoever has an older one is stale. free: it had
    failed and its credits were released, so nothing is held for it and nothing will be charged.
    """

    user_id: str
    attempt: int
    reason: str
    free: bool


class SeparationRefunded(Event, frozen=True):
    """An operator gave back what it was charged: a grant, made in the same transaction."""

    user_id: str
    amount: int
    grant_id: str
    reason: str


# --- state ------------------------------------------------------------------------------

ABSENT, QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = (
    "absent", "queued", "running", "completed", "failed", "cancelled",
)  # fmt: skip
OPEN = (QUEUED, RUNNING)
# A message is delivered five times; drained workers and lost messages add a few.
MAX_ATTEMPTS = 8
GAVE_UP, ABANDONED = "worker_gave_up", "failed_by_operator"
GAVE_UP_DETAIL = "The job could not be finished after several tries. It cost nothing; try again."
STAGES = ("download", "probe", "decode", "separate", "encode", "upload")


class JobState(Struct):
    """status is one of the constants above; request is what was asked for.

    fresh_at: the attempt number after which tries are counted, 0 or that of the last requeue.
    free: nothing is held for it. refunded: credits that were given back.
    """

    status: str = ABSENT
    request: SeparationRequested | None = None
    attempt: int = 0
    worker: str = ""
    fresh_at: int = 0
    free: bool = False
    refunded: int = 0

    @property
    def asked(self) -> SeparationRequested:
        """The request. Raises NotFound when the job does not exist."""
        if self.request is None:
            raise NotFound("No such job.")
        return self.request

    @property
    def charged(self) -> int:
        """Credits that completing takes, or took."""
        return 0 if self.free else self.asked.price


def evolve(state: JobState, event: Event) -> JobState:
    """Fold one event."""
    match event:
        case StageRecorded():
            pass
        case SeparationRequested():
            state.status, state.request = QUEUED, event
        case SeparationStarted():
            state.status, state.attempt, state.worker = RUNNING, event.attempt, event.worker
        case SeparationCompleted():
            state.status = COMPLETED
        case SeparationFailed():
            state.status = FAILED
        case SeparationCancelled():
            state.status = CANCELLED
        case SeparationRequeued():
            state.status, state.worker = QUEUED, ""
            state.attempt = state.fresh_at = event.attempt
            state.free = event.free
        case SeparationRefunded():
            state.refunded = event.amount
    return state


EVENTS = (
    SeparationRequested, SeparationStarted, StageRecorded,
    SeparationCompleted, SeparationFailed, SeparationCancelled,
    SeparationRequeued, SeparationRefunded,
)  # fmt: skip
JOB = Aggregate("job", EVENTS, JobState, evolve)

# --- decisions --------------------------------------------------------------------------


def request(state: JobState, asked: SeparationRequested) -> list[Event]:
    """Accept once; the same request again changes nothing, another one is refused."""
    if state.request is None:
        return [asked]
    if _wish(state.request) != _wish(asked):
        raise KeyReused("This Idempotency-Key began another job; send a new key.")
    return []


def _wish(asked: SeparationRequested) -> tuple[object, ...]:
    return asked.user_id, asked.asset_id, asked.model, asked.stems, asked.format, asked.retry_of


def start(state: JobState, worker: str) -> list[Event]:
    """Claim the job as the next attempt; no events once it has ended.

    A job that outlived MAX_ATTEMPTS claims fails instead: it may be what kills its workers.
    """
    asked = state.asked
    if state.status not in OPEN:
        return []
    if state.attempt - state.fresh_at >= MAX_ATTEMPTS:
        return fail(state, None, "", GAVE_UP, GAVE_UP_DETAIL)
    return [SeparationStarted(asked.user_id, state.attempt + 1, worker)]


def record_stage(state: JobState, attempt: int, stage: str, milliseconds: int) -> list[Event]:
    """Note a finished stage. Raises StaleAttempt."""
    _must_hold(state, attempt)
    return [StageRecorded(state.asked.user_id, attempt, stage, milliseconds)]


def complete(
    state: JobState, attempt: int, stems: tuple[StemFile, ...], gain_db: float
) -> list[Event]:
    """Finish with these stems; again by the same attempt is harmless. Raises StaleAttempt."""
    if state.status == COMPLETED and state.attempt == attempt:
        return []
    _must_hold(state, attempt)
    return [SeparationCompleted(state.asked.user_id, attempt, stems, gain_db)]


def fail(state: JobState, attempt: int | None, stage: str, code: str, detail: str) -> list[Event]:
    """End without stems. attempt: the one that failed or was judged, 0 before any claim.

    None ends it whoever holds it. Raises StaleAttempt when another attempt has begun.
    """
    asked = state.asked
    if state.status not in OPEN:
        return []
    if attempt not in (None, state.attempt):
        raise _stale(state, attempt)
    return [SeparationFailed(asked.user_id, state.attempt, stage, code, detail)]


def cancel(state: JobState, reason: str) -> list[Event]:
    """Take the request back; a job that has already ended stays as it ended."""
    asked = state.asked
    return [SeparationCancelled(asked.user_id, reason)] if state.status in OPEN else []


def requeue(state: JobState, reason: str) -> list[Event]:
    """Have it done anew, whoever holds it; one that failed runs again at no cost.

    The number of attempts goes on, since storage keys carry it. Raises Invalid, Refused.
    """
    asked, said = state.asked, reasons.stated(reason)
    if state.status not in (*OPEN, FAILED):
        raise Refused(
            f"This job is {state.status}; only a queued, running or failed one is done anew."
        )
    free = state.free or state.status == FAILED
    return [SeparationRequeued(asked.user_id, state.attempt + 1, said, free)]


def abandon(state: JobState, reason: str) -> list[Event]:
    """Fail it, whoever holds it; failed already: no events. Raises Invalid, Refused."""
    said = reasons.stated(reason)
    if state.status in (COMPLETED, CANCELLED):
        raise Refused(f"This job is {state.status}; only an open one can be failed.")
    return fail(state, None, "", ABANDONED, said)


def refund(state: JobState, grant_id: str, reason: str) -> list[Event]:
    """Give back what it was charged; given back already: no events. Raises Invalid, Refused."""
    asked, said = state.asked, reasons.stated(reason)
    if state.status != COMPLETED:
        raise Refused(f"This job is {state.status}; only a completed one was charged.")
    if not state.charged:
        raise Refused("This job cost nothing; there is nothing to give back.")
    if state.refunded:
        return []
    return [SeparationRefunded(asked.user_id, state.charged, grant_id, said)]


def owned(state: JobState, user_id: str) -> JobState:
    """The state, if it is that user's. Raises NotFound: a stranger learns nothing."""
    if state.asked.user_id != user_id:
        raise NotFound("No such job.")
    return state


def _must_hold(state: JobState, attempt: int) -> None:
    if state.status != RUNNING or state.attempt != attempt:
        raise _stale(state, attempt)


def _stale(state: JobState, attempt: int | None) -> StaleAttempt:
    return StaleAttempt(
        f"Attempt {attempt} no longer holds this job (it is {state.status}, "
        f"attempt {state.attempt}); its result is discarded."
    )

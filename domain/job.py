"""A separation job: requested and paid for, claimed by a worker, then one of three ends.

A claim carries an attempt number. Whoever acts under an older number is stale: another
worker took the job over, and the stale one's result is discarded (a fencing token).
"""

from __future__ import annotations

from msgspec import Struct

from domain.aggregate import Aggregate, Event
from domain.erased import Erased
from domain.errors import KeyReused, NotFound, Refused, StaleAttempt
from domain.job_removal import MediaPurged, SeparationDeleted, SeparationRestored
from domain.stems import StemFile, StoredStem, as_stored

# --- events (these names are the storage format) ---------------------------------------


class SeparationRequested(Event, frozen=True):
    """Accepted, and its price is reserved in the same transaction.

    price: credits; samples per channel at rate Hz, as probed. digest: SHA-256 of the upload's
    bytes; model_version: of the weights. bundle: a zip of all stems is wanted as well.
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
    lane: str = "short"
    prompt: str | None = None
    bundle: bool = False
    digest: str = ""
    model_version: str = ""


class SeparationStarted(Event, frozen=True):
    """A worker claimed the job as this attempt (1, 2, ...)."""

    user_id: str
    attempt: int
    worker: str


class StageRecorded(Event, frozen=True):
    """A stage of the worker's pipeline ended after that many milliseconds and tries.

    decode, separate and encode overlap: each has the time that the job spent on it.
    """

    user_id: str
    attempt: int
    stage: str
    milliseconds: int
    tries: int = 1


class StemStored(Event, frozen=True):
    """A stem stands in storage; whatever attempt comes next need not make it again.

    gain_db: the one gain of all stems, which later attempts keep. residual_db: the song minus the
    sum of its stems, relative to the song; None when that is silence.
    """

    user_id: str
    attempt: int
    stem: StoredStem
    gain_db: float
    residual_db: float | None = None


class SeparationCompleted(Event, frozen=True):
    """The stems that count. gain_db: the one gain common to all stems (0 unless one clipped).

    bundle: the zip of all stems. reused_from: the job that made them; this one cost nothing.
    expires: epoch ms at which they go; 0 keeps them until they are deleted.
    """

    user_id: str
    attempt: int
    stems: tuple[StemFile, ...]
    gain_db: float
    bundle: StemFile | None = None
    reused_from: str | None = None
    expires: int = 0


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
    lane: str = "short"


class SeparationHandedBack(Event, frozen=True):
    """The attempt's worker has to go; like the request, this wakes another one.

    What stands in storage is kept, and the attempt does not count against the job.
    """

    user_id: str
    attempt: int
    lane: str = "short"


class SeparationRefunded(Event, frozen=True):
    """An operator gave back what it was charged: a grant, made in the same transaction."""

    user_id: str
    amount: int
    grant_id: str
    reason: str


class MediaTidied(Event, frozen=True):
    """The job has ended and nothing of it is left in storage that it does not name.

    removed: objects and unfinished uploads of interrupted attempts.
    """

    user_id: str
    removed: int


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

    fresh_at: attempts that are not counted: those until the last requeue, and those handed back.
    free: nothing is held for it. refunded: credits that were given back. stored: finished stems by
    name, all under one gain. bundle, reused_from: as the completion said. tidied: see MediaTidied.
    deleted_until: epoch ms, 0 unless deleted. purged: its results are gone. erased: its user is.
    """

    status: str = ABSENT
    request: SeparationRequested | None = None
    attempt: int = 0
    worker: str = ""
    fresh_at: int = 0
    free: bool = False
    refunded: int = 0
    stored: dict[str, StoredStem] = {}
    gain_db: float = 0.0
    residual_db: float | None = None
    bundle: StemFile | None = None
    reused_from: str | None = None
    tidied: bool = False
    expires: int = 0
    deleted_until: int = 0
    purged: bool = False
    erased: bool = False

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

    @property
    def named(self) -> frozenset[str]:
        """The keys in storage that count, once it has ended: none unless it completed."""
        if self.status != COMPLETED or self.reused_from or self.erased:
            return frozenset()
        bundle = (self.bundle.key,) if self.bundle else ()
        return frozenset(bundle).union(*(stem.keys for stem in self.stored.values()))


def evolve(state: JobState, event: Event) -> JobState:
    """Fold one event; a recorded stage changes nothing that a decision asks for."""
    match event:
        case StemStored():
            state.stored = state.stored | {event.stem.name: event.stem}
            state.gain_db, state.residual_db = event.gain_db, event.residual_db
        case SeparationRequested():
            state.status, state.request = QUEUED, event
        case SeparationStarted():
            state.status, state.attempt, state.worker = RUNNING, event.attempt, event.worker
        case SeparationCompleted():
            state.status, state.gain_db = COMPLETED, event.gain_db
            state.bundle, state.reused_from = event.bundle, event.reused_from
            state.expires = event.expires
            state.stored = {f.name: as_stored(f, state.stored.get(f.name)) for f in event.stems}
        case SeparationFailed():
            state.status = FAILED
        case SeparationCancelled():
            state.status = CANCELLED
        case SeparationRequeued() | SeparationHandedBack():
            _put_back(state, event)
        case SeparationRefunded():
            state.refunded = event.amount
        case MediaTidied():
            state.tidied = True
        case _:
            _keep(state, event)
    return state


def _keep(state: JobState, event: Event) -> None:
    """How long what it gave stays."""
    match event:
        case SeparationDeleted():
            state.deleted_until = event.until
        case SeparationRestored():
            state.deleted_until = 0
        case MediaPurged():
            state.purged = True
        case Erased():
            state.erased = True


def _put_back(state: JobState, event: SeparationRequeued | SeparationHandedBack) -> None:
    state.status, state.worker = QUEUED, ""
    if isinstance(event, SeparationHandedBack):
        state.fresh_at += 1
        return
    state.attempt = state.fresh_at = event.attempt
    state.free = event.free
    state.stored, state.gain_db, state.residual_db, state.tidied = {}, 0.0, None, False


EVENTS = (
    SeparationRequested, SeparationStarted, StageRecorded, StemStored,
    SeparationCompleted, SeparationFailed, SeparationCancelled,
    SeparationRequeued, SeparationHandedBack, SeparationRefunded, MediaTidied,
    SeparationDeleted, SeparationRestored, MediaPurged, Erased,
)  # fmt: skip
JOB = Aggregate("job", EVENTS, JobState, evolve)

# --- decisions --------------------------------------------------------------------------


def request(state: JobState, asked: SeparationRequested) -> list[Event]:
    """Accept once; the same request again changes nothing, another one is refused."""
    if state.request is None:
        return [asked]
    if state.erased or _wish(state.request) != _wish(asked):
        raise KeyReused("This Idempotency-Key began another job; send a new key.")
    return []


def _wish(asked: SeparationRequested) -> tuple[object, ...]:
    return (
        asked.user_id, asked.asset_id, asked.model, asked.stems, asked.format, asked.retry_of,
        asked.prompt, asked.bundle,
    )  # fmt: skip


def fail(state: JobState, attempt: int | None, stage: str, code: str, detail: str) -> list[Event]:
    """End without stems. attempt: the one that failed or was judged, 0 before any claim.

    None ends it whoever holds it. Raises StaleAttempt when another attempt has begun.
    """
    asked = state.asked
    if state.status not in OPEN:
        return []
    if attempt not in (None, state.attempt):
        raise stale(state, attempt)
    return [SeparationFailed(asked.user_id, state.attempt, stage, code, detail)]


def cancel(state: JobState, reason: str) -> list[Event]:
    """Take the request back; a job that has already ended stays as it ended."""
    asked = state.asked
    return [SeparationCancelled(asked.user_id, reason)] if state.status in OPEN else []


def tidied(state: JobState, removed: int) -> list[Event]:
    """Nothing unnamed is left in storage; said once. Raises Refused while it is open."""
    if state.status in OPEN:
        raise Refused("This job is open; its attempt still writes to storage.")
    return [] if state.tidied else [MediaTidied(state.asked.user_id, removed)]


def owned(state: JobState, user_id: str) -> JobState:
    """The state, if it is that user's. Raises NotFound: a stranger learns nothing."""
    if state.asked.user_id != user_id or state.erased:
        raise NotFound("No such job.")
    return state


def stale(state: JobState, attempt: int | None) -> StaleAttempt:
    """That attempt was succeeded by another one, or the job has ended."""
    return StaleAttempt(
        f"Attempt {attempt} no longer holds this job (it is {state.status}, "
        f"attempt {state.attempt}); its result is discarded."
    )

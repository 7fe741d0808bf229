"""Commands on separation jobs and the credits that pay for them.

Where a job's event moves credits, both streams are written in one transaction: there is
no state in which a job exists unpaid, or ended with its credits still held.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from domain import asset, attempts, controls, credits, job, pricing
from domain.aggregate import Event
from domain.asset import ASSET
from domain.commit import Append, Loaded, Meta, Tip
from domain.errors import Invalid
from domain.job import JOB, JobState
from domain.lanes import lane_for
from domain.pricing import Quoted
from domain.retention import expiry
from domain.reuse import fingerprint, reuse
from domain.stems import StemFile, StoredStem


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody wants of an asset. No model: the default one; no stem: all of the model's.

    prompt: words for a model that takes some. bundle: a zip of all stems as well. reuse: take
    stems that the same bytes, model and parameters gave before, at no cost.
    """

    asset_id: str
    model: str | None = None
    stems: tuple[str, ...] = ()
    format: str = "flac"
    prompt: str | None = None
    bundle: bool = False
    reuse: bool = True


class RequestSeparation(Command, frozen=True):
    """Separate an asset; what is wanted is as in ``Wish``.

    quoted: the price that the user agreed to; another one by now refuses the job. fresh: nobody
    can have used the id before, so that the job is not looked for.
    """

    user_id: str
    job_id: str
    asset_id: str
    model: str | None = None
    format: str = "flac"
    stems: tuple[str, ...] = ()
    retry_of: str | None = None
    quoted: Quoted | None = None
    prompt: str | None = None
    bundle: bool = False
    reuse: bool = True
    fresh: bool = False

    @property
    def wish(self) -> Wish:
        """What is wanted."""
        return Wish(
            asset_id=self.asset_id, model=self.model, stems=self.stems, format=self.format,
            prompt=self.prompt, bundle=self.bundle, reuse=self.reuse,
        )  # fmt: skip


class CancelSeparation(Command, frozen=True):
    """Take a request back; the hold on the credits is released."""

    user_id: str
    job_id: str
    reason: str = "cancelled by the user"


class StartSeparation(Command, frozen=True):
    """A worker claims the job as its next attempt."""

    job_id: str
    worker: str


class RecordStage(Command, frozen=True):
    """A stage of the pipeline ended, after so many tries."""

    job_id: str
    attempt: int
    stage: str
    milliseconds: int
    tries: int = 1


class StoreStem(Command, frozen=True):
    """A stem stands in storage. Fields as in StemStored."""

    job_id: str
    attempt: int
    stem: StoredStem
    gain_db: float
    residual_db: float | None = None


class CompleteSeparation(Command, frozen=True):
    """The stems are in storage: the job ends and its credits are captured."""

    job_id: str
    attempt: int
    stems: tuple[StemFile, ...]
    gain_db: float
    bundle: StemFile | None = None


class HandBack(Command, frozen=True):
    """The worker has to go: another one goes on with the job."""

    job_id: str
    attempt: int


class TidyMedia(Command, frozen=True):
    """Nothing that an ended job does not name is left in storage."""

    job_id: str
    removed: int


class FailSeparation(Command, frozen=True):
    """The job ends without stems and its credits are released.

    attempt: the one that failed, or that was judged dead; None ends it whoever holds it.
    """

    job_id: str
    attempt: int | None
    stage: str
    code: str
    detail: str


@handles(RequestSeparation)
def request_separation(
    context: Context, command: RequestSeparation, meta: Meta
) -> tuple[Position, ...]:
    """Reserve the price and create the job in one transaction. The same job id acts once.

    Where the same stems exist, the job begins completed and costs nothing.
    Raises Paused for a new job only: who was accepted is told so again.
    """
    wanted, wish = _wanted(context, command), command.wish
    if not wanted.version:
        model = context.catalog.choose(wish.model, wish.prompt)
        controls.require_open(context.switchboard.state(), model.name)
    asked = asked_for(context, command.user_id, wish, command.retry_of)
    events = job.request(wanted.state, asked)
    if not events:
        return (Position(wanted.tip.stream, wanted.version),)
    _check_retry(context, command)
    if made := earlier_result(context, asked) if wish.reuse else []:
        return context.commit(meta, Append(wanted, made))
    pricing.require_quoted(asked.price, asked.price_list, command.quoted)
    account = account_of(context, command.user_id)
    held = credits.reserve(account.state, command.job_id, asked.price, moment(context, account))
    return context.commit(meta, Append(wanted, events), Append(account, held))


def asked_for(
    context: Context, user_id: str, wish: Wish, retry_of: str | None = None
) -> job.SeparationRequested:
    """The wish with everything that follows from it: the one decision behind quotes and jobs.

    Raises NotFound, AssetGone, AssetNotReady, AssetUnusable, UnknownModel, UnknownStem,
    UnsupportedFormat, Invalid.
    """
    source = context.store.load(ASSET, ASSET.stream(wish.asset_id)).state
    audio = asset.separable(source, user_id, context.clock.now())
    prompt = context.catalog.prompt(wish.prompt)
    offer = pricing.offer(context.catalog, audio, wish.model, wish.stems, wish.format, prompt)
    model = context.catalog.model(offer.model)
    return job.SeparationRequested(
        user_id, wish.asset_id, source.key, offer.model, offer.stems, offer.format,
        audio.samples, audio.rate, audio.channels, offer.price, offer.price_list,
        retry_of, lane_for(audio.seconds, gpu=model.gpu), prompt, wish.bundle,
        source.digest, model.version,
    )  # fmt: skip


def earlier_result(context: Context, asked: job.SeparationRequested) -> list[Event]:
    """The job as completed by an earlier one that made the same stems; nothing without one."""
    mark = fingerprint(asked)
    found = context.results.find(asked.user_id, mark) if mark else None
    if not found:
        return []
    earlier = load_job(context, found).state
    if earlier.reused_from and load_job(context, earlier.reused_from).state.refunded:
        return []  # they were found wanting where they were made
    if earlier.request and earlier.request.asset_id != asked.asset_id:
        source = context.store.load(ASSET, ASSET.stream(earlier.request.asset_id)).state
        if source.deleted_until:
            return []  # what was made of a deleted upload goes with it
    return reuse(asked, found, earlier, context.clock.now())


@handles(CancelSeparation)
def cancel_separation(
    context: Context, command: CancelSeparation, meta: Meta
) -> tuple[Position, ...]:
    """A worker sees it between stages and between chunks."""
    loaded = load_job(context, command.job_id)
    job.owned(loaded.state, command.user_id)
    events = job.cancel(loaded.state, command.reason)
    return end_releasing(context, command.job_id, loaded, events, command.reason, meta)


@handles(StartSeparation)
def start_separation(
    context: Context, command: StartSeparation, meta: Meta
) -> tuple[Position, ...]:
    """No events for a job that has ended; one that was claimed too often ends here."""
    loaded = load_job(context, command.job_id)
    events = attempts.start(loaded.state, command.worker)
    if any(isinstance(event, job.SeparationFailed) for event in events):
        return end_releasing(context, command.job_id, loaded, events, job.GAVE_UP, meta)
    return context.commit(meta, Append(loaded, events))


@handles(RecordStage)
def record_stage(context: Context, command: RecordStage, meta: Meta) -> tuple[Position, ...]:
    """Raises StaleAttempt when the job was taken over, ended or cancelled."""
    loaded = load_job(context, command.job_id)
    events = attempts.record_stage(
        loaded.state, command.attempt, command.stage, command.milliseconds, command.tries
    )
    return context.commit(meta, Append(loaded, events))


@handles(StoreStem)
def store_stem(context: Context, command: StoreStem, meta: Meta) -> tuple[Position, ...]:
    """From here a later attempt need not make it again. Raises StaleAttempt."""
    loaded = load_job(context, command.job_id)
    events = attempts.store_stem(
        loaded.state, command.attempt, command.stem, command.gain_db, command.residual_db
    )
    return context.commit(meta, Append(loaded, events))


@handles(HandBack)
def hand_back(context: Context, command: HandBack, meta: Meta) -> tuple[Position, ...]:
    """The commit wakes another worker. Raises StaleAttempt."""
    loaded = load_job(context, command.job_id)
    events = attempts.hand_back(loaded.state, command.attempt)
    return context.commit(meta, Append(loaded, events))


@handles(TidyMedia)
def tidy_media(context: Context, command: TidyMedia, meta: Meta) -> tuple[Position, ...]:
    """Said once. Raises Refused for an open job."""
    loaded = load_job(context, command.job_id)
    return context.commit(meta, Append(loaded, job.tidied(loaded.state, command.removed)))


@handles(CompleteSeparation)
def complete_separation(
    context: Context, command: CompleteSeparation, meta: Meta
) -> tuple[Position, ...]:
    """Raises StaleAttempt: the result of an attempt that lost the job is discarded."""
    loaded = load_job(context, command.job_id)
    events = attempts.complete(
        loaded.state, command.attempt, command.stems, command.gain_db, command.bundle,
        expiry(context.clock.now(), context.retention.stems),
    )  # fmt: skip
    if not events:
        return (Position(loaded.tip.stream, loaded.version),)
    asked = loaded.state.asked
    account = account_of(context, asked.user_id)
    charged, now = loaded.state.charged, moment(context, account)
    spent = credits.capture(account.state, command.job_id, charged, now)
    return context.commit(meta, Append(loaded, events), Append(account, spent))


@handles(FailSeparation)
def fail_separation(context: Context, command: FailSeparation, meta: Meta) -> tuple[Position, ...]:
    """A platform failure costs nothing."""
    loaded = load_job(context, command.job_id)
    events = job.fail(loaded.state, command.attempt, command.stage, command.code, command.detail)
    return end_releasing(context, command.job_id, loaded, events, command.code, meta)


def end_releasing(
    context: Context,
    job_id: str,
    loaded: Loaded[JobState],
    events: Sequence[Event],
    reason: str,
    meta: Meta,
) -> tuple[Position, ...]:
    """Commit the job's end and give its hold back, if it has one, in one transaction."""
    if not events:
        return (Position(loaded.tip.stream, loaded.version),)
    account = account_of(context, loaded.state.asked.user_id)
    released = credits.release(account.state, job_id, reason, moment(context, account))
    return context.commit(meta, Append(loaded, events), Append(account, released))


def _check_retry(context: Context, command: RequestSeparation) -> None:
    if command.retry_of is None:
        return
    earlier = job.owned(load_job(context, command.retry_of).state, command.user_id)
    if earlier.status not in (job.FAILED, job.CANCELLED):
        raise Invalid(
            f"retry_of names a job that is {earlier.status}; only an ended one is retried."
        )


def _wanted(context: Context, command: RequestSeparation) -> Loaded[JobState]:
    if not command.fresh:
        return load_job(context, command.job_id)
    return Loaded(JOB, JOB.fold([]), Tip(JOB.stream(command.job_id)))


def load_job(context: Context, job_id: str) -> Loaded[JobState]:
    """The job as it stands."""
    return context.store.load(JOB, JOB.stream(job_id))

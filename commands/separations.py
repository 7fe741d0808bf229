"""Commands on separation jobs and the credits that pay for them.

Where a job's event moves credits, both streams are written in one transaction: there is
no state in which a job exists unpaid, or ended with its credits still held.
"""

from __future__ import annotations

from collections.abc import Sequence

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from domain import asset, controls, credits, job, pricing
from domain.aggregate import Event
from domain.asset import ASSET
from domain.commit import Append, Loaded, Meta
from domain.errors import Invalid
from domain.job import JOB, JobState, StemFile
from domain.pricing import Quoted


class RequestSeparation(Command, frozen=True):
    """Separate an asset. No stem named: all stems of the model.

    quoted: the price that the user agreed to; another one by now refuses the job.
    """

    user_id: str
    job_id: str
    asset_id: str
    model: str
    format: str
    stems: tuple[str, ...] = ()
    retry_of: str | None = None
    quoted: Quoted | None = None


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
    """A stage of the pipeline ended."""

    job_id: str
    attempt: int
    stage: str
    milliseconds: int


class CompleteSeparation(Command, frozen=True):
    """The stems are in storage: the job ends and its credits are captured."""

    job_id: str
    attempt: int
    stems: tuple[StemFile, ...]
    gain_db: float


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

    Raises Paused for a new job only: who was accepted is told so again.
    """
    user_id = command.user_id
    wanted = load_job(context, command.job_id)
    if not wanted.version:
        controls.require_open(context.switchboard.state(), command.model)
    source = context.store.load(ASSET, ASSET.stream(command.asset_id)).state
    audio = asset.separable(source, user_id)
    offer = pricing.offer(context.catalog, audio, command.model, command.stems, command.format)
    asked = job.SeparationRequested(
        user_id, command.asset_id, source.key, offer.model, offer.stems, offer.format,
        audio.samples, audio.rate, audio.channels, offer.price, offer.price_list,
        command.retry_of,
    )  # fmt: skip
    events = job.request(wanted.state, asked)
    if not events:
        return (Position(wanted.tip.stream, wanted.version),)
    pricing.require_quoted(offer, command.quoted)
    _check_retry(context, command)
    account = account_of(context, user_id)
    held = credits.reserve(account.state, command.job_id, offer.price, moment(context, account))
    return context.commit(meta, Append(wanted, events), Append(account, held))


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
    events = job.start(loaded.state, command.worker)
    if any(isinstance(event, job.SeparationFailed) for event in events):
        return end_releasing(context, command.job_id, loaded, events, job.GAVE_UP, meta)
    return context.commit(meta, Append(loaded, events))


@handles(RecordStage)
def record_stage(context: Context, command: RecordStage, meta: Meta) -> tuple[Position, ...]:
    """Raises StaleAttempt when the job was taken over, ended or cancelled."""
    loaded = load_job(context, command.job_id)
    events = job.record_stage(loaded.state, command.attempt, command.stage, command.milliseconds)
    return context.commit(meta, Append(loaded, events))


@handles(CompleteSeparation)
def complete_separation(
    context: Context, command: CompleteSeparation, meta: Meta
) -> tuple[Position, ...]:
    """Raises StaleAttempt: the result of an attempt that lost the job is discarded."""
    loaded = load_job(context, command.job_id)
    events = job.complete(loaded.state, command.attempt, command.stems, command.gain_db)
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


def load_job(context: Context, job_id: str) -> Loaded[JobState]:
    """The job as it stands."""
    return context.store.load(JOB, JOB.stream(job_id))

"""Commands of operators: hands on the wheel. Each is an event with its actor and reason.

Who may give them is for the doors to say; the actor stands in the commit. A command that is sent
again under its command id, because the answer got lost, is recognised in the stream: it changes
nothing once more, whatever has happened since (a job that was requeued may have failed again).
"""

from __future__ import annotations

from typing import Any

from commands.dispatch import Command, Context, Position, handles
from commands.ledger import account_of, moment
from commands.repetition import committed, reused
from commands.separations import end_releasing, load_job
from domain import acts, controls, credits, job, remedies
from domain.acts import ACTS_OF_OPERATORS
from domain.aggregate import Event
from domain.commit import Append, Loaded, Meta
from domain.controls import CONTROLS, ControlsState
from domain.credits import CreditsGranted
from domain.ids import derived
from domain.reasons import stated


class Pause(Command, frozen=True):
    """Shut intake, a model or a projection. retry_seconds: when callers should come back.

    It takes a few seconds until every process knows.
    """

    subject: str
    reason: str
    retry_seconds: int = 300


class Resume(Command, frozen=True):
    """Open again what was paused."""

    subject: str
    reason: str


class NoteAct(Command, frozen=True):
    """What an operator is about to do to rows, messages or storage; see ``domain.acts``."""

    act: str
    subject: str
    reason: str


class RequeueSeparation(Command, frozen=True):
    """Have a job done anew. One that had failed runs again at no cost."""

    job_id: str
    reason: str


class AbandonSeparation(Command, frozen=True):
    """Fail an open job and release its credits. The user reads the reason."""

    job_id: str
    reason: str


class RefundSeparation(Command, frozen=True):
    """Give back, once, what a completed job was charged; its stems stay."""

    job_id: str
    reason: str


@handles(Pause)
def pause(context: Context, command: Pause, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid, UnknownModel. Whether a projection exists is for the caller to know."""
    loaded = _load_controls(context)
    said = {"reason": stated(command.reason), "retry_seconds": command.retry_seconds}
    if _repeated(context, loaded, meta, controls.Paused, subject=command.subject, **said):
        return (_now(loaded),)
    events = controls.pause(loaded.state, command.subject, command.reason, command.retry_seconds)
    kind, name = controls.named(command.subject)
    if kind == controls.MODEL:
        context.catalog.model(name)
    return context.commit(meta, Append(loaded, events))


@handles(Resume)
def resume(context: Context, command: Resume, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid. Also for a model that is no longer offered."""
    loaded = _load_controls(context)
    said = {"subject": command.subject, "reason": stated(command.reason)}
    if _repeated(context, loaded, meta, controls.Resumed, **said):
        return (_now(loaded),)
    events = controls.resume(loaded.state, command.subject, command.reason)
    return context.commit(meta, Append(loaded, events))


@handles(NoteAct)
def note_act(context: Context, command: NoteAct, meta: Meta) -> tuple[Position, ...]:
    """Raises Invalid."""
    loaded = context.store.load(ACTS_OF_OPERATORS, acts.STREAM)
    said = {"act": command.act, "subject": command.subject, "reason": stated(command.reason)}
    if _repeated(context, loaded, meta, acts.OperatorActed, **said):
        return (_now(loaded),)
    events = acts.act(command.act, command.subject, command.reason)
    return context.commit(meta, Append(loaded, events))


@handles(RequeueSeparation)
def requeue_separation(
    context: Context, command: RequeueSeparation, meta: Meta
) -> tuple[Position, ...]:
    """The commit wakes a worker, as the request did. Raises Invalid, NotFound, Refused."""
    loaded = load_job(context, command.job_id)
    said = stated(command.reason)
    if _repeated(context, loaded, meta, job.SeparationRequeued, reason=said):
        return (_now(loaded),)
    return context.commit(meta, Append(loaded, remedies.requeue(loaded.state, command.reason)))


@handles(AbandonSeparation)
def abandon_separation(
    context: Context, command: AbandonSeparation, meta: Meta
) -> tuple[Position, ...]:
    """Raises Invalid, NotFound, Refused; a job that has failed stays as it failed."""
    loaded = load_job(context, command.job_id)
    said = stated(command.reason)
    if _repeated(context, loaded, meta, job.SeparationFailed, detail=said):
        return (_now(loaded),)
    events = remedies.abandon(loaded.state, command.reason)
    return end_releasing(context, command.job_id, loaded, events, job.ABANDONED, meta)


@handles(RefundSeparation)
def refund_separation(
    context: Context, command: RefundSeparation, meta: Meta
) -> tuple[Position, ...]:
    """The job says so and the account is granted it, in one transaction.

    Raises Invalid, NotFound, Refused.
    """
    loaded = load_job(context, command.job_id)
    grant_id = derived("grt", command.job_id, "refund")
    events = remedies.refund(loaded.state, grant_id, command.reason)
    if not events:
        return (_now(loaded),)
    asked = loaded.state.asked
    account = account_of(context, asked.user_id)
    back = CreditsGranted(
        asked.user_id, grant_id, "refund", loaded.state.charged, job_id=command.job_id
    )
    given = credits.grant(account.state, back, moment(context, account))
    return context.commit(meta, Append(loaded, events), Append(account, given))


def _load_controls(context: Context) -> Loaded[ControlsState]:
    return context.store.load(CONTROLS, controls.STREAM)


def _now(loaded: Loaded[Any]) -> Position:
    return Position(loaded.tip.stream, loaded.version)


def _repeated(
    context: Context, loaded: Loaded[Any], meta: Meta, event: type[Event], **said: object
) -> bool:
    """Whether this very command stands in the stream. Raises KeyReused where it said otherwise."""
    for earlier in committed(context, loaded, meta):
        if isinstance(earlier, event) and all(getattr(earlier, k) == said[k] for k in said):
            return True
        raise reused()
    return False

"""Everything that can go wrong, as one tree; the API renders it as RFC 9457 problems.

    SplitSoundError                          status  retryable
    ├── Invalid              invalid_request    422  no    the request breaks a rule
    │   ├── UnknownModel     unknown_model      422  no
    │   ├── UnknownStem      unknown_stem       422  no
    │   ├── UnknownPack      unknown_pack       422  no
    │   ├── UnsupportedFormat unsupported_format 422 no    e.g. MP3 at 192 kHz
    │   ├── WebhookAddressRefused webhook_address_refused 422 no  an address that is not public
    │   ├── UploadTooLarge   upload_too_large   413  no
    │   ├── KeyReused        idempotency_key_reused 422 no same key, different body
    │   └── PartsMismatch    parts_mismatch     422  no    S3 lacks a part or its ETag differs
    ├── Unauthenticated      unauthenticated    401  no
    │   └── SessionEnded     session_ended      401  no    signed out, or too old
    │       └── infra.operations.sessions.Reused
    │                        refresh_token_reused 401 no   an old one came again, so all are over
    ├── SignInRefused        sign_in_refused    400  no    it did not come back as it went out
    ├── Forbidden            forbidden          403  no    signed in, without the right to it
    │   ├── EmailNotVerified email_not_verified 403  no    the provider does not vouch for it
    │   ├── ForeignOrigin    origin_not_allowed 403  no    a page of another site sent this
    │   ├── NotAnAdmin       not_an_admin       403  no    the address is not on the list
    │   ├── AdminClaimMissing admin_claim_missing 403 no   sign in again with admin=true
    │   ├── InsufficientScope insufficient_scope 403 no    the API key was made for less
    │   ├── PersonRequired   person_required    403  no    no API key may do this
    │   └── ConfirmationRequired confirmation_required 403 no  it cannot be taken back
    ├── NotFound             not_found          404  no    absent, or somebody else's
    ├── AccountErased        account_erased     410  no    the person asked to be forgotten
    ├── NotEnoughCredits     not_enough_credits 402  no    carries required and available
    ├── Refused              not_allowed_now    409  no    the aggregate's state forbids it
    │   ├── AssetNotReady    asset_not_ready    409  yes   the upload is still being probed
    │   ├── AssetUnusable    asset_rejected     422  no
    │   ├── AssetGone        asset_deleted      409  no    deleted, or its time is over
    │   ├── PriceChanged     price_changed      409  no    the quote is of another price list
    │   ├── PurchaseUnknown  purchase_unknown   409  yes   paid, and not on record here (yet)
    │   ├── KeyInUse         idempotency_key_in_use 409 yes  the first request is still running
    │   ├── BeingErased      account_being_erased 409 yes  somebody was forgotten a moment ago
    │   ├── StaleAttempt     stale_attempt      409  no    another worker took the job over
    │   ├── projections.generations.RebuildRunning
    │   │                    rebuild_running    409  no    another process rebuilds that read model
    │   └── UploadExpired    upload_expired     410  no    start a new upload
    ├── Conflict             conflict           409  yes   others kept winning the stream
    ├── Unavailable          unavailable        503  yes   a service we need did not answer
    │   ├── StorageFull      storage_full       503  yes   no room left on a disk
    │   ├── ProviderUnavailable identity_provider_unavailable 503 yes it does not answer right
    │   └── AccessDenied     access_denied_by_aws 503 no   AWS denied it: a policy has to change
    ├── Paused               paused             503  yes   operators shut intake or a model
    ├── projections.folding.ReadModelStuck
    │                        read_model_stuck   503  yes   a view rejects an event of its stream
    ├── handlers.operating.overview.ProjectorSilent
    │                        projector_silent   503  yes   no pulse comes through its queue
    ├── handlers.api.problems.RequestTimeout
    │                        request_timeout    408  yes   the body did not come in time
    ├── handlers.api.problems.NotReady
    │                        not_ready          503  yes   readiness names what does not answer
    ├── NothingForSale       nothing_for_sale   503  no    this deployment takes no payments
    ├── TooManyRequests      too_many_requests  429  yes   carries policy, limit and retry_after
    │   └── TooManyStreams   too_many_streams   429  yes   event streams of one user; carries limit
    ├── WebhookRefused       webhook_refused    400  no    a signature that does not verify
    ├── CommitTooLarge       commit_too_large   413  no    over 300 KB
    ├── HistoryBroken        history_broken     500  no    the hash chain does not hold
    ├── JobError             (the code says)    422        ends a job or rejects an upload
    │   ├── MediaError       (the code says)    422  no    the bytes cannot be worked with
    │   └── ModelError       (the code says)    422  maybe the model cannot do it, or not now
    └── infra.local.errors.LocalStackError      500  no    the local stack cannot start or go on

Each class carries its problem ``code`` (stable, for programs), HTTP ``status`` and
``retryable``. ``str(error)`` says what happened and what to do, for people.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SplitSoundError(Exception):
    """Root of the tree. ``extra`` becomes members of the problem document."""

    code: str = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class Invalid(SplitSoundError):
    """The request itself breaks a rule; sending it again changes nothing."""

    code = "invalid_request"
    status = 422


class UnknownModel(Invalid):
    """No such model in this deployment's catalogue."""

    code = "unknown_model"


class UnknownStem(Invalid):
    """The model does not give that stem."""

    code = "unknown_stem"


class UnknownPack(Invalid):
    """No such pack of credits is sold here."""

    code = "unknown_pack"


class UnsupportedFormat(Invalid):
    """The output format is unknown, or cannot carry this audio unchanged."""

    code = "unsupported_format"


class WebhookAddressRefused(Invalid):
    """A webhook's URL leads where no message is sent. Carries ``reason``: malformed, credentials,
    port, insecure, unresolved or private_address.
    """

    code = "webhook_address_refused"


class UploadTooLarge(Invalid):
    """More bytes than the published limit."""

    code = "upload_too_large"
    status = 413


class KeyReused(Invalid):
    """An Idempotency-Key came back with a different request behind it."""

    code = "idempotency_key_reused"


class PartsMismatch(Invalid):
    """The parts that the client names are not the parts that storage has."""

    code = "parts_mismatch"


class Unauthenticated(SplitSoundError):
    """No access token, or one that does not verify."""

    code = "unauthenticated"
    status = 401


class SessionEnded(Unauthenticated):
    """The sign-in that a refresh token belongs to is over; sign in again."""

    code = "session_ended"


class SignInRefused(SplitSoundError):
    """What the browser brings back from an identity provider is not what we sent it for.

    Carries ``reason``: state (another browser, or too late), replayed, denied (by the person),
    code (the provider does not take it) or id_token (it does not verify).
    """

    code = "sign_in_refused"
    status = 400


class Forbidden(SplitSoundError):
    """The user is known and may not do this. Carries ``missing``: what the right takes."""

    code = "forbidden"
    status = 403


class NotAnAdmin(Forbidden):
    """The user's address is not on the list of administrators."""

    code = "not_an_admin"


class AdminClaimMissing(Forbidden):
    """An administrator's token that was not asked for as one."""

    code = "admin_claim_missing"


class InsufficientScope(Forbidden):
    """An API key whose scopes do not cover the route. Carries ``scope``: the one that it takes."""

    code = "insufficient_scope"


class PersonRequired(Forbidden):
    """An API key where only the person may act: keys, sessions, the account, administration."""

    code = "person_required"


class ConfirmationRequired(Forbidden):
    """What cannot be taken back has to be confirmed."""

    code = "confirmation_required"


class EmailNotVerified(Forbidden):
    """The identity provider does not vouch that the address is the person's."""

    code = "email_not_verified"


class ForeignOrigin(Forbidden):
    """A request that a cookie vouches for comes from a page that is none of ours."""

    code = "origin_not_allowed"


class NotFound(SplitSoundError):
    """Absent, or somebody else's: the answer is the same, so that ids leak nothing."""

    code = "not_found"
    status = 404


class AccountErased(SplitSoundError):
    """The person behind the account asked to be forgotten, and is."""

    code = "account_erased"
    status = 410


class NotEnoughCredits(SplitSoundError):
    """The account cannot cover the price.

    Carries ``required``, ``available``, ``debt`` and ``missing``: how many credits to buy.
    """

    code = "not_enough_credits"
    status = 402

    def __init__(self, required: int, available: int, debt: int = 0) -> None:
        missing = required - available + debt
        owed = f", and {debt} are owed for a payment that was taken back" if debt else ""
        super().__init__(
            f"This costs {required} credits and {available} are available{owed}. "
            "A shorter song or a cheaper model costs less.",
            required=required,
            available=available,
            debt=debt,
            missing=missing,
        )


class Refused(SplitSoundError):
    """The aggregate's state forbids the command now."""

    code = "not_allowed_now"
    status = 409


class AssetNotReady(Refused):
    """The upload is not complete, or not yet probed."""

    code = "asset_not_ready"
    retryable = True


class AssetUnusable(Refused):
    """The upload was probed and cannot be separated."""

    code = "asset_rejected"
    status = 422


class AssetGone(Refused):
    """The upload is deleted, or the time that it is kept is over."""

    code = "asset_deleted"


class PriceChanged(Refused):
    """The price that the user agreed to is no longer the price. Carries today's ``price``."""

    code = "price_changed"


class PurchaseUnknown(Refused):
    """Stripe tells of a purchase of ours that has no record here (yet): reconcile."""

    code = "purchase_unknown"
    retryable = True


class StaleAttempt(Refused):
    """A worker acts under an attempt number that is no longer the job's."""

    code = "stale_attempt"


class UploadExpired(Refused):
    """Storage no longer knows this multipart upload; its parts are gone."""

    code = "upload_expired"
    status = 410


class KeyInUse(Refused):
    """The first request with this Idempotency-Key has no answer yet."""

    code = "idempotency_key_in_use"
    retryable = True


class BeingErased(Refused):
    """The account's former owner is being forgotten; that takes minutes."""

    code = "account_being_erased"
    retryable = True


class Conflict(SplitSoundError):
    """Other writers won the stream at every try."""

    code = "conflict"
    status = 409
    retryable = True


class Unavailable(SplitSoundError):
    """A service that we need did not answer; nothing was decided."""

    code = "unavailable"
    status = 503
    retryable = True


class StorageFull(Unavailable):
    """No room left on a disk that we must write to; nothing was acknowledged."""

    code = "storage_full"


class ProviderUnavailable(Unavailable):
    """The identity provider does not answer, or not as OpenID Connect has it."""

    code = "identity_provider_unavailable"


class AccessDenied(Unavailable):
    """AWS's policies do not let this process do it. Carries ``action`` and ``resource``.

    An Unavailable, since whoever waits and tries again is right to: the operator can grant it
    meanwhile. A client is not asked to.
    """

    code = "access_denied_by_aws"
    retryable = False


class Paused(SplitSoundError):
    """Operators closed intake or a model for a while. Carries ``subject`` and ``retry_after``."""

    code = "paused"
    status = 503
    retryable = True

    def __init__(self, subject: str, what: str, reason: str, retry_after: int) -> None:
        """what: for people, without a full stop; retry_after: seconds."""
        super().__init__(
            f"{what} by the operators: {reason.rstrip('.')}. Nothing was changed; "
            f"come back in {_duration(retry_after)}.",
            subject=subject,
            retry_after=retry_after,
        )


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds" if seconds != 1 else "a second"
    minutes = -(-seconds // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{-(-minutes // 60)} hours"


class NothingForSale(SplitSoundError):
    """This deployment has no payment provider."""

    code = "nothing_for_sale"
    status = 503


class TooManyRequests(SplitSoundError):
    """More requests than one may send in a while. Carries ``policy``, ``limit``, ``retry_after``
    (seconds).
    """

    code = "too_many_requests"
    status = 429
    retryable = True


class TooManyStreams(TooManyRequests):
    """A user listens to as many event streams as one may; extra: limit, retry_after (s)."""

    code = "too_many_streams"


class WebhookRefused(SplitSoundError):
    """A webhook without a valid, recent signature: forged, stale or meant for another endpoint."""

    code = "webhook_refused"
    status = 400


class CommitTooLarge(SplitSoundError):
    """A commit above 300 KB would not fit a message's safety margin."""

    code = "commit_too_large"
    status = 413


class HistoryBroken(SplitSoundError):
    """A commit is edited, missing or out of order: the hash chain does not hold."""

    code = "history_broken"


class JobError(SplitSoundError):
    """Work on a song cannot go on; ``code`` becomes the failure code of the job or upload.

    ``transient``: the same stage may succeed when it is tried again. Of no narrower kind are
    ``<stage>_timeout`` (see ``handlers.worker.stages``) and ``worker_disk_full``.
    """

    status = 422

    def __init__(self, code: str, detail: str, *, transient: bool = False, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.code = code
        self.transient = transient


class MediaError(JobError):
    """The bytes cannot be worked with.

    ``media_unreadable``, ``media_empty``, ``media_too_long``, ``media_forbidden``
    (a container that points at other files), ``no_audio``, ``ffmpeg_timeout``,
    ``ffmpeg_failed``, ``source_missing``, ``media_changed``.
    """


class ModelError(JobError):
    """The model cannot separate this, or cannot now.

    ``model_unavailable`` (weights missing or not genuine), ``model_out_of_memory``,
    ``model_failed`` (not a number, a crash), ``provider_unavailable``, ``provider_timeout``,
    ``provider_refused`` (the hosted model says no to this input), ``provider_failed``,
    ``prompt_not_understood``.
    """

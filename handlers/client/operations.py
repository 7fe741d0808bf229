"""A method for each operation. Made by ``handlers.client.generation``; not edited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import date
from typing import Any, Literal, TypeVar

from handlers.client.bodies import (
    Account,
    Adjustment,
    Asset,
    AssetChange,
    AssetPage,
    Because,
    BegunUploads,
    Capabilities,
    CheckoutBody,
    Completion,
    Confirmation,
    Controls,
    DayReport,
    DeadLetterFile,
    DeadLetters,
    Delivery,
    DeliveryPage,
    DeliveryWithBody,
    Endpoint,
    EndpointChange,
    Endpoints,
    EndpointWithSecret,
    ErasureBegun,
    Health,
    Job,
    JobBatch,
    JobBody,
    JobFile,
    JobPage,
    JobWish,
    Keys,
    KeySet,
    MadeKey,
    Me,
    NewEndpoint,
    NewKey,
    NewUpload,
    OperationsBody,
    Order,
    PackList,
    PauseWish,
    ProviderList,
    Purchase,
    PurchasePage,
    QuoteAnswer,
    ReadModel,
    ReadModels,
    Received,
    Redrive,
    RequestedJobs,
    ResumeWish,
    Rollback,
    Rotation,
    Session,
    Statement,
    StreamHistory,
    Upload,
    UploadBatch,
    UsageReport,
)
from handlers.client.events import Event
from handlers.client.exchange import Request, segment

T = TypeVar("T")


class Operations(ABC):
    """All that the API does. Each method raises Problem or Unreachable.

    idempotency_key: the same key and body again act once; without one each call has its own, and
    only its own tries share it.
    """

    @abstractmethod
    def _call(self, asked: Request, kind: type[T], *, signed: bool = True) -> T: ...

    @abstractmethod
    def _text(self, asked: Request) -> str: ...

    @abstractmethod
    def _bytes(self, asked: Request) -> Iterator[bytes]: ...

    @abstractmethod
    def _location(self, asked: Request) -> str: ...

    @abstractmethod
    def _listen(self, asked: Request, last_event_id: str | None) -> Iterator[Event]: ...

    @abstractmethod
    def _keyed(self, key: str | None) -> dict[str, str]: ...

    def get_key_set(self) -> KeySet:
        """Public keys of access tokens.

        Verify access tokens with these. A new key stands here ten minutes before it signs, so
        that what you keep for the five minutes of ``Cache-Control`` always suffices.
        """
        asked = Request(method="GET", path="/.well-known/jwks.json")
        return self._call(asked, KeySet, signed=False)

    def get_health(self) -> Health:
        """Liveness.

        The process answers.
        """
        asked = Request(method="GET", path="/healthz")
        return self._call(asked, Health, signed=False)

    def get_metrics(self) -> str:
        """Metrics.

        Lag, parked streams, queues, open and stuck jobs, failures, counted now; requests that
        this process answered. With the scrape token (`SPLITSOUND_METRICS_TOKEN`) or an
        administrator's.
        """
        asked = Request(method="GET", path="/metrics")
        return self._text(asked)

    def get_readiness(self) -> Health:
        """Readiness.

        Event table, rows and bucket answer within two seconds, a pulse has come through the
        projector's queue lately, and the disks of journal and keys have room; else 503 names
        what fails, and why.
        """
        asked = Request(method="GET", path="/readyz")
        return self._call(asked, Health, signed=False)

    def get_controls(self, *, changes: int | None = None) -> Controls:
        """What is paused.

        Read from the events themselves; processes may go by what was so two seconds ago.
        """
        asked = Request(method="GET", path="/v1/admin/controls", query={"changes": changes})
        return self._call(asked, Controls)

    def get_any_credits(self, user_id: str) -> Account:
        """Anybody's account.

        As it stands now. Never stale.
        """
        asked = Request(method="GET", path=f"/v1/admin/credits/{segment(user_id)}")
        return self._call(asked, Account)

    def adjust_credits(
        self, user_id: str, body: Adjustment, *, idempotency_key: str | None = None
    ) -> Account:
        """Give or take credits.

        The user reads the reason. What is given settles a debt first; what is taken makes none.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/credits/{segment(user_id)}/adjust",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Account)

    def list_dead_letters(
        self,
        *,
        projection: Literal[
            "jobs", "credits", "library", "purchases", "results", "usage", "erasures"
        ]
        | None = None,
    ) -> DeadLetters:
        """Parked streams.

        Streams that a read model cannot follow; every other stream goes on.
        """
        asked = Request(
            method="GET", path="/v1/admin/dead-letters", query={"projection": projection}
        )
        return self._call(asked, DeadLetters)

    def get_dead_letter(self, projection: str, stream: str) -> DeadLetterFile:
        """A parked stream.

        Why the read model's code rejects the stream's next commit, and what waits behind it.
        """
        asked = Request(
            method="GET", path=f"/v1/admin/dead-letters/{segment(projection)}/{segment(stream)}"
        )
        return self._call(asked, DeadLetterFile)

    def redrive_dead_letter(
        self, projection: str, stream: str, body: Because, *, idempotency_key: str | None = None
    ) -> Redrive:
        """Let a parked stream follow again.

        Tries the rejected commit and all that wait behind it, in order. It fails as before
        until code that takes the commit is deployed; trying again harms nothing.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/dead-letters/{segment(projection)}/{segment(stream)}/redrive",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Redrive)

    def get_any_job(self, job_id: str) -> JobFile:
        """Anybody's job.

        For support: how a job stands and why it failed. Never stale.
        """
        asked = Request(method="GET", path=f"/v1/admin/jobs/{segment(job_id)}")
        return self._call(asked, JobFile)

    def fail_job(
        self, job_id: str, body: Because, *, idempotency_key: str | None = None
    ) -> JobFile:
        """Fail an open job.

        Releases its credits. The user reads the reason.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/jobs/{segment(job_id)}/fail",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, JobFile)

    def refund_job(
        self, job_id: str, body: Because, *, idempotency_key: str | None = None
    ) -> JobFile:
        """Give back what a job cost.

        Of a completed job, once; its stems stay.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/jobs/{segment(job_id)}/refund",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, JobFile)

    def requeue_job(
        self, job_id: str, body: Because, *, idempotency_key: str | None = None
    ) -> JobFile:
        """Have a job done anew.

        Whoever holds it; one that had failed runs again at no cost. Wakes a worker.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/jobs/{segment(job_id)}/requeue",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, JobFile)

    def get_operations(self) -> OperationsBody:
        """What to look at first.

        How work and read models stand at this moment.
        """
        asked = Request(method="GET", path="/v1/admin/operations")
        return self._call(asked, OperationsBody)

    def pause(self, body: PauseWish, *, idempotency_key: str | None = None) -> Controls:
        """Pause intake, a model or a read model.

        Nothing new begins there until it is resumed; what has begun goes on. Every process
        knows within a few seconds.
        """
        asked = Request(
            method="POST", path="/v1/admin/pause", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, Controls)

    def list_read_models(self) -> ReadModels:
        """Read models.

        Lag, parked streams, generations, rebuilds, and whether the projector lives.
        """
        asked = Request(method="GET", path="/v1/admin/projections")
        return self._call(asked, ReadModels)

    def roll_back_read_model(
        self, name: str, body: Rollback, *, idempotency_key: str | None = None
    ) -> ReadModel:
        """Roll a read model back.

        Queries read the generation that was live before, within seconds. One that other code
        built was not written to since it was kept: `splitsound projections verify NAME
        --repair` brings its rows to date.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/projections/{segment(name)}/rollback",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, ReadModel)

    def resume(self, body: ResumeWish, *, idempotency_key: str | None = None) -> Controls:
        """Open again what was paused.

        What is open stays open. Rows of a read model are brought to date within a minute.
        """
        asked = Request(
            method="POST", path="/v1/admin/resume", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, Controls)

    def get_stream(
        self,
        stream: str,
        *,
        as_of: str | None = None,
        version: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> StreamHistory:
        """A stream, then and now.

        Every event up to a time or a version, whether the hash chain holds, and the state
        folded from them. An id alone names its own stream. Sealed fields stay sealed.
        """
        asked = Request(
            method="GET",
            path=f"/v1/admin/streams/{segment(stream)}",
            query={"as_of": as_of, "version": version, "limit": limit, "cursor": cursor},
        )
        return self._call(asked, StreamHistory)

    def get_usage_of_day(self, *, day: date | None = None) -> DayReport:
        """Everybody's usage of a day.

        Who used how much. Reads each job of the day.
        """
        asked = Request(method="GET", path="/v1/admin/usage", query={"day": day})
        return self._call(asked, DayReport)

    def get_usage_of_user(
        self, user_id: str, *, from_: date | None = None, to: date | None = None
    ) -> UsageReport:
        """One user's usage by day.

        As the user sees it at `/v1/usage`; empty for a user without jobs.
        """
        asked = Request(
            method="GET",
            path=f"/v1/admin/usage/{segment(user_id)}",
            query={"from": from_, "to": to},
        )
        return self._call(asked, UsageReport)

    def erase_user(
        self, user_id: str, body: Because, *, idempotency_key: str | None = None
    ) -> ErasureBegun:
        """Forget a person.

        The same as when a person asks for it by `DELETE /v1/me`, which is the only way for your
        own account. Again is harmless.
        """
        asked = Request(
            method="POST",
            path=f"/v1/admin/users/{segment(user_id)}/erase",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, ErasureBegun)

    def list_api_keys(self) -> Keys:
        """List API keys.

        Keys that are revoked are gone from the list; expired ones stand there until then.
        """
        asked = Request(method="GET", path="/v1/api-keys")
        return self._call(asked, Keys)

    def create_api_key(self, body: NewKey, *, idempotency_key: str | None = None) -> MadeKey:
        """Make an API key.

        Keep it like a password: whoever has it acts for you, as far as its scopes go.
        """
        asked = Request(
            method="POST", path="/v1/api-keys", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, MadeKey)

    def revoke_api_key(self, key_id: str) -> None:
        """Revoke an API key.

        Ends it within seconds. A key that is revoked already is not there any more: 404.
        """
        asked = Request(method="DELETE", path=f"/v1/api-keys/{segment(key_id)}")
        return self._call(asked, type(None))

    def finish_sign_in(
        self,
        *,
        code: str | None = None,
        state: str | None = None,
        error: str | None = None,
        iss: str | None = None,
    ) -> str:
        """Come back from a provider.

        For the provider's answer alone. The first sign-in signs the person up. A browser that
        cannot be signed in goes back to its page with ``?error=<code>``; programs get the
        problem.
        """
        asked = Request(
            method="GET",
            path="/v1/auth/callback",
            query={"code": code, "state": state, "error": error, "iss": iss},
        )
        return self._location(asked)

    def sign_out(self) -> None:
        """Sign out here.

        Ends this browser's session; again is harmless. Its access token lives out its minutes.
        """
        asked = Request(method="POST", path="/v1/auth/logout")
        return self._call(asked, type(None), signed=False)

    def sign_out_everywhere(self, *, idempotency_key: str | None = None) -> None:
        """Sign out everywhere.

        Ends every session of yours, on every device. Access tokens that are out live at most 15
        minutes more; API keys are another matter and stay.
        """
        asked = Request(
            method="POST", path="/v1/auth/logout-everywhere", headers=self._keyed(idempotency_key)
        )
        return self._call(asked, type(None))

    def list_providers(self) -> ProviderList:
        """Who signs people in.

        One button for each. Needs no token.
        """
        asked = Request(method="GET", path="/v1/auth/providers")
        return self._call(asked, ProviderList, signed=False)

    def refresh_session(self) -> Session:
        """Get an access token.

        For the session cookie, after a sign-in and whenever the access token has expired. Each
        refresh token is good once, and for half a minute more for a tab that was late or an
        answer that got lost; after that, whoever brings it ends the session for all
        (refresh_token_reused).
        """
        asked = Request(method="POST", path="/v1/auth/refresh")
        return self._call(asked, Session, signed=False)

    def begin_sign_in(
        self,
        provider: str,
        *,
        return_to: str | None = None,
        admin: bool | None = None,
        login_hint: str | None = None,
    ) -> str:
        """Begin a sign-in.

        Send the browser here, as a navigation. It comes back to ``return_to``, signed in, or
        with ``?error=<code>``. ``admin``: ask for an administrator's token.
        """
        asked = Request(
            method="GET",
            path=f"/v1/auth/{segment(provider)}/login",
            query={"return_to": return_to, "admin": admin, "login_hint": login_hint},
        )
        return self._location(asked)

    def get_capabilities(self) -> Capabilities:
        """What is on offer.

        Models, stems, formats, limits, prices, and what is paused. Needs no token.
        """
        asked = Request(method="GET", path="/v1/capabilities")
        return self._call(asked, Capabilities, signed=False)

    def check_out(self, body: Order, *, idempotency_key: str | None = None) -> CheckoutBody:
        """Buy credits.

        Opens a purchase. The credits come once the money has, which `/v1/purchases` tells: the
        browser may be back before. The same key again: the same purchase.
        """
        asked = Request(
            method="POST", path="/v1/checkout", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, CheckoutBody)

    def get_credits(self) -> Account:
        """The balance.

        What can be spent, what open jobs hold, what was spent. Never stale.
        """
        asked = Request(method="GET", path="/v1/credits")
        return self._call(asked, Account)

    def get_credits_history(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Statement:
        """The statement.

        Every movement of the account, newest first.
        """
        asked = Request(
            method="GET", path="/v1/credits/history", query={"limit": limit, "cursor": cursor}
        )
        return self._call(asked, Statement)

    def follow_jobs(self, *, last_event_id: str | None = None) -> Iterator[Event]:
        """Follow all jobs.

        At first the open jobs, or with `Last-Event-ID` those that changed since; then `ready`;
        from then on every job that is new or changes. Ids are opaque. A job may be told again:
        its version orders what is said of it. The newest 2,000 jobs are followed.
        """
        asked = Request(method="GET", path="/v1/events")
        return self._listen(asked, last_event_id)

    def list_jobs(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        stream: str | None = None,
        min_version: int | None = None,
    ) -> JobPage:
        """List jobs.

        Jobs, newest first, without URLs: GET a job for those. With a command's stream and
        version, that write is in the list.
        """
        asked = Request(
            method="GET",
            path="/v1/jobs",
            query={"limit": limit, "cursor": cursor, "stream": stream, "min_version": min_version},
        )
        return self._call(asked, JobPage)

    def create_job(self, body: JobWish, *, idempotency_key: str | None = None) -> Job:
        """Request a separation.

        Reserves the price and queues the job. The same key again: the same job.
        """
        asked = Request(
            method="POST", path="/v1/jobs", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, Job)

    def create_jobs(self, body: JobBatch, *, idempotency_key: str | None = None) -> RequestedJobs:
        """Request several separations.

        Queues up to 50 jobs, in order: when the credits run out, the later ones are answered
        with 402 in their places and the earlier ones are queued.
        """
        asked = Request(
            method="POST", path="/v1/jobs/batch", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, RequestedJobs)

    def get_job(self, job_id: str, *, min_version: int | None = None) -> Job:
        """One job.

        Status, stage, progress; once completed, the stems with signed URLs. At least as new as
        what this process last told. Its ETag changes with any of it, and before the URLs die.
        """
        asked = Request(
            method="GET", path=f"/v1/jobs/{segment(job_id)}", query={"min_version": min_version}
        )
        return self._call(asked, Job)

    def delete_job(self, job_id: str) -> Job:
        """Delete a job's results.

        Its results are no longer served, and go for good at ``deleted_until``. Again is
        harmless; an open job is refused: cancel it first.
        """
        asked = Request(method="DELETE", path=f"/v1/jobs/{segment(job_id)}")
        return self._call(asked, Job)

    def cancel_job(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """Cancel a job.

        Takes the request back and releases its credits; an ended job stays as it ended.
        """
        asked = Request(
            method="POST",
            path=f"/v1/jobs/{segment(job_id)}/cancel",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Job)

    def follow_job(self, job_id: str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """Follow a job.

        `job` events are the job itself, as GET gives it, with its version as id: at first as it
        stands, unless `Last-Event-ID` says that you have that; then whenever its version
        changed. Versions between two looks are skipped. `progress`, without an id, is what
        changes meanwhile. After `end` the stream closes; ask with the last id again, and the
        answer is 204.
        """
        asked = Request(method="GET", path=f"/v1/jobs/{segment(job_id)}/events")
        return self._listen(asked, last_event_id)

    def restore_job(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """Restore a job's results.

        Takes a deletion back, until ``deleted_until``. Again is harmless.
        """
        asked = Request(
            method="POST",
            path=f"/v1/jobs/{segment(job_id)}/restore",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Job)

    def list_library(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        stream: str | None = None,
        min_version: int | None = None,
        q: str | None = None,
        tag: str | None = None,
        status: Literal["uploading", "uploaded", "ready", "rejected", "aborted"] | None = None,
        deleted: Literal["exclude", "only"] | None = None,
        sort: Literal["created", "-created", "name", "-name", "length", "-length"] | None = None,
    ) -> AssetPage:
        """List the library.

        Uploads, newest first. With a command's stream and version, that write is in the list.

        With q, tag, status, deleted or sort it is a search, of at most 10,000 uploads: by
        default without deleted ones; then stream and min_version are not looked at.
        """
        asked = Request(
            method="GET",
            path="/v1/library",
            query={
                "limit": limit,
                "cursor": cursor,
                "stream": stream,
                "min_version": min_version,
                "q": q,
                "tag": tag,
                "status": status,
                "deleted": deleted,
                "sort": sort,
            },
        )
        return self._call(asked, AssetPage)

    def get_asset(self, asset_id: str, *, min_version: int | None = None) -> Asset:
        """One upload.

        One upload and what the probe found; at least as new as what this process last told.
        """
        asked = Request(
            method="GET",
            path=f"/v1/library/{segment(asset_id)}",
            query={"min_version": min_version},
        )
        return self._call(asked, Asset)

    def delete_asset(self, asset_id: str) -> Asset:
        """Delete an upload.

        It cannot be separated, and what was made of it is no longer served; all of it goes for
        good at ``deleted_until``. Open jobs go on, and what they give comes back with it. Again
        is harmless; an upload that is not complete is refused: abort it instead.
        """
        asked = Request(method="DELETE", path=f"/v1/library/{segment(asset_id)}")
        return self._call(asked, Asset)

    def change_asset(self, asset_id: str, body: AssetChange) -> Asset:
        """Rename or tag an upload.

        Downloads are named after it from now on. Deleted ones are refused: restore it first.
        """
        asked = Request(method="PATCH", path=f"/v1/library/{segment(asset_id)}", body=body)
        return self._call(asked, Asset)

    def restore_asset(self, asset_id: str, *, idempotency_key: str | None = None) -> Asset:
        """Restore an upload.

        Takes a deletion back, until ``deleted_until``. Again is harmless.
        """
        asked = Request(
            method="POST",
            path=f"/v1/library/{segment(asset_id)}/restore",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Asset)

    def get_me(self) -> Me:
        """Who am I.

        Whom this token or API key speaks for, and what it may do.
        """
        asked = Request(method="GET", path="/v1/me")
        return self._call(asked, Me)

    def erase_me(self, body: Confirmation | None = None) -> ErasureBegun:
        """Forget me.

        Open jobs are cancelled; credits that are left are forfeited; media, lists, keys,
        deliveries and stored answers go, and with the key of your personal data whatever can be
        read of it in histories and backups. Confirm it by your address in the body. Afterwards
        every request is answered 410.
        """
        asked = Request(method="DELETE", path="/v1/me", body=body)
        return self._call(asked, ErasureBegun)

    def export_me(self) -> Iterator[bytes]:
        """Export everything about me.

        Person, API keys and webhook endpoints without their secrets, deliveries, uploads, jobs,
        purchases, the credit statement and all events, with names opened and signed URLs of the
        files.
        """
        asked = Request(method="GET", path="/v1/me/export")
        return self._bytes(asked)

    def list_packs(self) -> PackList:
        """What is sold.

        Packs of credits and their prices. Needs no token.
        """
        asked = Request(method="GET", path="/v1/packs")
        return self._call(asked, PackList, signed=False)

    def list_purchases(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        stream: str | None = None,
        min_version: int | None = None,
    ) -> PurchasePage:
        """List purchases.

        Purchases, newest first. With a command's stream and version, that write is in the list.
        """
        asked = Request(
            method="GET",
            path="/v1/purchases",
            query={"limit": limit, "cursor": cursor, "stream": stream, "min_version": min_version},
        )
        return self._call(asked, PurchasePage)

    def get_purchase(self, purchase_id: str, *, min_version: int | None = None) -> Purchase:
        """One purchase.

        Whether it is paid; at least as new as what this process last told.
        """
        asked = Request(
            method="GET",
            path=f"/v1/purchases/{segment(purchase_id)}",
            query={"min_version": min_version},
        )
        return self._call(asked, Purchase)

    def get_quote(self, body: JobBody, *, idempotency_key: str | None = None) -> QuoteAnswer:
        """Ask for a price.

        The price of a separation, before it is spent. Reserves nothing.
        """
        asked = Request(
            method="POST", path="/v1/quotes", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, QuoteAnswer)

    def start_upload(self, body: NewUpload, *, idempotency_key: str | None = None) -> Upload:
        """Begin an upload.

        Opens a session and signs a URL for each part. The same key again: the same session.
        """
        asked = Request(
            method="POST", path="/v1/uploads", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, Upload)

    def start_uploads(
        self, body: UploadBatch, *, idempotency_key: str | None = None
    ) -> BegunUploads:
        """Begin several uploads.

        Opens up to 20 sessions. What is refused keeps none of the others.
        """
        asked = Request(
            method="POST", path="/v1/uploads/batch", body=body, headers=self._keyed(idempotency_key)
        )
        return self._call(asked, BegunUploads)

    def get_upload(self, asset_id: str, *, after: int | None = None) -> Upload:
        """Resume an upload.

        Which parts S3 has, and signed URLs for those that it lacks. Its ETag changes with
        either, and before the URLs die.
        """
        asked = Request(
            method="GET", path=f"/v1/uploads/{segment(asset_id)}", query={"after": after}
        )
        return self._call(asked, Upload)

    def abort_upload(self, asset_id: str) -> None:
        """Abort an upload.

        Gives the session up and drops its parts. Aborting again is harmless.
        """
        asked = Request(method="DELETE", path=f"/v1/uploads/{segment(asset_id)}")
        return self._call(asked, type(None))

    def complete_upload(
        self, asset_id: str, body: Completion | None = None, *, idempotency_key: str | None = None
    ) -> Upload:
        """Complete an upload.

        Checks every part, joins them and wakes the probe. Completing again is harmless.
        """
        asked = Request(
            method="POST",
            path=f"/v1/uploads/{segment(asset_id)}/complete",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Upload)

    def get_usage(self, *, from_: date | None = None, to: date | None = None) -> UsageReport:
        """Usage by day.

        The last 31 days unless told, at most 92. May lag behind the events for a moment.
        """
        asked = Request(method="GET", path="/v1/usage", query={"from": from_, "to": to})
        return self._call(asked, UsageReport)

    def list_webhook_endpoints(self) -> Endpoints:
        """List webhook endpoints.

        With how they do: who answers, and who has not for how long.
        """
        asked = Request(method="GET", path="/v1/webhook-endpoints")
        return self._call(asked, Endpoints)

    def add_webhook_endpoint(
        self, body: NewEndpoint, *, idempotency_key: str | None = None
    ) -> EndpointWithSecret:
        """Add a webhook endpoint.

        What happens to your jobs, uploads and purchases from now on is POSTed there, at least
        once, in no order. Up to 10 of them. Addresses that are not of the public internet are
        refused.
        """
        asked = Request(
            method="POST",
            path="/v1/webhook-endpoints",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, EndpointWithSecret)

    def get_webhook_endpoint(self, endpoint_id: str) -> Endpoint:
        """One webhook endpoint.

        The endpoint, without its secret.
        """
        asked = Request(method="GET", path=f"/v1/webhook-endpoints/{segment(endpoint_id)}")
        return self._call(asked, Endpoint)

    def remove_webhook_endpoint(self, endpoint_id: str) -> None:
        """Remove a webhook endpoint.

        For good, with its secrets and what waits for it. Again is harmless.
        """
        asked = Request(method="DELETE", path=f"/v1/webhook-endpoints/{segment(endpoint_id)}")
        return self._call(asked, type(None))

    def change_webhook_endpoint(self, endpoint_id: str, body: EndpointChange) -> Endpoint:
        """Change a webhook endpoint.

        Messages that wait go to the new address. One that is disabled stays so.
        """
        asked = Request(
            method="PATCH", path=f"/v1/webhook-endpoints/{segment(endpoint_id)}", body=body
        )
        return self._call(asked, Endpoint)

    def list_webhook_deliveries(
        self, endpoint_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> DeliveryPage:
        """List deliveries.

        Messages to this endpoint, newest first, without their bodies.
        """
        asked = Request(
            method="GET",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/deliveries",
            query={"limit": limit, "cursor": cursor},
        )
        return self._call(asked, DeliveryPage)

    def get_webhook_delivery(self, endpoint_id: str, message_id: str) -> DeliveryWithBody:
        """One delivery.

        What was sent, and what came of each attempt.
        """
        asked = Request(
            method="GET",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/deliveries/{segment(message_id)}",
        )
        return self._call(asked, DeliveryWithBody)

    def redeliver_webhook(
        self, endpoint_id: str, message_id: str, *, idempotency_key: str | None = None
    ) -> Delivery:
        """Send a message again.

        Whatever became of it: now, with the same id and body, and if need be by the whole
        schedule of attempts.
        """
        asked = Request(
            method="POST",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/deliveries/{segment(message_id)}/redeliver",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Delivery)

    def disable_webhook_endpoint(
        self, endpoint_id: str, *, idempotency_key: str | None = None
    ) -> Endpoint:
        """Disable a webhook endpoint.

        Nothing is sent any more, and what is due meanwhile is dropped. Again is harmless.
        """
        asked = Request(
            method="POST",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/disable",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Endpoint)

    def enable_webhook_endpoint(
        self, endpoint_id: str, *, idempotency_key: str | None = None
    ) -> Endpoint:
        """Enable a webhook endpoint.

        What happens from now on is sent; for what was dropped, ask for redelivery. Its failures
        are forgotten. Again is harmless.
        """
        asked = Request(
            method="POST",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/enable",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Endpoint)

    def rotate_webhook_secret(
        self, endpoint_id: str, body: Rotation, *, idempotency_key: str | None = None
    ) -> EndpointWithSecret:
        """Rotate a webhook endpoint's secret.

        Until the overlap is over messages carry two signatures, and receivers that know either
        secret can verify them. A further rotation ends the overlap of the one before.
        """
        asked = Request(
            method="POST",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/rotate",
            body=body,
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, EndpointWithSecret)

    def reveal_webhook_secret(self, endpoint_id: str) -> EndpointWithSecret:
        """Reveal a webhook endpoint's secret.

        Only to the signed-in person, never to an API key.
        """
        asked = Request(method="GET", path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/secret")
        return self._call(asked, EndpointWithSecret)

    def test_webhook_endpoint(
        self, endpoint_id: str, *, idempotency_key: str | None = None
    ) -> Delivery:
        """Send a test message.

        A message of type `webhook.test`, whatever types the endpoint wants, on the way that all
        messages go. What became of it is in the log.
        """
        asked = Request(
            method="POST",
            path=f"/v1/webhook-endpoints/{segment(endpoint_id)}/test",
            headers=self._keyed(idempotency_key),
        )
        return self._call(asked, Delivery)

    def receive_stripe_event(self, body: Any) -> Received:
        """Hear from Stripe.

        For Stripe alone: signed with the endpoint's secret, at most five minutes old. Sending
        it again, late or in any order changes nothing.
        """
        asked = Request(method="POST", path="/v1/webhooks/stripe", body=body)
        return self._call(asked, Received, signed=False)

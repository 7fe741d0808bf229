"""What the API takes and gives. Made by ``handlers.client.generation``; not edited.

Members that a later release adds to an answer are ignored, and values that it adds to
an enumeration of one are text like the others.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field


class Account(Struct, frozen=True, kw_only=True):
    """granted = available + reserved + captured + expired + revoked - debt, always.

    grants: those that still have credits, oldest first. debt: of payments that were taken back
    after their credits were spent; what comes in settles it first.
    """

    available: int
    reserved: int
    captured: int
    granted: int
    expired: int
    revoked: int
    debt: int
    grants: list[GrantBody]
    stream: str
    version: int


class Adjustment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """amount: credits to give, or (negative) to take out of what can be spent; never 0.

    source: of what is given, an adjustment or a promotion; expires_at: when what is given is
    over; priority: of low priority is spent first.
    """

    amount: int
    reason: str
    source: Literal["adjustment", "promotion"] | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    priority: int | UnsetType = UNSET


class AgreedQuote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a quote said. price: credits, by the price list of that version."""

    price: int
    price_list: str


class Asset(Struct, frozen=True, kw_only=True):
    """An upload. status: uploading, uploaded (being probed), ready, rejected or aborted.

    filename: ``(erased)`` once the account is. expires_at: when its bytes go, deleted or by the
    time they are kept, in days_left days; null where they are kept. deleted_until: until then a
    deleted one can be had back. purged: its bytes are gone.
    """

    asset_id: str
    filename: str
    tags: list[str]
    content_type: str
    size: int
    status: str
    audio: AudioFacts | None = None
    container: str
    codec: str
    failure: Failure | None = None
    created_at: datetime
    changed_at: datetime
    expires_at: datetime | None = None
    days_left: int | None = None
    deleted_until: datetime | None = None
    purged: bool
    stream: str
    version: int


class AssetChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left out stays. tags: all that it has from now on, at most 20 of 1 to 50 characters;
    an empty list takes them away.
    """

    filename: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType | None = UNSET


class AssetPage(Struct, frozen=True, kw_only=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Asset]
    cursor: str | None = None


class AudioFacts(Struct, frozen=True, kw_only=True):
    """Decoded audio as measured. samples: per channel; rate: Hz."""

    samples: int
    rate: int
    channels: int
    seconds: float


class BatchedJob(Struct, frozen=True, kw_only=True):
    """status: as the job alone would have been answered with. One of the others is null."""

    status: int
    job: Job | None = None
    problem: Problem | None = None


class BatchedUpload(Struct, frozen=True, kw_only=True):
    """status: as the upload alone would have been answered with. One of the others is null."""

    status: int
    upload: Upload | None = None
    problem: Problem | None = None


class Because(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """reason: why; it is kept with the fact."""

    reason: str


class BegunUploads(Struct, frozen=True, kw_only=True):
    """In the order in which they were asked for. Each has at most 50 URLs at first."""

    items: list[BatchedUpload]


class Break(Struct, frozen=True, kw_only=True):
    """Where a hash chain does not hold. after: the last version that does."""

    after: int
    detail: str


class Capabilities(Struct, frozen=True, kw_only=True):
    """credits_per_second: a decimal as text; one credit is one second at the standard model.

    paused: no uploads and no jobs are taken for now; null while they are.
    """

    models: list[OfferedModel]
    default_model: str
    formats: list[FormatBody]
    default_format: str
    limits: Limits
    price_list: str
    upload_parts: PartRule
    paused: PausedBody | None = None


class CheckoutBody(Struct, frozen=True, kw_only=True):
    """url: send the browser there to pay; null once nobody can any more.

    amount: minor units of currency. expires_at: when the page closes.
    """

    purchase_id: str
    url: str | None = None
    expires_at: datetime | None = None
    pack: str
    credits: int
    amount: int
    currency: str
    stream: str
    version: int


class Completion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The parts sent, in order; left out: whatever S3 has."""

    parts: list[NamedPart] | UnsetType | None = UNSET


class Confirmation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """confirm: the person's own address, so that nobody is forgotten by accident."""

    confirm: str


class ControlChange(Struct, frozen=True, kw_only=True):
    """One turn of a switch. version: in the stream `controls-all`; retry_seconds: of a pause."""

    version: int
    time: datetime
    change: str
    subject: str
    reason: str
    by: str
    retry_seconds: int | None = None


class Controls(Struct, frozen=True, kw_only=True):
    """paused: what is shut, the longest first; changes: the newest first."""

    paused: list[PausedSubject]
    changes: list[ControlChange]


class DayReport(Struct, frozen=True, kw_only=True):
    """users: those with jobs requested on that day (UTC), who had most first."""

    day: date
    users: list[UserUsage]
    total: Usage


class DayUsage(Struct, frozen=True, kw_only=True):
    """The same for the jobs that were requested on one day (UTC)."""

    jobs: int
    completed: int
    reused: int
    failed: int
    cancelled: int
    open: int
    audio_seconds: float
    credits: int
    failures: dict[str, int]
    day: date


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A stream that waits, in order, behind a commit that the read model's code rejects.

    version: of the rejected commit's first event; newest: the newest version that rang; tries:
    how often the commit was rejected.
    """

    projection: str
    generation: int
    stream: str
    version: int
    newest: int
    error: str
    tries: int
    parked_at: datetime
    changed_at: datetime


class DeadLetterFile(Struct, frozen=True, kw_only=True):
    """What there is to know. events: those of the commit that was rejected first.

    waiting: versions that are not in the rows, the rejected ones included; tip: the stream's.
    """

    projection: str
    stream: str
    rejections: list[Rejection]
    events: list[Told]
    waiting: int
    tip: int


class DeadLetters(Struct, frozen=True, kw_only=True):
    """queues: about how many messages rest in each queue's dead-letter queue."""

    items: list[DeadLetter]
    queues: dict[str, int]


class Delivery(Struct, frozen=True, kw_only=True):
    """A message to one endpoint, kept for 30 days. message_id: the ``webhook-id`` header, the same
    at every attempt.

    status: pending (next_attempt_at says when), delivered, failed (all attempts were), or
    dropped (the endpoint was disabled when it was due). attempts: the newest 20.
    """

    message_id: str
    endpoint_id: str
    type: str
    status: str
    created_at: datetime
    next_attempt_at: datetime | None = None
    attempts: list[DeliveryAttempt]


class DeliveryAttempt(Struct, frozen=True, kw_only=True):
    """One POST. status: of the answer, null without one; error then says why, else it is empty:
    timed_out, not_connected, no_http_answer, address_* or not_sent. More may come.

    excerpt: the answer's beginning, at most 1 KB; without an answer, words for people.
    """

    at: datetime
    milliseconds: int
    status: int | None = None
    error: str
    excerpt: str


class DeliveryPage(Struct, frozen=True, kw_only=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Delivery]
    cursor: str | None = None


class DeliveryWithBody(Struct, frozen=True, kw_only=True):
    """body: the JSON that is sent, byte for byte."""

    message_id: str
    endpoint_id: str
    type: str
    status: str
    created_at: datetime
    next_attempt_at: datetime | None = None
    attempts: list[DeliveryAttempt]
    body: str


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where messages go. types: that it wants; none for all of them.

    disabled: null while messages are sent; asked (by you), gone (it answered 410) or failing
    (for days). old_secret_until: messages are signed with the secret before this one as well
    until then. failures: attempts in a row that were not answered with 2xx, since
    failing_since.
    """

    endpoint_id: str
    url: str
    types: list[str]
    disabled: str | None = None
    created_at: datetime
    old_secret_until: datetime | None = None
    failures: int
    failing_since: datetime | None = None


class EndpointChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left out stays."""

    url: str | UnsetType | None = UNSET
    types: (
        list[
            Literal[
                "asset.ready",
                "asset.rejected",
                "job.queued",
                "job.started",
                "job.completed",
                "job.failed",
                "job.cancelled",
                "purchase.paid",
                "webhook.test",
            ]
        ]
        | UnsetType
        | None
    ) = UNSET


class EndpointWithSecret(Struct, frozen=True, kw_only=True):
    """secret: what messages are signed with, as libraries of Standard Webhooks take it."""

    endpoint_id: str
    url: str
    types: list[str]
    disabled: str | None = None
    created_at: datetime
    old_secret_until: datetime | None = None
    failures: int
    failing_since: datetime | None = None
    secret: str


class Endpoints(Struct, frozen=True, kw_only=True):
    """All of them, the oldest first."""

    items: list[Endpoint]


class ErasureBegun(Struct, frozen=True, kw_only=True):
    """It goes on by itself and takes minutes; until then nobody can sign up with that account."""

    user_id: str
    stream: str
    version: int


class Failure(Struct, frozen=True, kw_only=True):
    """Why something ended badly. code: for programs; detail: for people."""

    code: str
    detail: str


class FieldError(Struct, frozen=True, kw_only=True):
    """One thing that is wrong. pointer: into the body; parameter, header: outside of it."""

    detail: str
    pointer: str = ""
    parameter: str = ""
    header: str = ""
    number: int = 0


class FinishedStage(Struct, frozen=True, kw_only=True):
    """A stage that ended, how long it took, and in how many tries. Stages may overlap."""

    attempt: int
    stage: str
    seconds: float
    tries: int


class FormatBody(Struct, frozen=True, kw_only=True):
    """max_rate: Hz; a song above it needs another format, since stems are never resampled.

    rates: the only ones that it carries; all up to max_rate where empty. lossless: decoding
    gives the samples again. floating: carries samples over full scale, so that no gain is
    needed.
    """

    name: str
    extension: str
    media_type: str
    max_rate: int
    rates: list[int]
    lossless: bool
    floating: bool


class GenerationNow(Struct, frozen=True, kw_only=True):
    """code: the version of the projection's code that built it."""

    number: int
    state: str
    code: int


class GrantBody(Struct, frozen=True, kw_only=True):
    """Credits with a common origin. left: can be spent; held: in open jobs.

    source: signup, purchase, promotion, adjustment, refund or reinstatement.
    """

    grant_id: str
    left: int
    held: int
    expires_at: datetime | None = None
    priority: int
    source: str


class Health(Struct, frozen=True, kw_only=True):
    """status: ok."""

    status: str


class Job(Struct, frozen=True, kw_only=True):
    """A separation. status: queued, running, completed, failed or cancelled.

    progress: 0..1 of the whole, never going back within an attempt; seconds: of audio; price:
    credits that it costs, by the price list of that version; 0 once the operators have it done
    anew after a failure; requeues: how often the operators had it done anew; refunded: credits
    that they gave back; lane: the queue it waits in; prompt: words that name the sound, of a
    model that takes some; bundle: whether a zip of all stems is wanted, zip: null until it is
    there; queue_position: 1 is next, of a queued job; estimated_end_at: of an open one, from
    the measured speed of its model and the work before it; null while nothing can be said;
    gain_db: the one gain that all stems share; quality: null until the job has completed;
    reused_from: the job that made these stems, where they were given again at no cost;
    expires_at: when the results go, deleted or by the time they are kept, in days_left days;
    null where they are kept. deleted_until: until then deleted results can be had back. purged:
    they are gone. Results that are deleted, or of a deleted upload, or over, have no URLs.
    """

    job_id: str
    status: str
    asset_id: str
    model: str
    stems_wanted: list[str]
    format: str
    prompt: str | None = None
    bundle: bool
    lane: str
    seconds: float
    price: int
    price_list: str
    refunded: int
    attempt: int
    requeues: int
    stage: str | None = None
    progress: float
    queue_position: int | None = None
    estimated_end_at: datetime | None = None
    stages: list[FinishedStage]
    stems: list[Stem]
    zip: Zip | None = None
    gain_db: float | None = None
    quality: Quality | None = None
    failure: JobFailure | None = None
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_of: str | None = None
    reused_from: str | None = None
    expires_at: datetime | None = None
    days_left: int | None = None
    deleted_until: datetime | None = None
    purged: bool
    stream: str
    version: int


class JobBatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to separate."""

    jobs: list[JobWish]


class JobBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to separate. model: the default one unless named, with a prompt one that takes it.

    stems: leave it out for all of the model's; ``no_<stem>`` is the song without that stem.
    prompt: words that name the sound to take out, for models that take some. bundle: a zip of
    all stems as well. reuse: give stems that the same bytes, model and parameters made before,
    at no cost; false separates anew.
    """

    asset_id: str
    model: str | UnsetType | None = UNSET
    stems: list[str] | UnsetType | None = UNSET
    format: str | UnsetType = UNSET
    prompt: str | UnsetType | None = UNSET
    bundle: bool | UnsetType = UNSET
    reuse: bool | UnsetType = UNSET


class JobChange(Struct, frozen=True, kw_only=True):
    """A job of the user's that changed; the version orders what is said of it."""

    job_id: str
    version: int
    status: str
    job: Job


class JobEnd(Struct, frozen=True, kw_only=True):
    """Nothing more is to come of the job."""

    job_id: str
    status: str
    version: int


class JobFailure(Struct, frozen=True, kw_only=True):
    """Where and why a job failed. Its credits are released. stage: empty outside of any."""

    stage: str
    code: str
    detail: str


class JobFile(Struct, frozen=True, kw_only=True):
    """What there is to know of a job. job: as its user sees it, without URLs.

    events: in its stream, which `/v1/admin/streams/{job_id}` shows; generation: of the jobs
    read model that the row is in; stuck: why the row cannot follow its events, then it shows
    what came before; charged: credits that completing takes, or took; report: of the last day.
    """

    job: Job
    user_id: str
    events: int
    charged: int
    generation: str
    stuck: str | None = None
    report: WorkerReport | None = None


class JobPage(Struct, frozen=True, kw_only=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Job]
    cursor: str | None = None


class JobProgress(Struct, frozen=True, kw_only=True):
    """What changes of an open job while its version does not; each as in ``Job``."""

    job_id: str
    version: int
    status: str
    attempt: int
    stage: str | None = None
    progress: float
    queue_position: int | None = None
    estimated_end_at: datetime | None = None


class JobWish(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """retry_of: an ended job that this one tries again.

    quote: what the user agreed to; the job is refused as price_changed if it costs another
    price by now.
    """

    asset_id: str
    model: str | UnsetType | None = UNSET
    stems: list[str] | UnsetType | None = UNSET
    format: str | UnsetType = UNSET
    prompt: str | UnsetType | None = UNSET
    bundle: bool | UnsetType = UNSET
    reuse: bool | UnsetType = UNSET
    retry_of: str | UnsetType | None = UNSET
    quote: AgreedQuote | UnsetType | None = UNSET


class Key(Struct, frozen=True, kw_only=True):
    """A key, without its secret. last_used_at: to the minute; null: not in living memory."""

    key_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class KeySet(Struct, frozen=True, kw_only=True):
    """keys: in the order in which they sign; the last may not sign yet."""

    keys: list[PublicKey]


class Keys(Struct, frozen=True, kw_only=True):
    """All keys that are good, the newest first."""

    items: list[Key]


class LaneNow(Struct, frozen=True, kw_only=True):
    """A lane. workers: that live and serve it; busy: of those, at work in it; queued, running:
    jobs; free_seconds: until a worker is free for one more job, None when none lives.
    """

    workers: int
    busy: int
    queued: int
    running: int
    free_seconds: float | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """Published limits; seconds of audio and bytes of one upload."""

    max_seconds: int = 10800
    max_bytes: int = 4294967296


class Line(Struct, frozen=True, kw_only=True):
    """One line of the statement. change: of what can be spent; balance: after it.

    kind: grant, reserve, capture, release, expire, revoke or settle (a debt).
    """

    version: int
    time: datetime
    kind: str
    change: int
    amount: int
    balance: int
    job_id: str | None = None
    grant_id: str | None = None
    purchase_id: str | None = None
    reason: str


class MadeKey(Struct, frozen=True, kw_only=True):
    """key: the key itself, told this once.

    A request that is sent again under its Idempotency-Key makes no second key. For a day it is
    answered as the first time; later nobody knows the text any more, and it is null.
    """

    key_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    key: str | None = None


class Me(Struct, frozen=True, kw_only=True):
    """The person that the token or API key speaks for.

    issuer: where the person signs in. admin: on the list of administrators, with a token that
    was asked for as one's. scopes: what the API key may do; null for a signed-in person, who
    may do everything.
    """

    user_id: str
    email: str
    issuer: str
    created_at: datetime
    admin: bool
    scopes: list[str] | None = None
    stream: str
    version: int


class MissingPart(Struct, frozen=True, kw_only=True):
    """A part to send: PUT ``size`` bytes to ``url``."""

    number: int
    size: int
    url: str


class NamedPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part as the client sent it. etag: as S3 answered the PUT, with or without quotes."""

    number: int
    etag: str


class NewEndpoint(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """types: of the messages that it is to get; none for all of them, also those to come."""

    url: str
    types: (
        list[
            Literal[
                "asset.ready",
                "asset.rejected",
                "job.queued",
                "job.started",
                "job.completed",
                "job.failed",
                "job.cancelled",
                "purchase.paid",
                "webhook.test",
            ]
        ]
        | UnsetType
    ) = UNSET


class NewKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """name: what you will know it by. expires_at: when it ends by itself; null: never."""

    name: str
    scopes: list[Literal["read", "write", "billing", "webhooks"]]
    expires_at: datetime | UnsetType | None = UNSET


class NewUpload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file to upload. size: bytes; content_type is kept, but the bytes decide."""

    filename: str
    size: int
    content_type: str | UnsetType = UNSET


class OfferedModel(Struct, frozen=True, kw_only=True):
    """One way of separating. outputs: what may be asked for: the stems, and for each
    ``no_<stem>``, the song without it. adds_up: whether the stems add up to the mix, because
    the last one takes the remainder.

    takes_prompt: needs words that name the target; prompts: the only ones that it understands,
    any where empty. hosted: runs at a provider, where the song is sent. gpu: meant for machines
    with one. version: of the weights; stems of another version are not given again.
    credits_per_second: a decimal as text ("1", "1.5"), exact, relative to the standard model's
    1. approximate: stems made by signal processing, without a trained network. paused: new jobs
    with it are refused for now; null while it is open.
    """

    name: str
    title: str
    stems: list[str]
    credits_per_second: str = "1"
    approximate: bool = False
    description: str = ""
    takes_prompt: bool = False
    adds_up: bool = True
    gpu: bool = False
    hosted: bool = False
    version: str = "1"
    prompts: list[str] = []
    outputs: list[str] = []
    paused: PausedBody | None = None


class OpenJobBody(Struct, frozen=True, kw_only=True):
    """waited_seconds: since it was requested; silent_seconds: since its last sign of life."""

    job_id: str
    user_id: str
    model: str
    status: str
    attempt: int
    waited_seconds: float
    silent_seconds: float


class OperationsBody(Struct, frozen=True, kw_only=True):
    """What to look at first. oldest: the open job that has waited longest.

    queues: about how many messages wait or are in work in each, by lane for separations;
    dead_letters: about how many died, of all lanes together; lanes: jobs and workers of each;
    stuck: open jobs that are silent for longer than a worker may be; failures: jobs requested
    today and yesterday (UTC) that failed, by code; paused: reasons by subject.
    """

    at: datetime
    queues: dict[str, int]
    dead_letters: dict[str, int]
    lanes: dict[str, LaneNow]
    queued: int
    running: int
    oldest: OpenJobBody | None = None
    stuck: list[OpenJobBody]
    failures: dict[str, int]
    paused: dict[str, str]
    read_models: ReadModels


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """pack: the name of one of ``/v1/packs``."""

    pack: str


class PackBody(Struct, frozen=True, kw_only=True):
    """credits at a price. amount: minor units of currency; price: the same for people.

    expires_days: how long the credits last; null: for ever.
    """

    name: str
    title: str
    credits: int
    amount: int
    currency: str
    price: str
    expires_days: int | None = None


class PackList(Struct, frozen=True, kw_only=True):
    """items: empty where nothing is sold."""

    items: list[PackBody]


class PartRule(Struct, frozen=True, kw_only=True):
    """How uploads are cut; each upload's answer names its own part_size.

    smallest: bytes of a part, whatever the file; largest, most_parts: at the size limit.
    """

    smallest: int
    largest: int
    most_parts: int
    urls_per_answer: int


class PauseWish(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """retry_seconds: when callers are told to come back."""

    reason: str
    subject: str
    retry_seconds: int | UnsetType = UNSET


class PausedBody(Struct, frozen=True, kw_only=True):
    """Shut by the operators for a while. retry_after: seconds until it is worth trying again."""

    reason: str
    retry_after: int


class PausedSubject(Struct, frozen=True, kw_only=True):
    """by: the user id, or how the command line calls the operator, who spoke last."""

    subject: str
    reason: str
    retry_seconds: int
    since: datetime
    by: str


class Problem(Struct, frozen=True, kw_only=True):
    """A problem document. type and code are stable; detail is for people.

    retryable: the same request may succeed later. Members beyond these belong to the code.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    instance: str
    retryable: bool
    errors: list[FieldError] | None = None


class ProjectorBody(Struct, frozen=True, kw_only=True):
    """alive: a pulse came through its queue lately; silent_seconds: since the last one did."""

    alive: bool
    silent_seconds: float | None = None
    processes: int
    backlog: int
    dead_letters: int


class ProviderBody(Struct, frozen=True, kw_only=True):
    """name: in the path; title: what a button says; login: the path to send the browser to."""

    name: str
    title: str
    login: str


class ProviderList(Struct, frozen=True, kw_only=True):
    """items: as configured; empty where nobody can sign in."""

    items: list[ProviderBody]


class PublicKey(Struct, frozen=True, kw_only=True):
    """An Ed25519 public key (RFC 8037, section 2). kid: its RFC 7638 thumbprint."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class Purchase(Struct, frozen=True, kw_only=True):
    """status: open (may be paid), pending (the money is on its way), paid or lapsed.

    amount: minor units of currency, as agreed; taken_back: of it, refunded or held back by the
    payer's bank; revoked: credits that went with it; contested: a bank holds money back now, or
    kept it; why: of one that lapsed, expired or payment_failed; in_question: Stripe told of a
    payment that is not what was agreed, and nothing was granted for that.
    """

    purchase_id: str
    status: str
    pack: str
    credits: int
    amount: int
    currency: str
    taken_back: int
    revoked: int
    contested: bool
    why: str
    in_question: bool
    opened_at: datetime
    paid_at: datetime | None = None
    updated_at: datetime
    stream: str
    version: int


class PurchasePage(Struct, frozen=True, kw_only=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Purchase]
    cursor: str | None = None


class Quality(Struct, frozen=True, kw_only=True):
    """What was measured of the whole; of each stem, see there.

    residual_db: the song minus the sum of its stems, in decibels relative to the song: the
    lower, the less was lost or added. Null for a silent song and where it was not measured.
    """

    residual_db: float | None = None


class QuoteAnswer(Struct, frozen=True, kw_only=True):
    """price, available: credits; seconds: of audio; enough: whether the job would be accepted.

    reused_from: the job whose stems would be given again, at no cost.
    """

    asset_id: str
    model: str
    stems: list[str]
    format: str
    prompt: str | None = None
    seconds: float
    price: int
    price_list: str
    available: int
    enough: bool
    reused_from: str | None = None


class ReadModel(Struct, frozen=True, kw_only=True):
    """version: of the code that runs; needs_rebuild: other code built the live generation.

    newest_commit_at: of the newest commit in its rows, age_seconds: since then, lag_seconds:
    from that commit to its row; null when no projector that lives has applied any. parked:
    streams that the live generation cannot follow. paused: why, while it is.
    """

    name: str
    version: int
    generation: int
    generations: list[GenerationNow]
    needs_rebuild: bool
    newest_commit_at: datetime | None = None
    age_seconds: float | None = None
    lag_seconds: float | None = None
    parked: int
    paused: str | None = None
    rebuild: RebuildBody | None = None


class ReadModels(Struct, frozen=True, kw_only=True):
    """Read models and what feeds them."""

    at: datetime
    projector: ProjectorBody
    items: list[ReadModel]


class Ready(Struct, frozen=True, kw_only=True):
    """All that had changed was told; from here on changes come as they happen. open: jobs that
    have not ended.
    """

    open: int


class RebuildBody(Struct, frozen=True, kw_only=True):
    """A rebuild under way. done: 0..1 of the events; silent_seconds: since its last sign of life.

    One that is silent for more than 15 seconds was stopped: the same command goes on with it.
    """

    owner: str
    generation: int
    done: float
    silent_seconds: float


class Received(Struct, frozen=True, kw_only=True):
    """Stripe need not send it again."""

    received: bool = True


class ReceivedPart(Struct, frozen=True, kw_only=True):
    """A part that S3 has."""

    number: int
    etag: str
    size: int


class Redrive(Struct, frozen=True, kw_only=True):
    """follows: whether every generation does."""

    projection: str
    stream: str
    follows: bool
    generations: list[Redriven]


class Redriven(Struct, frozen=True, kw_only=True):
    """follows: whether this generation has all of the stream now; error: why it still has not."""

    generation: int
    follows: bool
    error: str | None = None
    tries: int


class Rejection(Struct, frozen=True, kw_only=True):
    """One generation that cannot follow the stream, and where its code fails."""

    letter: DeadLetter
    traceback: str


class RequestedJobs(Struct, frozen=True, kw_only=True):
    """In the order in which they were asked for, which is that in which credits are reserved."""

    items: list[BatchedJob]


class ResumeWish(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to open again, and why."""

    reason: str
    subject: str


class Rollback(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """live: the generation that is live as you know it.

    With it, a request that is sent again is refused instead of rolling back once more.
    """

    reason: str
    live: int | UnsetType | None = UNSET


class Rotation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """overlap_hours: for how long messages are signed with the old secret too; 0: not at all."""

    overlap_hours: int | UnsetType = UNSET


class Session(Struct, frozen=True, kw_only=True):
    """An access token. expires_in: seconds; admin: whether ``/v1/admin`` takes it."""

    access_token: str
    token_type: str
    expires_in: int
    user_id: str
    admin: bool


class SignInAgain(Struct, frozen=True, kw_only=True):
    """Why the stream ends: the token does not hold any more. code, detail: as in a problem."""

    code: str
    detail: str


class Statement(Struct, frozen=True, kw_only=True):
    """Newest first. cursor: for the next page; null at the end."""

    items: list[Line]
    cursor: str | None = None


class Stem(Struct, frozen=True, kw_only=True):
    """A finished stem; ``no_<stem>`` is the song without that one.

    url: signed, takes Range requests; null in lists, like all URLs and the filename.
    preview_url: a small MP3 (96 kb/s). waveform_url: the outline for players, as the JSON that
    BBC audiowaveform writes: version 2, 8 bits, one channel, pairs of minimum and maximum from
    -128 to 127. Both are null where the stem has none. expires_at: of all its URLs. peak: the
    largest absolute sample before encoding and the common gain, 1 is full scale. seconds: as
    long as the song. samples: per channel, as decoding the file gives them; over_full_scale:
    samples that lay over full scale before the common gain; silence: the share of the song
    (0..1) in which it is below -60 dBFS; these three are null for jobs from before they were
    measured.
    """

    name: str
    filename: str | None = None
    bytes: int
    media_type: str
    peak: float
    seconds: float
    samples: int | None = None
    over_full_scale: int | None = None
    silence: float | None = None
    url: str | None = None
    preview_url: str | None = None
    waveform_url: str | None = None
    expires_at: datetime | None = None


class StreamHistory(Struct, frozen=True, kw_only=True):
    """A stream at a point in time. version: of its last event then.

    verified: whether the chain holds up to there; where it does not, events and state end
    before the break, which ``broken`` names. events: a page, oldest first. state: folded from
    all events up to ``version``, whatever the page; null where ``note`` says why. cursor: for
    the next page, of this very moment; null at the end.
    """

    stream: str
    version: int
    as_of: datetime | None = None
    began_at: datetime | None = None
    changed_at: datetime | None = None
    verified: bool
    broken: Break | None = None
    events: list[Told]
    cursor: str | None = None
    state: dict[str, Any] | None = None
    note: str | None = None


class Told(Struct, frozen=True, kw_only=True):
    """An event as it stands in its stream. data: its fields; sealed ones stay sealed.

    cmd, corr: of the command and the request behind it; hash: of its commit, in hex; origin: of
    an imported or restored commit; peers: streams that the same transaction wrote to.
    """

    version: int
    time: datetime
    type: str
    data: dict[str, Any]
    actor: str
    cmd: str
    corr: str
    hash: str
    origin: str | None = None
    peers: list[str]


class Upload(Struct, frozen=True, kw_only=True):
    """An upload session. status: uploading, uploaded, ready, rejected or aborted.

    missing: at most 500; GET the upload with ``after=next_after`` for the following ones.
    expires_at: when the URLs die; GET again for fresh ones.
    """

    asset_id: str
    status: str
    filename: str
    content_type: str
    size: int
    part_size: int
    part_count: int
    received: list[ReceivedPart]
    missing: list[MissingPart]
    next_after: int | None = None
    expires_at: datetime
    failure: Failure | None = None
    stream: str
    version: int


class UploadBatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Files to upload."""

    uploads: list[NewUpload]


class Usage(Struct, frozen=True, kw_only=True):
    """jobs: that were requested, by how they stand now; failures: failed ones by code.

    reused: completed jobs whose stems were given again at no cost. audio_seconds: of the other
    completed ones; credits: of completed jobs; what was given back does not count.
    """

    jobs: int
    completed: int
    reused: int
    failed: int
    cancelled: int
    open: int
    audio_seconds: float
    credits: int
    failures: dict[str, int]


class UsageReport(Struct, frozen=True, kw_only=True):
    """days: those with jobs, newest first; total: of all of them."""

    from_: date = field(name="from")
    to: date
    days: list[DayUsage]
    total: Usage


class UserUsage(Struct, frozen=True, kw_only=True):
    """One user's jobs of that day."""

    jobs: int
    completed: int
    reused: int
    failed: int
    cancelled: int
    open: int
    audio_seconds: float
    credits: int
    failures: dict[str, int]
    user_id: str


class WorkerReport(Struct, frozen=True, kw_only=True):
    """What a worker last said. done: 0..1 of the stage; it may be of an attempt that is over."""

    worker: str
    attempt: int
    stage: str
    done: float
    reported_at: datetime


class Zip(Struct, frozen=True, kw_only=True):
    """All stems in one file. url: signed, takes Range requests; null in lists."""

    filename: str | None = None
    bytes: int
    url: str | None = None
    expires_at: datetime | None = None

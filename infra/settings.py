"""Settings from the environment; one Struct, read once, wrong values named clearly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.errors import Invalid
from infra.stage import names

PREFIX = "SPLITSOUND_"
ADMIN_EMAILS = "ADMIN_EMAILS_CSV"
"""Read under this very name too; ``SPLITSOUND_ADMIN_EMAILS_CSV`` wins where both are set."""

LANE_QUEUES = {
    "short": "separation_queue",
    "long": "separation_long_queue",
    "gpu-short": "separation_gpu_queue",
    "gpu-long": "separation_gpu_long_queue",
}
"""The lanes of separations, each with the setting that names its queue. They share dead letters."""


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is read from ``SPLITSOUND_<FIELD>``; AWS's own variables stay AWS's.

    Table, bus, queue and bucket names are the template's outputs; on AWS ``SPLITSOUND_STAGE`` and
    ``SPLITSOUND_ACCOUNT`` give them all, see ``infra.stage``. keys: the directory of secrets on
    a laptop; on AWS they stand in keys_table, encrypted by the KMS key keys_key. metrics_token: the
    bearer token with which ``/metrics`` is scraped; without one only administrators read it.

    oidc_providers: JSON, who signs people in, see ``infra.identity.providers``; nobody when it is
    empty. public_url: where browsers reach this API, ``https://api.example.org``.
    sign_in_return_url: the page that a sign-in leads back to where it names none.
    session_idle_days: until a sign-in that is not used ends; session_longest_days: until any does.
    admin_emails_csv: who may sign in as an administrator, where the provider's word is taken for
    it; nobody when it is empty.

    presign_seconds: how long presigned URLs live. signer_role: the role that signs them, see
    ``infra.signing``; without one this process's own credentials do.

    stripe_api_key: without one nothing is sold. stripe_api_base: another address than Stripe's,
    for the stand-in and tests. stripe_webhook_secrets: of the endpoint, several by commas while
    they are rotated. credit_packs: what is sold, see ``domain.packs``. checkout_return_url: the
    page that the browser comes back to. audit_bucket: where digests are kept. digest_key: the KMS
    key that signs them; without one a key beside the others.

    models: a directory or ``s3://bucket/prefix`` with checkpoints and their ``models.json``.
    work_directory: where a worker keeps songs in progress and fetched checkpoints.
    replicate_api_token: without one no hosted model is offered. replicate_api_base: another
    address than Replicate's, for tests. replicate_models: JSON, which hosted models are offered,
    see ``infra.separators.replicate``. lanes: which queues a worker serves, by commas.
    cold_start_seconds: until a worker that is not there yet can begin, for estimates.
    metadata_url: of the instance that the worker runs on, asked for notices of interruption;
    empty where there is none. metrics_port: where a worker shows its metrics; 0 for none.
    metrics_host: the address that it listens on there, this machine's own unless told.
    webhook_private_networks: CIDRs, by commas, that webhooks may be sent to although they are not
    of the public internet, and without TLS too; none unless told.

    retention_days_originals, retention_days_stems: how long uploads and results are kept, from when
    they come to be; 0 keeps them until they are deleted. retention_days_deleted: how long what was
    deleted can be had back. erasure_settle_seconds: from when somebody asks to be forgotten until
    what was under way then is over for certain and the media go.

    rate_limits: requests that one user (of auth and anonymous: one address) may send, by kind:
    ``name=requests/seconds`` by commas; a kind that is left out has no limit. trusted_proxies:
    addresses or networks, by commas, whose X-Forwarded-For is believed; none unless told.

    Of event streams: sse_poll_seconds between looks at the rows while somebody listens;
    sse_ping_seconds between signs of life; sse_longest_seconds until a client has to come back, a
    tenth more or less; sse_stall_seconds until a client that reads nothing is cut off;
    sse_per_user: streams of one user at one process.
    """

    events_table: str
    read_models_table: str
    operations_table: str
    event_bus: str
    separation_queue: str
    separation_long_queue: str
    separation_gpu_queue: str
    separation_gpu_long_queue: str
    separation_dlq: str
    probe_queue: str
    probe_dlq: str
    projections_queue: str
    projections_dlq: str
    webhooks_queue: str
    webhooks_dlq: str
    janitor_queue: str
    janitor_dlq: str
    media_bucket: str
    stage: str = ""
    keys: Path | None = None
    keys_table: str = ""
    keys_key: str = ""
    audit_bucket: str = ""
    journal: Path | None = None
    oidc_providers: str = ""
    public_url: str = ""
    sign_in_return_url: str = ""
    session_idle_days: int = 30
    session_longest_days: int = 180
    admin_emails_csv: str = ""
    metrics_token: str = ""
    issuer: str = "splitsound"
    audience: str = "splitsound-api"
    access_token_seconds: int = 900
    presign_seconds: int = 3600
    signer_role: str = ""
    allowed_origins: str = "*"
    signup_grant: int = 600
    stripe_api_key: str = ""
    stripe_api_base: str = ""
    stripe_webhook_secrets: str = ""
    credit_packs: str = ""
    checkout_return_url: str = ""
    digest_key: str = ""
    webhook_private_networks: str = ""
    retention_days_originals: int = 0
    retention_days_stems: int = 0
    retention_days_deleted: int = 30
    erasure_settle_seconds: int = 30
    max_seconds: int = 3 * 3600
    max_bytes: int = 4 * 1024**3
    visibility_seconds: int = 60
    stale_seconds: int = 20
    sweep_seconds: int = 60
    pulse_seconds: int = 10
    drain_seconds: int = 100
    poll_seconds: int = 5
    work_directory: Path | None = None
    models: str = ""
    replicate_api_token: str = ""
    replicate_api_base: str = ""
    replicate_models: str = ""
    lanes: str = "probe,short,long,gpu-short,gpu-long"
    cold_start_seconds: int = 180
    metadata_url: str = ""
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    log_level: str = "info"
    rate_limits: str = "reads=1200/60,writes=300/60,uploads=300/60,auth=120/60,anonymous=1200/60"
    trusted_proxies: str = ""
    sse_poll_seconds: float = 1.0
    sse_ping_seconds: float = 15.0
    sse_longest_seconds: float = 900.0
    sse_stall_seconds: float = 30.0
    sse_per_user: int = 32


def served(settings: Settings) -> tuple[str, ...]:
    """What ``lanes`` names: lanes of separations, and ``probe``. Raises Invalid."""
    named = tuple(dict.fromkeys(n.strip() for n in settings.lanes.split(",") if n.strip()))
    known = ("probe", *LANE_QUEUES)
    wrong = [name for name in named if name not in known]
    if wrong or not named:
        said = f"has no lane {', '.join(wrong)}" if wrong else "names no lane"
        raise Invalid(f"{PREFIX}LANES {said}; name some of {', '.join(known)}, by commas.")
    return named


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises Invalid naming each variable that is missing or malformed."""
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    given.setdefault("admin_emails_csv", environment.get(ADMIN_EMAILS, ""))
    given = _of_stage(given, environment) | given
    missing = [
        PREFIX + f.name.upper()
        for f in msgspec.structs.fields(Settings)
        if f.required and f.name not in given
    ]
    if missing:
        raise Invalid(
            f"Set {', '.join(missing)} (`splitsound up` does it for the local stack; on AWS "
            f"{PREFIX}STAGE, {PREFIX}ACCOUNT and AWS_REGION name them all)."
        )
    try:
        return msgspec.convert(given, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise Invalid(f"A {PREFIX}* variable is malformed: {error}.") from error


def _of_stage(given: dict[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The names of a stage's parts on AWS, where the variables say which stage it is."""
    stage, account = given.get("stage", ""), given.get("account", "")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
    if not stage:
        return {}
    if not account or not region:
        raise Invalid(f"With {PREFIX}STAGE set {PREFIX}ACCOUNT and AWS_REGION, too.")
    return names(stage, account, region)


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables that give these settings back."""
    values = msgspec.structs.asdict(settings)
    return {PREFIX + k.upper(): str(v) for k, v in values.items() if v is not None}


def _path(expected: type, value: object) -> object:
    if expected is Path:
        return Path(str(value))
    raise NotImplementedError(expected)

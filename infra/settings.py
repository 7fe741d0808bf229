"""Settings from the environment; one Struct, read once, every mistake told at once.

Each field says what it is and of which kind (``infra.kinds``), and ``splitsound settings`` prints
them as a table.
"""

# Not postponed: msgspec would compile every annotation anew, which took 10 ms of every start.

import logging
import os
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Struct

from domain.errors import Invalid
from infra import kinds
from infra.kinds import Kind, Name, Secret, Text, Wrong, seconds, whole
from infra.stage import names

PREFIX = "SPLITSOUND_"
ADMIN_EMAILS = "ADMIN_EMAILS_CSV"
"""Read under this very name too; ``SPLITSOUND_ADMIN_EMAILS_CSV`` wins where both are set."""

# Names that are less alike than this are not one name mistyped.
_ALIKE = 0.8
_log = logging.getLogger("splitsound.settings")


class Settings(Struct, frozen=True, kw_only=True):
    """Each field is read from ``SPLITSOUND_<FIELD>``; AWS's own variables stay AWS's.

    Table, bus, queue and bucket names are the template's outputs; on AWS ``SPLITSOUND_STAGE`` and
    ``SPLITSOUND_ACCOUNT`` give them all, see ``infra.stage``.
    """

    stage: Annotated[kinds.Stage, "the stage on AWS, which names all parts below"] = ""
    events_table: Annotated[Name, "table of events"]
    read_models_table: Annotated[Name, "table of the read models' rows"]
    operations_table: Annotated[Name, "table of what is neither fact nor view"]
    event_bus: Annotated[Name, "bus that carries doorbells"]
    separation_queue: Annotated[Name, "URL of the queue of short songs"]
    separation_long_queue: Annotated[Name, "URL of the queue of long ones"]
    separation_gpu_queue: Annotated[Name, "URL of the queue of short ones for a GPU"]
    separation_gpu_long_queue: Annotated[Name, "URL of the queue of long ones for a GPU"]
    separation_dlq: Annotated[Name, "URL of the queue of dead letters of these four"]
    probe_queue: Annotated[Name, "URL of the queue of uploads to look into"]
    probe_dlq: Annotated[Name, "URL of the queue of its dead letters"]
    projections_queue: Annotated[Name, "URL of the queue of events for read models"]
    projections_dlq: Annotated[Name, "URL of the queue of its dead letters"]
    webhooks_queue: Annotated[Name, "URL of the queue of events for webhooks"]
    webhooks_dlq: Annotated[Name, "URL of the queue of its dead letters"]
    janitor_queue: Annotated[Name, "URL of the queue of what is to be removed"]
    janitor_dlq: Annotated[Name, "URL of the queue of its dead letters"]
    media_bucket: Annotated[Name, "bucket of songs and stems"]
    audit_bucket: Annotated[Text, "bucket where digests are kept"] = ""
    digest_key: Annotated[Text, "KMS key that signs digests; without one a key beside the rest"] = (
        ""
    )
    keys: Annotated[kinds.Directory, "directory of secrets on a laptop"] = None
    keys_table: Annotated[Text, "table of secrets on AWS"] = ""
    keys_key: Annotated[Text, "KMS key that encrypts them"] = ""
    journal: Annotated[kinds.Directory, "directory of the local stack's journal"] = None

    oidc_providers: Annotated[
        kinds.Providers, "who signs people in (README, Signing in); nobody when it is empty"
    ] = ""
    public_url: Annotated[kinds.Base, "where browsers reach this API"] = ""
    sign_in_return_url: Annotated[
        kinds.Page, "page that a sign-in leads back to where it names none"
    ] = ""
    session_idle_days: Annotated[int, whole(1, 3650), "days until an unused sign-in ends"] = 30
    session_longest_days: Annotated[int, whole(1, 3650), "days until any sign-in ends"] = 180
    admin_emails_csv: Annotated[
        kinds.Addresses, "who may sign in as administrator; ADMIN_EMAILS_CSV is read too"
    ] = ""
    issuer: Annotated[Name, "issuer of access tokens"] = "splitsound"
    audience: Annotated[Name, "audience of access tokens"] = "splitsound-api"
    access_token_seconds: Annotated[int, whole(1, 86_400), "how long access tokens live"] = 900

    allowed_origins: Annotated[
        kinds.Origins, "whose pages may call the API; * allows reading, never the cookie"
    ] = "*"
    trusted_proxies: Annotated[kinds.Proxies, "whose X-Forwarded-For is believed"] = ""
    rate_limits: Annotated[
        kinds.Rates, "requests per user or address, by kind; a kind left out has no limit"
    ] = "reads=1200/60,writes=300/60,uploads=300/60,auth=120/60,anonymous=1200/60"
    log_level: Annotated[kinds.Level, "from where on logs tell"] = "info"
    metrics_token: Annotated[Secret, "bearer token for /metrics, beside administrators"] = ""

    signup_grant: Annotated[int, whole(0), "credits that a new user gets"] = 600
    stripe_api_key: Annotated[Secret, "Stripe's; without one nothing is sold"] = ""
    stripe_api_base: Annotated[kinds.Page, "another address than Stripe's"] = ""
    stripe_webhook_secrets: Annotated[Secret, "of the endpoint; two by a comma in a rotation"] = ""
    credit_packs: Annotated[kinds.Packs, "what is sold (README, Buying credits)"] = ""
    checkout_return_url: Annotated[kinds.Page, "page that a browser comes back to"] = ""

    max_seconds: Annotated[int, whole(1), "longest song, in seconds"] = 3 * 3600
    max_bytes: Annotated[int, whole(1), "largest upload, in bytes"] = 4 * 1024**3
    presign_seconds: Annotated[int, whole(1, 604_800), "how long presigned URLs live"] = 3600
    signer_role: Annotated[kinds.Role, "role that signs them; else this process's own"] = ""
    retention_days_originals: Annotated[
        int, whole(0, 36_500), "days that uploads are kept; 0: for ever"
    ] = 0
    retention_days_stems: Annotated[
        int, whole(0, 36_500), "days that results are kept; 0: for ever"
    ] = 0
    retention_days_deleted: Annotated[
        int, whole(0, 36_500), "days in which what was deleted can be had back"
    ] = 30
    erasure_settle_seconds: Annotated[
        int, whole(0, 86_400), "from a wish to be forgotten until what ran is over for certain"
    ] = 30

    models: Annotated[kinds.Store, "your own checkpoints and their models.json"] = ""
    replicate_api_token: Annotated[Secret, "Replicate's; without one no model is hosted"] = ""
    replicate_api_base: Annotated[kinds.Page, "another address than Replicate's"] = ""
    replicate_models: Annotated[kinds.Hosted, "which hosted models are offered"] = ""

    lanes: Annotated[kinds.Lanes, "queues that a worker serves"] = ",".join(kinds.LANES)
    work_directory: Annotated[kinds.Directory, "songs in progress, fetched checkpoints"] = None
    visibility_seconds: Annotated[
        int, whole(1, 43_200), "seconds that a message is a worker's, until renewed"
    ] = 60
    stale_seconds: Annotated[int, whole(1), "seconds of silence until a worker is dead"] = 20
    sweep_seconds: Annotated[int, whole(1), "seconds between the sweeper's rounds"] = 60
    pulse_seconds: Annotated[int, whole(1), "seconds between signs of life"] = 10
    drain_seconds: Annotated[int, whole(0), "seconds from SIGTERM until work is handed on"] = 100
    poll_seconds: Annotated[int, whole(0, 20), "seconds that one look at a queue waits"] = 5
    cold_start_seconds: Annotated[int, whole(0), "seconds that estimates add without a worker"] = (
        180
    )
    metadata_url: Annotated[kinds.Page, "EC2's, asked for notices of interruption"] = ""
    metrics_port: Annotated[int, whole(0, 65_535), "where a worker shows metrics; 0: nowhere"] = 0
    metrics_host: Annotated[Name, "address that it listens on there"] = "127.0.0.1"

    webhook_private_networks: Annotated[
        kinds.Networks, "not the internet's, yet webhooks may go there, without TLS too"
    ] = ""
    sse_poll_seconds: Annotated[float, seconds(), "between looks while somebody listens"] = 1.0
    sse_ping_seconds: Annotated[float, seconds(), "between signs of life to listeners"] = 15.0
    sse_longest_seconds: Annotated[float, seconds(), "until a listener has to come back"] = 900.0
    sse_stall_seconds: Annotated[float, seconds(), "until one who reads nothing is cut off"] = 30.0
    sse_per_user: Annotated[int, whole(1), "streams of one user at one process"] = 32


class Beside(Struct, frozen=True, kw_only=True):
    """What is read elsewhere, under names like those of Settings."""

    account: Annotated[kinds.Account, "AWS account of SPLITSOUND_STAGE"] = ""
    api_host: Annotated[Name, "address that the API listens on"] = "127.0.0.1"
    api_port: Annotated[int, whole(0, 65_535), "port of the API"] = 8000
    ffmpeg: Annotated[Text, "another ffmpeg than the system's or the bundled one"] = ""
    data: Annotated[Text, "the local stack's directory, for the command line"] = ".splitsound"
    api: Annotated[Text, "address of the API, for the command line"] = ""
    email: Annotated[Text, "whom the command line signs in as"] = "you@example.com"
    api_key: Annotated[Secret, "key that the command line acts with"] = ""
    events_stream_arn: Annotated[Text, "an output of the template; nobody reads it"] = ""


GROUPS = {
    "stage": "Parts of the stage",
    "oidc_providers": "Signing in",
    "allowed_origins": "The API",
    "signup_grant": "Credits and payments",
    "max_seconds": "Songs and stems",
    "models": "Models",
    "lanes": "Workers",
    "webhook_private_networks": "Webhooks and event streams",
    "account": "Read elsewhere",
}
"""What the settings are about, each group by its first field."""


class Setting(Struct, frozen=True):
    """One variable, as the table shows it. default: None where it has to be set."""

    name: str
    variable: str
    group: str
    what: str
    allowed: str
    default: Any
    secret: bool


def table() -> list[Setting]:
    """Every variable, in the order of the Structs."""
    rows, group = [], ""
    for struct in (Settings, Beside):
        for field in msgspec.structs.fields(struct):
            group = GROUPS.get(field.name, group)
            kind, what = _told(field)
            default = None if field.required else "" if field.default is None else field.default
            variable = PREFIX + field.name.upper()
            rows.append(
                Setting(field.name, variable, group, what, kind.allowed, default, kind.secret)
            )
    return rows


def _told(field: msgspec.structs.FieldInfo) -> tuple[Kind, str]:
    kind, what = field.type.__metadata__
    return kind, what


def served(settings: Settings) -> tuple[str, ...]:
    """What ``lanes`` names: lanes of separations, and ``probe``. Raises Invalid."""
    try:
        return kinds.lanes(settings.lanes)
    except Wrong as wrong:
        raise Invalid(f"{PREFIX}LANES {wrong}") from wrong


class Reading(Struct, frozen=True):
    """values: of the fields that are right. mistakes: a sentence for each; missing: what has to be
    set besides. unknown: variables that nothing here reads and that look like none of ours.
    """

    values: dict[str, Any]
    mistakes: list[str]
    missing: list[str]
    unknown: list[str]


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises Invalid that tells every mistake, one a line."""
    found = read(environment)
    if wrong := found.mistakes + found.missing:
        many = f"{len(wrong)} settings are wrong:\n" if len(wrong) > 1 else ""
        raise Invalid(many + "\n".join(wrong))
    for variable in found.unknown:
        _log.warning("%s is no setting of this version.", variable)
    return Settings(**{n: v for n, v in found.values.items() if n in Settings.__struct_fields__})


def read(environment: Mapping[str, str]) -> Reading:
    """What the variables say, right or wrong."""
    given = _given(environment)
    derived, lacking = _of_stage(given, environment)
    values: dict[str, Any] = {}
    mistyped, unknown = _strangers(given)
    wrong = [f"{variable} is no setting; did you mean {ours}?" for variable, ours in mistyped]
    for name, text in (derived | given).items():
        if name in _FIELDS:
            try:
                values[name] = _told(_FIELDS[name])[0].value(text)
            except Wrong as error:
                wrong.append(f"{PREFIX}{name.upper()} {error}")
            except Invalid as error:
                wrong.append(_malformed(PREFIX + name.upper(), error.detail))
    return Reading(values, wrong, lacking or _missing(derived | given), unknown)


def to_environment(settings: Settings) -> dict[str, str]:
    """The variables that give these settings back."""
    values = msgspec.structs.asdict(settings)
    return {PREFIX + k.upper(): str(v) for k, v in values.items() if v is not None}


_FIELDS = {f.name: f for struct in (Settings, Beside) for f in msgspec.structs.fields(struct)}


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    given.setdefault("admin_emails_csv", environment.get(ADMIN_EMAILS, ""))
    return given


def _malformed(variable: str, detail: str) -> str:
    # Some words that come from elsewhere begin with the name.
    return detail if detail.startswith(variable) else f"{variable} is malformed: {detail}"


def _strangers(given: Mapping[str, str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Variables that nothing reads: those mistyped, each with what was meant, and the others.

    Nobody would notice that a mistyped one does nothing; others may be there for somebody else.
    """
    mistyped, others = [], []
    for name in given:
        if name in _FIELDS:
            continue
        from difflib import get_close_matches  # which nobody needs whose settings are right

        alike = get_close_matches(name, _FIELDS, 1, _ALIKE)
        if alike:
            mistyped.append((PREFIX + name.upper(), PREFIX + alike[0].upper()))
        else:
            others.append(PREFIX + name.upper())
    return mistyped, others


def _missing(given: Mapping[str, str]) -> list[str]:
    missing = [
        PREFIX + f.name.upper() for f in _FIELDS.values() if f.required and f.name not in given
    ]
    if not missing:
        return []
    return [
        f"Set {', '.join(missing)} (`splitsound up` does it for the local stack; on AWS "
        f"{PREFIX}STAGE, {PREFIX}ACCOUNT and AWS_REGION name them all)."
    ]


def _of_stage(
    given: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The names of a stage's parts on AWS, where the variables say which stage it is; or what they
    lack to say so.
    """
    stage, account = given.get("stage", ""), given.get("account", "")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
    if not stage:
        return {}, []
    if not account or not region:
        return {}, [f"With {PREFIX}STAGE set {PREFIX}ACCOUNT and AWS_REGION, too."]
    return names(stage, account, region), []

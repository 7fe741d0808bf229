"""What the API answers, as far as the command line reads it; unknown members are ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct


class Session(Struct):
    """expires_in: seconds."""

    access_token: str
    expires_in: int
    user_id: str


class ReceivedPart(Struct):
    """A part that storage already has."""

    number: int
    etag: str
    size: int


class MissingPart(Struct):
    """A part to send: ``size`` bytes by PUT to ``url``."""

    number: int
    size: int
    url: str


class Upload(Struct):
    """An upload session; at most 500 missing parts per answer."""

    asset_id: str
    status: str = "uploading"
    part_size: int = 0
    part_count: int = 0
    received: list[ReceivedPart] = []
    missing: list[MissingPart] = []
    failure: Failure | None = None


class AudioFacts(Struct):
    """What the probe measured."""

    samples: int
    rate: int
    channels: int
    seconds: float


class Failure(Struct):
    """Why an asset or a job ended badly."""

    code: str
    detail: str = ""
    stage: str = ""


class Offered(Struct):
    """A model or a format that may be asked for. Of a model: its stems; outputs: what may be named;
    takes_prompt: needs one; prompts: the only ones that it understands, any where empty.
    """

    name: str
    stems: list[str] = []
    outputs: list[str] = []
    takes_prompt: bool = False
    prompts: list[str] = []


class Capabilities(Struct):
    """What this API offers."""

    models: list[Offered]
    default_model: str
    formats: list[Offered]


class Asset(Struct):
    """status: uploading, uploaded, ready, rejected or aborted."""

    asset_id: str
    status: str
    audio: AudioFacts | None = None
    failure: Failure | None = None


class Quote(Struct):
    """seconds of audio; price and available in credits. reused_from: stems that exist, free."""

    seconds: float
    price: int
    available: int
    model: str = ""
    reused_from: str | None = None


class Stage(Struct):
    """A finished stage of one attempt."""

    attempt: int
    stage: str
    seconds: float
    tries: int = 1


class StemLink(Struct):
    """A finished stem and where to fetch it; what was measured of it, None where it was not.

    over_full_scale: samples before the common gain; silence: share of the song, 0..1.
    """

    name: str
    url: str
    filename: str
    bytes: int
    media_type: str = ""
    over_full_scale: int | None = None
    silence: float | None = None


class ZipLink(Struct):
    """All stems in one file."""

    url: str
    filename: str
    bytes: int


class Quality(Struct):
    """residual_db: the song minus the sum of its stems, relative to the song."""

    residual_db: float | None = None


class Job(Struct):
    """status: queued, running, completed, failed or cancelled; progress: 0..1 of all stages.

    queue_position: 1 is next; estimated_end_at: of an open job, while something can be said.
    """

    job_id: str
    status: str
    stage: str | None = None
    progress: float | None = None
    queue_position: int | None = None
    estimated_end_at: datetime | None = None
    attempt: int = 0
    stages: list[Stage] = []
    stems: list[StemLink] = []
    zip: ZipLink | None = None
    gain_db: float | None = None
    quality: Quality | None = None
    failure: Failure | None = None
    price: int | None = None
    model: str | None = None
    prompt: str | None = None
    format: str | None = None
    reused_from: str | None = None
    requested_at: Any = None
    started_at: Any = None
    ended_at: Any = None

    @property
    def files(self) -> list[StemLink]:
        """All that there is to fetch: the stems, then the zip."""
        if self.zip is None:
            return self.stems
        return [*self.stems, StemLink("zip", self.zip.url, self.zip.filename, self.zip.bytes)]


class Pack(Struct):
    """So many credits for a price; expires_days: None for ever."""

    name: str
    title: str
    credits: int
    price: str
    expires_days: int | None = None


class PackList(Struct):
    """What is sold."""

    items: list[Pack]


class Balance(Struct):
    """An account, in credits."""

    available: int
    reserved: int
    debt: int = 0


class Checkout(Struct):
    """A purchase that can be paid at ``url``, while there is one."""

    purchase_id: str
    url: str | None = None
    expires_at: str | None = None


class Purchase(Struct):
    """status: open, pending, paid or lapsed (why: expired, payment_failed)."""

    purchase_id: str
    status: str
    credits: int
    why: str = ""
    in_question: bool = False

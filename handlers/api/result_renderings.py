"""What a finished job gives, as the API shows it: stems, their companions, the zip, the quality."""

from __future__ import annotations

from msgspec import Struct

from domain import filenames
from domain.audio import FORMATS
from domain.job import COMPLETED
from domain.retention import days_left, earliest, over
from domain.stems import StoredStem, preview_key, waveform_key
from handlers.api.names import name_of
from handlers.api.renderings import Moment, moment
from handlers.api.service import Service
from projections import LIBRARY_VIEW
from projections.jobs import JobView
from projections.library import AssetView
from projections.query import Versioned, at_least


class Stem(Struct, frozen=True, kw_only=True):
    """A finished stem; ``no_<stem>`` is the song without that one.

    url: signed, takes Range requests; null in lists, like all URLs and the filename. preview_url: a
    small MP3 (96 kb/s). waveform_url: the outline for players, as the JSON that BBC audiowaveform
    writes: version 2, 8 bits, one channel, pairs of minimum and maximum from -128 to 127. Both are
    null where the stem has none. expires_at: of all its URLs. peak: the largest absolute sample
    before encoding and the common gain, 1 is full scale. seconds: as long as the song. samples: per
    channel, as decoding the file gives them; over_full_scale: samples that lay over full scale
    before the common gain; silence: the share of the song (0..1) in which it is below -60 dBFS;
    these three are null for jobs from before they were measured.
    """

    name: str
    filename: str | None
    bytes: int
    media_type: str
    peak: float
    seconds: float
    samples: int | None
    over_full_scale: int | None
    silence: float | None
    url: str | None
    preview_url: str | None
    waveform_url: str | None
    expires_at: Moment | None


class Zip(Struct, frozen=True, kw_only=True):
    """All stems in one file. url: signed, takes Range requests; null in lists."""

    filename: str | None
    bytes: int
    url: str | None
    expires_at: Moment | None


class Quality(Struct, frozen=True, kw_only=True):
    """What was measured of the whole; of each stem, see there.

    residual_db: the song minus the sum of its stems, in decibels relative to the song: the lower,
    the less was lost or added. Null for a silent song and where it was not measured.
    """

    residual_db: float | None


class Links:
    """Signs URLs of one job's files, all for the same time, under the names that people see."""

    def __init__(
        self, service: Service, view: JobView, source: Versioned[AssetView] | None
    ) -> None:
        self._title = name_of(service, source.stream, source.view) if source else view.asset_id
        self._objects = service.objects
        now = service.application.clock.now()
        self.expires = moment(now + 1000 * self._objects.presign_seconds)

    def name(self, what: str, extension: str) -> str:
        """``Song - vocals.flac``."""
        return filenames.of_stem(self._title, what, extension)

    def url(self, key: str, what: str, extension: str, media_type: str) -> str:
        """A URL of that key, which downloads under ``name``."""
        return self._objects.presign_get(key, self.name(what, extension), media_type)


def links_of(service: Service, view: JobView) -> Links | None:
    """Links where there is something to link to: nothing of what is deleted or over its date."""
    now = service.application.clock.now()
    if not view.stems or view.purged or view.deleted_until or over(view.expires, now):
        return None
    source = _source(service, view)
    if source is not None and source.view.deleted_until:
        return None
    return Links(service, view, source)


def state_of_source(service: Service, view: JobView) -> tuple[int, int | None]:
    """What else decides over the links: the upload's version, and the days that are left."""
    left = days_left(earliest(view.expires, view.deleted_until), service.application.clock.now())
    source = _source(service, view) if view.stems else None
    return (source.version if source else 0, left)


def _source(service: Service, view: JobView) -> Versioned[AssetView] | None:
    stream = f"asset-{view.asset_id}"
    least = service.acknowledged.least(stream)
    return at_least(LIBRARY_VIEW, stream, service.application.reading, least)


def stems(view: JobView, links: Links | None) -> list[Stem]:
    """A completed job's stems. links: None leaves all URLs out."""
    return [_stem(view, stem, links) for stem in view.stems]


def _stem(view: JobView, stem: StoredStem, links: Links | None) -> Stem:
    # An older job's stems have nothing but a file; no song has no samples.
    measured = bool(stem.samples)
    name, extension = stem.name, FORMATS[view.format].extension
    preview, waveform = _companions(stem, links) if links and stem.preview_bytes else (None, None)
    return Stem(
        name=name,
        filename=links.name(name, extension) if links else None,
        bytes=stem.bytes,
        media_type=stem.media_type,
        peak=stem.peak,
        seconds=round(view.seconds, 3),
        samples=stem.samples if measured else None,
        over_full_scale=stem.over if measured else None,
        silence=stem.silence if measured else None,
        url=links.url(stem.key, name, extension, stem.media_type) if links else None,
        preview_url=preview,
        waveform_url=waveform,
        expires_at=links.expires if links else None,
    )


def _companions(stem: StoredStem, links: Links) -> tuple[str, str]:
    preview, waveform = preview_key(stem.key), waveform_key(stem.key)
    return (
        links.url(preview, f"{stem.name} preview", "mp3", "audio/mpeg"),
        links.url(waveform, f"{stem.name} waveform", "json", "application/json"),
    )


def bundle(view: JobView, links: Links | None) -> Zip | None:
    """The zip of all stems, once it is there."""
    if view.zip is None:
        return None
    file = view.zip
    return Zip(
        filename=links.name("stems", "zip") if links else None,
        bytes=file.bytes,
        url=links.url(file.key, "stems", "zip", file.media_type) if links else None,
        expires_at=links.expires if links else None,
    )


def quality(view: JobView) -> Quality | None:
    """Null until the job has completed."""
    return Quality(residual_db=view.residual_db) if view.status == COMPLETED else None

"""A song's way through the API: upload, probe, quote, job, stems. `demo` and `separate` take it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.catalog import Catalog, Limits, Model
from domain.errors import AssetUnusable
from handlers.cli import download, folders, quality, terminal, upload
from handlers.cli.outcome import BadInput, Ended
from handlers.cli.tables import GLUE
from handlers.cli.terminal import Display
from handlers.cli.words import counted, named
from handlers.client import downloads
from handlers.client.bodies import Asset, AudioFacts, Capabilities, Job, JobBody, JobWish
from handlers.client.client import Client
from handlers.client.uploads import File

_POLL_SECONDS = 0.4
_INSTANT = 0.001
_BIG = 64 * 1024 * 1024
_ENDED = ("completed", "failed", "cancelled")
_SOURCE_MISSING = "source_missing"


class Wish(Struct, frozen=True, omit_defaults=True):
    """What to make of the song; what is left out is the API's default."""

    model: str | None = None
    stems: tuple[str, ...] = ()
    format: str | None = None
    prompt: str | None = None
    bundle: bool = False
    reuse: bool = True


class Trip(Struct):
    """Where a song has got to, so that an interruption can say how to go on.

    lost: earlier uploads of the song whose file is gone from storage.
    """

    song: File
    asset_id: str = ""
    job_id: str = ""
    lost: set[str] = set()


def check(api: Client, wish: Wish) -> None:
    """Raises Invalid for a wish that this API cannot grant, before anything is sent."""
    if Wish(bundle=wish.bundle, reuse=wish.reuse) == wish:
        return
    offer = api.get_capabilities()
    outputs = {each.name: each.outputs or each.stems for each in offer.models}
    if wish.model and wish.model not in outputs:
        raise BadInput(f"There is no model {wish.model!r}; there are: {_names(outputs)}.")
    formats = [each.name for each in offer.formats]
    if wish.format and wish.format not in formats:
        raise BadInput(f"There is no format {wish.format!r}; there are: {_names(formats)}.")
    model = _catalog(offer).choose(wish.model, wish.prompt).name
    for stem in wish.stems:
        if stem not in outputs[model]:
            others = [f"--model {name}" for name in outputs if stem in outputs[name]]
            where = f"{' and '.join(others)} has it" if others else "no model has it"
            made = ", ".join(outputs[model])
            raise BadInput(f"The model {model} makes no stem {stem!r} but {made}; {where}.")


def _catalog(offer: Capabilities) -> Catalog:
    """The API's own rules about models and prompts, on what it offers."""
    models = {
        each.name: Model(
            each.name, each.name, tuple(each.stems),
            takes_prompt=each.takes_prompt, prompts=tuple(each.prompts),
        )
        for each in offer.models
    }  # fmt: skip
    return Catalog(models, offer.default_model, Limits(), "")


def _names(offered: Iterable[str]) -> str:
    return ", ".join(offered)


def bring(api: Client, trip: Trip, display: Display) -> AudioFacts:
    """Upload the song, unless it is there, and wait until it is probed. Raises AssetUnusable."""
    song = trip.song
    session = upload.open_session(api, song, trip.lost)
    trip.asset_id = session.asset_id
    if session.status == "uploading":
        had = len(session.received)
        began = time.monotonic()
        with display.bar("Upload", song.size, of_bytes=True) as bar:
            upload.send(api, song, session, bar.to)
        took = terminal.duration(time.monotonic() - began)
        parts = counted(session.part_count, "part")
        kept = f", {had} of them there already" if had else ""
        display.fact("Uploaded", f"{terminal.size(song.size)} in {parts}{kept}, {took}")
    else:
        display.fact("Uploaded", f"{terminal.size(song.size)}, already there")
    return _probed(api, trip.asset_id, song, display)


def read(path: Path, display: Display) -> File:
    """Hash the song; a large one shows how far that is."""
    size = upload.check_path(path)
    if size < _BIG:
        return upload.read_song(path)
    with display.bar("Reading", size, of_bytes=True) as bar:
        return upload.read_song(path, bar.to)


def _probed(api: Client, asset_id: str, song: File, display: Display) -> AudioFacts:
    with display.waiting("Probe", "measuring the audio"):
        while (asset := api.get_asset(asset_id)).status in ("uploading", "uploaded"):
            time.sleep(_POLL_SECONDS)
    if asset.audio is None:
        raise AssetUnusable(_refusal(song, asset), **_failure_of(asset))
    display.fact("Audio", _audio(asset.audio))
    return asset.audio


def _refusal(song: File, asset: Asset) -> str:
    reason = asset.failure.detail if asset.failure else f"the upload is {asset.status}"
    return f"{named(song.name)} was refused: {reason}"


def _failure_of(asset: Asset) -> dict[str, str]:
    return {"reason": asset.failure.code} if asset.failure else {}


def _audio(audio: AudioFacts) -> str:
    channels = {1: "mono", 2: "stereo"}.get(audio.channels, f"{audio.channels} channels")
    brief = audio.seconds < _INSTANT
    length = counted(audio.samples, "sample") if brief else terminal.duration(audio.seconds)
    return f"{length}, {audio.rate / 1000:g}{GLUE}kHz {channels}"


def request(api: Client, trip: Trip, wish: Wish, display: Display) -> Job:
    """Show the price and ask for the separation. The same wish again finds the same job.

    A job that failed or was cancelled is followed by a new one, under the next key; where it
    failed because storage has lost the song, the song is uploaded again first.
    """
    while True:
        asked = {"asset_id": trip.asset_id} | _spoken(wish)
        job = _earlier_or_new(api, asked, display)
        if not _without_source(job):
            break
        display.fact("Job", f"{job.job_id} (failed: storage has lost the song)")
        trip.lost.add(trip.asset_id)
        bring(api, trip, display)
    display.fact("Job", f"{job.job_id} ({_known(job)})")
    trip.job_id = job.job_id
    return job


def _known(job: Job) -> str:
    if job.reused_from:
        return f"given again for nothing: {job.reused_from} made these stems"
    return "done before, costs nothing again" if job.status == "completed" else job.status


def _earlier_or_new(api: Client, asked: dict[str, object], display: Display) -> Job:
    quote = api.get_quote(msgspec.convert(asked, JobBody))
    text = f"{counted(quote.price, 'credit')} for {terminal.duration(quote.seconds)}"
    if quote.reused_from:
        text += ", since these stems exist"
    display.fact("Quote", f"{text} ({quote.available} available)")
    retry: dict[str, object] = {}
    for number in range(1, 1000):
        wanted = msgspec.convert(asked | retry, JobWish)
        first = api.create_job(wanted, idempotency_key=_job_key(asked, number))
        # An earlier run may have asked, and its answer comes again: how the job is now, is read.
        job = api.get_job(first.job_id)
        if job.status not in ("failed", "cancelled") or _without_source(job):
            break
        retry = {"retry_of": job.job_id}
    return job


def _without_source(job: Job) -> bool:
    return job.failure is not None and job.failure.code == _SOURCE_MISSING


def _spoken(wish: Wish) -> dict[str, object]:
    said: dict[str, object] = {}
    if wish.model:
        said["model"] = wish.model
    if wish.stems:
        said["stems"] = list(wish.stems)
    if wish.format:
        said["format"] = wish.format
    if wish.prompt:
        said["prompt"] = wish.prompt
    if wish.bundle:
        said["bundle"] = True
    if not wish.reuse:
        said["reuse"] = False
    return said


def _job_key(asked: dict[str, object], number: int) -> str:
    words = [f"{name}={asked[name]}" for name in sorted(asked)]
    return f"cli-job-{hashlib.sha256('|'.join(words).encode()).hexdigest()[:40]}-{number}"


def follow(api: Client, job: Job, display: Display) -> Job:
    """Watch the job until it ends well. Raises Ended when it failed or was cancelled."""
    began = time.monotonic()
    with display.bar("Separate", 1.0, guess=False) as bar:
        while job.status not in _ENDED:
            time.sleep(_POLL_SECONDS)
            job = api.get_job(job.job_id)
            bar.to(job.progress or 0.0, _note(job), left=_left(job))
    if job.status != "completed":
        raise Ended(_end(job), job_id=job.job_id)
    if time.monotonic() - began > _POLL_SECONDS:
        display.fact("Separated", f"in {terminal.duration(time.monotonic() - began)}")
    return job


def _note(job: Job) -> str:
    if job.status in _ENDED:
        return ""
    again = f", attempt {job.attempt}" if job.attempt > 1 else ""
    place = ""
    if job.queue_position is not None:
        before = job.queue_position - 1
        place = f", {counted(before, 'job')} before it" if before else ", next in line"
    return (job.stage or job.status) + place + again


def _left(job: Job) -> float | None:
    """Seconds until it should end; None while nobody can say."""
    if job.estimated_end_at is None:
        return None
    return max(0.0, (job.estimated_end_at - datetime.now(UTC)).total_seconds())


def _end(job: Job) -> str:
    if job.failure is None:
        return f"The job was {job.status}; its credits were released."
    where = f" at {job.failure.stage}" if job.failure.stage else ""
    return (
        f"The separation failed{where} ({job.failure.code}): {job.failure.detail} "
        "Its credits were released; run the same command again to retry."
    )


def take_home(api: Client, trip: Trip, job: Job, out: Path, display: Display) -> list[Path]:
    """Download the stems, then the zip, into the song's folder in ``out``; it never holds another
    job's. Tells how good they are, where that was measured.
    """
    folder = folders.claim(trip.song.path, trip.song.digest, job, out)
    total = sum(each.bytes for each in downloads.links(job))
    with display.bar("Download", total, of_bytes=True) as bar:
        files = download.fetch(api, job, folder, bar.to)
    what = counted(len(job.stems), "stem") + (" and the zip" if job.zip else "")
    display.fact("Downloaded", f"{what}, {terminal.size(total)}, into {named(folder)}/")
    if told := quality.told(job):
        display.fact("Quality", told)
    return files

"""Fetch stems: each into a temporary name, checked for its length, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import httpx

from domain.errors import SplitSoundError
from handlers.cli.answers import Job, StemLink
from handlers.cli.client import Api, as_problem, http_for
from handlers.cli.outcome import Problem

_TRIES = 4


def folder_for(song: Path, out: Path) -> Path:
    """``<out>/<song name>``."""
    return out / (song.stem or song.name)


def fetch(api: Api, job: Job, folder: Path, moved: Callable[[int], None]) -> list[Path]:
    """Download every stem of a finished job. moved: called with all bytes so far."""
    folder.mkdir(parents=True, exist_ok=True)
    before = 0
    files = []
    for stem in job.stems:
        files.append(_fetch_one(api, job.job_id, stem, folder, _from(before, moved)))
        before += stem.bytes
    return files


def _from(before: int, moved: Callable[[int], None]) -> Callable[[int], None]:
    return lambda count: moved(before + count)


def _fetch_one(
    api: Api, job_id: str, stem: StemLink, folder: Path, moved: Callable[[int], None]
) -> Path:
    target = folder / _plain_name(stem)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        for attempt in range(1, _TRIES + 1):
            try:
                _stream(stem, draft, moved)
                break
            except (httpx.TransportError, Problem) as error:
                if attempt == _TRIES:
                    raise SplitSoundError(
                        f"{stem.filename} could not be fetched ({error}). Run the same command "
                        "again; the job is done and costs nothing more."
                    ) from error
            # The presigned URL may have expired: ask for a new one.
            stem = _again(api, job_id, stem)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _stream(stem: StemLink, draft: Path, moved: Callable[[int], None]) -> None:
    with http_for(stem.url) as http, http.stream("GET", stem.url) as answer:
        if not answer.is_success:
            answer.read()
            raise as_problem(answer)
        done = 0
        with draft.open("wb") as file:
            for chunk in answer.iter_bytes(1 << 18):
                file.write(chunk)
                done += len(chunk)
                moved(done)
    if done != stem.bytes:
        raise httpx.ReadError(f"{done} of {stem.bytes} bytes came")


def _again(api: Api, job_id: str, stem: StemLink) -> StemLink:
    job = api.get(f"/v1/jobs/{job_id}", Job)
    return next((s for s in job.stems if s.name == stem.name), stem)


def _plain_name(stem: StemLink) -> str:
    # The name comes from a server: it must stay inside the folder.
    name = Path(stem.filename).name
    return name if name not in ("", ".", "..") else f"{stem.name}.audio"

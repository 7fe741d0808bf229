"""Fetch stems: each into a temporary name, checked for its length, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import httpx

from domain import filenames
from domain.errors import SplitSoundError
from handlers.cli.answers import Job, StemLink
from handlers.cli.client import Api, as_problem, http_for
from handlers.cli.outcome import Problem

_TRIES = 4
_MOST_BYTES = 255


def names(job: Job) -> list[str]:
    """The files' names, such as a folder and a terminal can bear: the stems', then the zip's."""
    return [_plain_name(each.filename, number) for number, each in enumerate(job.files, 1)]


def fetch(api: Api, job: Job, folder: Path, moved: Callable[[int], None]) -> list[Path]:
    """Download the stems of a finished job, then its zip. moved: called with all bytes so far."""
    folder.mkdir(parents=True, exist_ok=True)
    before = 0
    files = []
    for number, (stem, name) in enumerate(zip(job.files, names(job), strict=True), 1):
        target = _inside(folder, name)
        # Not of the target's name, which may be as long as names can be.
        draft = folder / f".stem-{number}.{os.getpid()}.part"
        _fetch_one(api, job.job_id, stem, draft, target, _from(before, moved))
        files.append(target)
        before += stem.bytes
    return files


def _from(before: int, moved: Callable[[int], None]) -> Callable[[int], None]:
    return lambda count: moved(before + count)


def _fetch_one(
    api: Api,
    job_id: str,
    stem: StemLink,
    draft: Path,
    target: Path,
    moved: Callable[[int], None],
) -> None:
    try:
        for attempt in range(1, _TRIES + 1):
            try:
                _stream(stem, draft, moved)
                break
            except (httpx.TransportError, Problem) as error:
                if attempt == _TRIES:
                    raise SplitSoundError(
                        f"{target.name} could not be fetched ({error}). Run the same command "
                        "again; the job is done and costs nothing more."
                    ) from error
            # The presigned URL may have expired: ask for a new one.
            stem = _again(api, job_id, stem)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


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
    return next((s for s in job.files if s.name == stem.name), stem)


def _plain_name(filename: str, number: int) -> str:
    # The name comes from a server: it must neither leave the folder nor speak to the terminal.
    name = Path(filename).name
    if name in ("", ".", "..") or name != filenames.printable(name):
        return f"stem-{number}.audio"
    if len(name.encode()) <= _MOST_BYTES:
        return name
    # The number, because what told the stems apart may have been cut off.
    long = Path(name)
    return f"{filenames.shortened(long.stem)} {number}{filenames.shortened(long.suffix, 16)}"


def _inside(folder: Path, name: str) -> Path:
    # Whatever _plain_name lets through, nothing is ever written elsewhere.
    target = folder / name
    if os.path.split(os.path.abspath(target)) != (os.path.abspath(folder), name):  # noqa: PTH100
        raise SplitSoundError("The API names a stem by a path outside its folder; is it the API?")
    return target

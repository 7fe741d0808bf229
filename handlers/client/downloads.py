"""Fetch what a finished job gives: each file into a draft, checked for its length, then renamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
from msgspec import Struct

from domain.errors import SplitSoundError
from handlers.client.bodies import Job
from handlers.client.client import Client
from handlers.client.exchange import http_for
from handlers.client.problems import Problem, as_problem

_TRIES = 4


class DownloadFailed(SplitSoundError):
    """The file did not come whole; nothing is left of it."""

    code = "download_failed"


class Link(Struct, frozen=True):
    """A file of a finished job. name: the stem's, or ``zip``; filename: what to call it."""

    name: str
    url: str
    filename: str
    bytes: int


def links(job: Job) -> list[Link]:
    """All that there is to fetch: the stems, then the zip. None of a job in a list."""
    files = [(each.name, each.url, each.filename, each.bytes) for each in job.stems]
    if job.zip is not None:
        files.append(("zip", job.zip.url, job.zip.filename, job.zip.bytes))
    return [Link(name, url, filename or "", size) for name, url, filename, size in files if url]


def fetch(
    client: Client,
    job_id: str,
    link: Link,
    target: Path,
    draft: Path,
    moved: Callable[[int], None] = lambda _: None,
) -> None:
    """Download into ``draft``, which becomes ``target`` once it is whole. moved: called with the
    bytes so far. A URL that has died is asked for anew. Raises DownloadFailed.
    """
    try:
        for attempt in range(1, _TRIES + 1):
            try:
                _stream(link, draft, moved)
                break
            except (httpx.TransportError, Problem) as error:
                if attempt == _TRIES:
                    raise DownloadFailed(
                        f"{target.name} could not be fetched ({error})."
                    ) from error
            link = _again(client, job_id, link)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _stream(link: Link, draft: Path, moved: Callable[[int], None]) -> None:
    with http_for(link.url) as http, http.stream("GET", link.url) as answer:
        if not answer.is_success:
            answer.read()
            raise as_problem(answer)
        done = 0
        with draft.open("wb") as file:
            for chunk in answer.iter_bytes(1 << 18):
                file.write(chunk)
                done += len(chunk)
                moved(done)
    if done != link.bytes:
        raise httpx.ReadError(f"{done} of {link.bytes} bytes came")


def _again(client: Client, job_id: str, link: Link) -> Link:
    fresh = links(client.get_job(job_id))
    return next((each for each in fresh if each.name == link.name), link)

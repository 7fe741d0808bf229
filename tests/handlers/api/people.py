"""A user with an HTTP client, and a worker that is only the commands a worker would execute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import unquote

import httpx
from msgspec import Struct

from commands import (
    CompleteSeparation,
    RecordProbe,
    RecordStage,
    SignUp,
    StartSeparation,
    StoreStem,
    execute,
)
from commands.dispatch import Command
from domain.audio import FORMATS, Audio
from domain.commit import Meta
from domain.job import STAGES
from domain.stems import StemFile, StoredStem, preview_key, waveform_key
from infra.bootstrap import Application
from infra.identity import DEVELOPMENT
from infra.objects import bundle_key, stem_key
from tests.handlers.api.documented import hold

CORE = {"type", "title", "status", "detail", "code", "request_id", "instance", "retryable"}
# Plain HTTP on the loopback: loading certificates for every client takes longer than the tests.
S3 = httpx.Client(verify=False, trust_env=False)
# Events of a job that ``Worker.finish`` has been through, after the request.
FINISHED = 2 + len(STAGES)
SONG = b"not really a song, but the API never looks"


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a whole problem document; what it says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() >= CORE
    assert document["type"] == f"urn:splitsound:problem:{code}"
    assert (document["status"], document["code"]) == (status, code)
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-request-id"]
    assert unquote(document["instance"]) == answer.request.url.path
    return document


@cache
def _storage(application: Application) -> Any:
    # Making a client takes far longer than putting an object.
    return application.client("s3")


class Worker(Struct, frozen=True):
    """Does what the worker would record, without doing the work."""

    application: Application

    def run(self, command: Command) -> None:
        """Execute a command as the worker."""
        meta = Meta(self.application.ids.fresh("cmd"), "worker:test")
        execute(self.application.context, command, meta)

    def probe(self, asset_id: str, seconds: int = 10, rate: int = 44_100, digest: str = "") -> None:
        """The upload is audio of that length. digest: of its bytes, where it is recorded."""
        audio = Audio(seconds * rate, rate, 2)
        self.run(RecordProbe(asset_id, audio, "mp3", "mp3", digest))

    def finish(self, job: dict[str, Any], user_id: str, body: bytes = b"stem bytes") -> None:
        """Claim the job, pass all stages, put stems into storage, complete."""
        job_id = job["job_id"]
        self.run(StartSeparation(job_id, "test"))
        for stage in STAGES:
            self.run(RecordStage(job_id, 1, stage, 1500))
        stems = []
        for name in job["stems_wanted"]:
            key = stem_key(user_id, job_id, 1, name, job["format"])
            self._put(key, body)
            stems.append(StemFile(name, key, len(body), "audio/flac", 0.5))
        self.run(CompleteSeparation(job_id, 1, tuple(stems), -0.5))

    def deliver(self, job: dict[str, Any], user_id: str) -> None:
        """Claim the job, put measured stems with previews and the zip that is wanted, complete."""
        job_id, extension = job["job_id"], FORMATS[job["format"]].extension
        self.run(StartSeparation(job_id, "test"))
        stems = []
        for name in job["stems_wanted"]:
            key = stem_key(user_id, job_id, 1, name, extension)
            for each, body in (
                (key, b"stem"), (preview_key(key), b"preview"), (waveform_key(key), b"{}"),
            ):  # fmt: skip
                self._put(each, body)
            stem = StoredStem(name, key, 4, "audio/flac", 1.25, 441_000, 7, 0.25, 7)
            self.run(StoreStem(job_id, 1, stem, -2.0, -120.5))
            stems.append(stem.file)
        zipped = bundle_key(user_id, job_id, 1)
        self._put(zipped, b"PK")
        bundle = StemFile("bundle", zipped, 2, "application/zip") if job["bundle"] else None
        self.run(CompleteSeparation(job_id, 1, tuple(stems), -2.0, bundle))

    def _put(self, key: str, body: bytes) -> None:
        bucket = self.application.settings.media_bucket
        _storage(self.application).put_object(Bucket=bucket, Key=key, Body=body)


class Person(Struct):
    """A signed-in user."""

    http: httpx.Client
    worker: Worker
    user_id: str

    def begin(self, size: int = len(SONG), key: str | None = None, **wish: Any) -> httpx.Response:
        """POST /v1/uploads."""
        body = {"filename": "My Song.mp3", "size": size, **wish}
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post("/v1/uploads", json=body, headers=headers)

    def upload(self, body: bytes = SONG) -> dict[str, Any]:
        """A completed upload."""
        session = self.begin(len(body)).json()
        send(session, body)
        answer = self.http.post(f"/v1/uploads/{session['asset_id']}/complete")
        assert answer.status_code == 200, answer.text
        completed: dict[str, Any] = answer.json()
        return completed

    def song(self, seconds: int = 10, rate: int = 44_100, digest: str = "") -> str:
        """The id of an upload that can be separated."""
        asset_id: str = self.upload()["asset_id"]
        self.worker.probe(asset_id, seconds, rate, digest)
        return asset_id

    def ask(self, asset_id: str, key: str | None = None, **wish: Any) -> httpx.Response:
        """POST /v1/jobs."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post("/v1/jobs", json={"asset_id": asset_id, **wish}, headers=headers)

    def job(self, **wish: Any) -> dict[str, Any]:
        """A queued job on a song of ten seconds."""
        answer = self.ask(self.song(), **wish)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created


def insist(request: Callable[[], httpx.Response]) -> httpx.Response:
    """Send it until no other request with its key is being carried out, as clients are told to."""
    for _ in range(100):
        answer = request()
        if answer.status_code != 409 or answer.json()["code"] != "idempotency_key_in_use":
            return answer
        time.sleep(0.05)
    raise AssertionError("the key stayed in use")


def send(session: dict[str, Any], body: bytes, most: int = 10_000) -> dict[int, str]:
    """PUT the missing parts by their presigned URLs, as a browser would; ETags by number."""
    etags = {}
    for part in session["missing"][:most]:
        start = (part["number"] - 1) * session["part_size"]
        chunk = body[start : start + part["size"]]
        assert len(chunk) == part["size"]
        answer = S3.put(part["url"], content=chunk)
        assert answer.status_code == 200, answer.text
        etags[part["number"]] = answer.headers["etag"]
    return etags


def sign_in(application: Application, email: str, *, admin: bool = False) -> tuple[str, str]:
    """Access token and user id of whoever has that address, as a sign-in by OpenID Connect leaves
    them; tests of that are in test_signing_in.py. admin: ask for an administrator's token.
    """
    identity = application.identity
    user_id = identity.user_id(DEVELOPMENT, email)
    meta = Meta(application.ids.fresh("cmd"), user_id, corr="test")
    execute(application.context, SignUp(user_id, DEVELOPMENT, email), meta)
    mark = identity.mark(DEVELOPMENT, email)
    return identity.issue(user_id, admin=admin, mark=mark), user_id


@contextmanager
def client(url: str, **headers: str) -> Iterator[httpx.Client]:
    """A client that no proxy of this machine diverts. Each answer is held to the document."""
    with httpx.Client(
        base_url=url, headers=headers, trust_env=False, verify=False, timeout=20,
        event_hooks={"response": [hold]},
    ) as http:  # fmt: skip
        yield http

"""What a finished job gives: stems with what was measured, previews, waveforms, the zip."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from domain import errors
from handlers.api.job_renderings import KNOWN_FAILURES
from tests.handlers.api.documented import Document
from tests.handlers.api.people import S3, Person


@pytest.fixture
def watched(person: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(person.http)
    return person


def told(person: Person, job: dict[str, Any]) -> dict[str, Any]:
    """The job as it stands once ``deliver`` is through."""
    version = job["version"] + len(job["stems_wanted"]) + 2
    answer = person.http.get(f"/v1/jobs/{job['job_id']}", params={"min_version": version})
    shown: dict[str, Any] = answer.json()
    return shown


def test_everything_that_a_result_has(watched: Person) -> None:
    job = watched.job(stems=["no_vocals", "vocals"], bundle=True, format="aac")
    assert (job["quality"], job["zip"], job["bundle"], job["lane"]) == (None, None, True, "short")
    assert (job["prompt"], job["reused_from"]) == (None, None)
    watched.worker.deliver(job, watched.user_id)
    done = told(watched, job)
    assert done["status"] == "completed"
    assert done["quality"] == {"residual_db": -120.5}
    names = {stem["name"]: stem["filename"] for stem in done["stems"]}
    assert names == {
        "vocals": "My Song - vocals.m4a", "no_vocals": "My Song - no vocals.m4a",
    }  # fmt: skip
    measured = {
        "samples": 441_000, "over_full_scale": 7, "silence": 0.25, "peak": 1.25, "seconds": 10.0,
    }  # fmt: skip
    for stem in done["stems"]:
        assert stem.items() >= measured.items()
        assert S3.get(stem["url"]).content == b"stem"
        preview = S3.get(stem["preview_url"])
        assert (preview.content, preview.headers["content-type"]) == (b"preview", "audio/mpeg")
        spoken = names[stem["name"]].removesuffix(".m4a")
        assert f'filename="{spoken} preview.mp3"' in preview.headers["content-disposition"]
        waveform = S3.get(stem["waveform_url"])
        assert (waveform.content, waveform.headers["content-type"]) == (b"{}", "application/json")
    zipped = done["zip"]
    assert (zipped["filename"], zipped["bytes"]) == ("My Song - stems.zip", 2)
    assert zipped["expires_at"] == done["stems"][0]["expires_at"]
    assert S3.get(zipped["url"]).content == b"PK"


def test_lists_carry_no_url(watched: Person) -> None:
    job = watched.job(bundle=True)
    watched.worker.deliver(job, watched.user_id)
    told(watched, job)
    (listed,) = watched.http.get("/v1/jobs").json()["items"]
    assert listed["zip"] == {"filename": None, "bytes": 2, "url": None, "expires_at": None}
    for stem in listed["stems"]:
        assert stem["samples"] == 441_000
        assert {stem[name] for name in ("url", "preview_url", "waveform_url", "filename")} == {None}


def test_stems_of_before_they_were_measured(watched: Person) -> None:
    job = watched.job()
    watched.worker.finish(job, watched.user_id)
    done = watched.http.get(f"/v1/jobs/{job['job_id']}", params={"min_version": 9}).json()
    assert done["quality"] == {"residual_db": None}
    for stem in done["stems"]:
        assert stem["url"]
        assert {stem[n] for n in ("samples", "over_full_scale", "silence", "preview_url")} == {None}


def test_a_result_is_kept_until_something_changes(watched: Person) -> None:
    job = watched.job(bundle=True)
    watched.worker.deliver(job, watched.user_id)
    told(watched, job)
    path = f"/v1/jobs/{job['job_id']}"
    tag = watched.http.get(path).headers["etag"]
    assert watched.http.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_known_failures_are_those_that_are_written_down(anyone: httpx.Client) -> None:
    written = f"{errors.MediaError.__doc__} {errors.ModelError.__doc__}"
    assert set(re.findall(r"``([a-z_]+)``", written)) <= set(KNOWN_FAILURES)
    schemas = anyone.get("/schema/openapi.json").json()["components"]["schemas"]
    code = schemas["JobFailure"]["properties"]["code"]
    assert (code["type"], code["x-known-values"]) == ("string", list(KNOWN_FAILURES))
    assert "worker_gave_up" in code["description"]
    assert "version 2, 8 bits" in " ".join(schemas["Stem"]["description"].split())

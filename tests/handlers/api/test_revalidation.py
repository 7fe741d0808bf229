"""Polling by ETag: what has not changed costs no body, and nobody keeps what has gone stale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from commands import RecordStage, StartSeparation
from infra.bootstrap import Application
from infra.operations import Progress
from infra.settings import Settings
from tests.handlers.api.conftest import ORIGIN, Served, serving
from tests.handlers.api.documented import Document
from tests.handlers.api.people import FINISHED, Person, assert_problem, client


@pytest.fixture
def watched(person: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(person.http)
    return person


def again(person: Person, path: str, tag: str, **params: Any) -> httpx.Response:
    return person.http.get(path, params=params, headers={"If-None-Match": tag})


def test_every_poll_can_be_revalidated(watched: Person) -> None:
    job = watched.job()
    opened = watched.begin().json()
    for path in (
        f"/v1/jobs/{job['job_id']}",
        f"/v1/library/{job['asset_id']}",
        f"/v1/uploads/{opened['asset_id']}",
        "/v1/jobs",
        "/v1/library",
        "/v1/credits",
        "/v1/credits/history",
    ):
        # The rows may still be on their way into the list's index.
        first = watched.http.get(path)
        tag = first.headers["etag"]
        assert tag.startswith('W/"')
        same = again(watched, path, tag)
        assert same.status_code == 304, path
        assert same.content == b""
        assert "content-type" not in same.headers or not same.content
        for name in ("etag", "cache-control", "vary"):
            assert same.headers[name] == first.headers[name]
        assert same.headers["cache-control"] == "private, no-cache"
        assert "Authorization" in same.headers["vary"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{tag}", 304),
        ("{opaque}", 304),  # weak comparison
        ('"x", W/"y,z" , {tag}', 304),
        ("*", 304),
        ('"x"', 200),
        ("", 200),
        ("{bare}", 200),  # unquoted: no entity tag
        ('"*"', 200),
        ('W/"', 200),
    ],
)
def test_how_tags_are_compared(watched: Person, sent: str, status: int) -> None:
    tag = watched.http.get("/v1/credits").headers["etag"]
    opaque = tag.removeprefix("W/")
    header = sent.format(tag=tag, opaque=opaque, bare=opaque.strip('"'))
    assert again(watched, "/v1/credits", header).status_code == status


def test_tags_in_several_header_lines(watched: Person) -> None:
    tag = watched.http.get("/v1/credits").headers["etag"]
    lines = [("If-None-Match", '"x"'), ("If-None-Match", tag)]
    assert watched.http.get("/v1/credits", headers=lines).status_code == 304


def test_a_star_is_no_answer_for_what_is_not_there(watched: Person) -> None:
    missing = again(watched, "/v1/jobs/job_" + "0" * 26, "*")
    assert_problem(missing, 404, "not_found")


def test_a_job_s_tag_follows_its_version_and_live_progress(watched: Person, served: Served) -> None:
    job = watched.job()
    path = f"/v1/jobs/{job['job_id']}"
    seen: set[str] = set()

    def changed() -> str:
        answer = watched.http.get(path, headers={"If-None-Match": ", ".join(seen) or '"x"'})
        assert answer.status_code == 200, answer.headers
        tag = answer.headers["etag"]
        assert again(watched, path, tag).status_code == 304
        seen.add(tag)
        return tag

    changed()
    watched.worker.run(StartSeparation(job["job_id"], "test"))
    tag = seen.copy().pop()
    # Never 304 for less than was asked for, and never for what is not there yet.
    assert again(watched, path, tag, min_version=2).json()["version"] == 2
    ahead = again(watched, path, f"{tag}, *", min_version=9)
    assert_problem(ahead, 422, "invalid_request")
    changed()
    for done in (0.25, 0.5):
        beat = Progress(1, "test", "separate", done, int(time.time() * 1000))
        served.application.operations.report(job["job_id"], beat)
        changed()
    watched.worker.run(RecordStage(job["job_id"], 1, "download", 100))
    watched.http.get(path, params={"min_version": 3})
    changed()


@pytest.fixture
def short_lived(settings: Settings, person: Person) -> Iterator[Person]:
    """The person at an API whose URLs live four seconds."""
    hasty = msgspec.structs.replace(settings, presign_seconds=4)
    with serving(Application(hasty)) as running:
        token = person.http.headers["Authorization"]
        with client(running.url, Authorization=token) as http:
            yield Person(http, person.worker, person.user_id)


def _kept_until_asked_for(get: Callable[[str], httpx.Response]) -> tuple[float, float, str]:
    """When a body was last said to be good, when it was made, and its tag."""
    tag = get('"x"').headers["etag"]
    made = good = time.monotonic()
    while get(tag).status_code == 304:
        good = time.monotonic()
        assert good - made < 4, "kept for longer than its URLs live"
        time.sleep(0.05)
    return good, made, tag


def test_a_kept_body_never_holds_dead_urls(short_lived: Person) -> None:
    job = short_lived.job()
    short_lived.worker.finish(job, short_lived.user_id)
    path = f"/v1/jobs/{job['job_id']}"
    done = short_lived.http.get(path, params={"min_version": job["version"] + FINISHED}).json()
    assert done["stems"][0]["url"], done

    def get(tag: str) -> httpx.Response:
        return again(short_lived, path, tag)

    _kept_until_asked_for(get)  # now at the beginning of a half
    good, made, _ = _kept_until_asked_for(get)
    assert good - made <= 2.5, "half of the life of its URLs"
    assert good - made >= 1, "or polling saves nothing"
    opened = short_lived.begin().json()
    _kept_until_asked_for(lambda tag: again(short_lived, f"/v1/uploads/{opened['asset_id']}", tag))


def test_nothing_is_signed_for_a_304(
    watched: Person, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = watched.job()
    watched.worker.finish(job, watched.user_id)
    path = f"/v1/jobs/{job['job_id']}"
    tag = watched.http.get(path, params={"min_version": job["version"] + FINISHED}).headers["etag"]
    signed: list[str] = []
    objects = served.application.objects
    sign = objects.presign_get

    def counting(key: str, filename: str, media_type: str) -> str:
        signed.append(key)
        return sign(key, filename, media_type)

    monkeypatch.setattr(objects, "presign_get", counting)
    assert again(watched, path, tag).status_code == 304
    assert not signed
    assert watched.http.get(path).status_code == 200
    assert len(signed) == len(job["stems_wanted"])


def test_two_people_share_no_tag(new_person: Callable[[], Person]) -> None:
    one, two = new_person(), new_person()
    for path in ("/v1/jobs", "/v1/library"):
        tag = one.http.get(path).headers["etag"]
        assert one.http.get(path).json() == two.http.get(path).json()
        assert again(two, path, tag).status_code == 200


def test_an_upload_s_tag_follows_its_parts(watched: Person) -> None:
    session = watched.begin().json()
    path = f"/v1/uploads/{session['asset_id']}"
    tag = watched.http.get(path).headers["etag"]
    watched.http.post(f"{path}/complete")  # refused: nothing was sent
    assert again(watched, path, tag).status_code == 304
    upload = watched.http.delete(path)
    assert upload.status_code == 204
    assert again(watched, path, tag).json()["status"] == "aborted"


def test_a_page_may_read_a_304(watched: Person) -> None:
    tag = watched.http.get("/v1/credits").headers["etag"]
    headers = {"If-None-Match": tag, "Origin": ORIGIN}
    answer = watched.http.get("/v1/credits", headers=headers)
    assert answer.status_code == 304
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "etag" in answer.headers["access-control-expose-headers"].lower()
    assert {v.strip() for v in answer.headers["vary"].split(",")} == {"Origin", "Authorization"}

"""Progress without polling, on a whole stack: a song's way from the queue to its stems."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.e2e.browser import Browser


def told(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream, as long as it lasts."""
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_a_song_is_followed_to_its_stems(sign_in: Callable[..., Browser], song: bytes) -> None:
    browser = sign_in()
    asset = browser.upload(song)
    assert browser.probed(asset)["status"] == "ready"
    job = browser.separate(asset)
    path = f"/v1/jobs/{job}/events"
    with browser.http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        events = list(told(answer))
    jobs = [data for name, data in events if name == "job"]
    assert [j["status"] for j in jobs][-1] == "completed"
    assert {j["status"] for j in jobs} >= {"running", "completed"}
    versions = [j["version"] for j in jobs]
    assert versions == sorted(set(versions))
    done = [data["progress"] for _, data in events if "progress" in data]
    assert done == sorted(done)
    assert done[-1] == 1
    assert events[-1] == ("end", {"job_id": job, "status": "completed", "version": versions[-1]})
    polled = browser.get(f"/v1/jobs/{job}")
    assert polled["version"] == versions[-1]
    assert [s["stage"] for s in polled["stages"]] == [s["stage"] for s in jobs[-1]["stages"]]
    for stem in jobs[-1]["stems"]:
        assert len(browser.download(stem["url"])) == stem["bytes"]
    had = {"Last-Event-ID": str(versions[-1])}
    assert browser.http.get(path, headers=had).status_code == 204

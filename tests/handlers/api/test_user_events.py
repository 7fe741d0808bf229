"""The event stream of all of a user's jobs, and how many reads many listeners cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import msgspec

from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.documented import Document, events_of
from tests.handlers.api.listening import QUICK, Moved, listening, project, settle
from tests.handlers.api.people import Person, assert_problem, client

PATH = "/v1/events"


def test_all_jobs_of_a_user_are_told(quick: Served, moved: Moved) -> None:
    """Open ones at first, new ones and changes as they come; others' never."""
    person = moved.person
    with listening(quick.url, person, PATH) as listener:
        first = listener.next()
        assert first
        assert (first.name, first.data["job_id"]) == ("job", moved.job["job_id"])
        assert first.data["job"]["version"] == first.data["version"] == moved.job["version"]
        assert listener.until("ready").data == {"open": 1}
        second = Moved(person)
        told = listener.until("job", job_id=second.job["job_id"])
        assert told.data["status"] == "queued"
        moved.start()
        moved.report("separate", 0.25)
        listener.until("job", job_id=moved.job["job_id"], status="running")
        listener.until("progress", job_id=moved.job["job_id"], stage="separate")
        moved.cancel()
        done = listener.until("job", job_id=moved.job["job_id"], status="cancelled")
        assert done.data["job"]["status"] == moved.get()["status"]


def test_a_resumed_feed_tells_what_changed_meanwhile_and_nothing_else(
    quick: Served, moved: Moved
) -> None:
    person = moved.person
    still, changing = moved, Moved(person)
    with listening(quick.url, person, PATH) as listener:
        cursor = listener.until("ready").id
    changing.start()
    with listening(quick.url, person, PATH, after=cursor) as listener:
        told = listener.until("job")
        assert told.data["job_id"] == changing.job["job_id"]
        assert told.data["status"] == "running"
        assert listener.until("ready").id
        cursor = told.id
    changing.cancel()
    new = Moved(person)
    project(person, new.job)
    with listening(quick.url, person, f"{PATH}?last_event_id={cursor}") as listener:
        jobs = []
        while (event := listener.next()) and event.name != "ready":
            jobs += [event.data["job_id"]] if event.name == "job" else []
        assert sorted(jobs) == sorted([changing.job["job_id"], new.job["job_id"]])
        assert still.job["job_id"] not in jobs


def test_events_say_what_the_document_declares(
    quick: Served, moved: Moved, anyone: httpx.Client
) -> None:
    document = Document(anyone)
    moved.start()
    for path, template in ((moved.path, "/v1/jobs/{job_id}/events"), (PATH, PATH)):
        content = document.text["paths"][template]["get"]["responses"]["200"]["content"]
        assert list(content) == ["text/event-stream"]
        declared = events_of(content["text/event-stream"])
        seen: set[str] = set()
        with listening(quick.url, moved.person, path) as listener:
            moved.report("separate", 0.5 if path == PATH else 0.25)
            while seen < set(declared) - {"end", "sign_in_again"}:
                told = listener.next()
                assert told
                document.hold(declared[told.name], msgspec.json.encode(told.data))
                seen.add(told.name)


def test_ids_of_others_and_forged_ones_are_refused(
    quick: Served, moved: Moved, new_person: Callable[[], Person]
) -> None:
    with listening(quick.url, moved.person, PATH) as listener:
        cursor = listener.until("ready").id
    with client(quick.url) as http:
        assert_problem(http.get(PATH), 401, "unauthenticated")
        http.headers["Authorization"] = moved.person.http.headers["Authorization"]
        for forged in ("1", "x.y", cursor[1:], cursor[:-1] + "0", cursor + "x", "\x7f"):
            answer = http.get(PATH, headers={"Last-Event-ID": forged})
            problem = assert_problem(answer, 422, "invalid_request")
            assert problem["errors"][0]["header"] == "Last-Event-ID"
        http.headers["Authorization"] = new_person().http.headers["Authorization"]
        answer = http.get(PATH, headers={"Last-Event-ID": cursor})
        assert_problem(answer, 422, "invalid_request")
    settle(lambda: quick.listeners.idle)


def test_two_hundred_listeners_cost_as_many_reads_as_one(settings: Settings, moved: Moved) -> None:
    """And each of them hears what happens."""
    listened = QUICK | {"sse_per_user": 500, "sse_poll_seconds": 0.3}
    many = msgspec.structs.replace(settings, **listened)
    with serving(Application(many)) as running:
        rows = running.application.reading.rows
        reads = {"head": 0, "heads": 0, "owned": 0}

        def counted(name: str) -> None:
            read = getattr(rows, name)

            def count(*given: object, **named: object) -> object:
                reads[name] += 1
                return read(*given, **named)

            setattr(rows, name, count)

        for name in reads:
            counted(name)
        asyncio.run(_listen(running, moved, reads))
        settle(lambda: running.listeners.idle)


async def _listen(running: Served, moved: Moved, reads: dict[str, int]) -> None:
    token = moved.person.http.headers["Authorization"]
    streams = [await _open(running.url, moved.path, token) for _ in range(150)]
    streams += [await _open(running.url, PATH, token) for _ in range(50)]
    for reader, _ in streams:
        await reader.readuntil(b"event: job\n")
    assert running.listeners.slots.taken == 200
    reads.update(dict.fromkeys(reads, 0))
    looks = running.listeners.looks
    await asyncio.to_thread(moved.start)
    for reader, _ in streams:
        async with asyncio.timeout(20):
            while b'"status":"running"' not in await reader.readline():
                continue
    looked = running.listeners.looks - looks
    # A look: one read of the jobs that are followed, one of the user's list.
    assert reads["heads"] <= looked + 1
    assert reads["owned"] <= looked + 1
    assert reads["head"] == 0
    assert looked < 50
    for _, writer in streams:
        writer.close()


async def _open(
    url: str, path: str, token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    asked = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
    writer.write(asked.encode())
    return reader, writer

"""The same bytes, model and parameters of the same user: the stems that exist, for nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from commands import RefundSeparation
from domain.catalog import Model
from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import Served, serving
from tests.handlers.api.documented import Document
from tests.handlers.api.operated import deliver
from tests.handlers.api.people import Person, assert_problem, client

Elsewhere = Callable[..., AbstractContextManager[Person]]
PROMPTED = Model("by-words", "By words", ("target", "residual"), takes_prompt=True)


@pytest.fixture
def digest() -> str:
    """Of bytes that no other test here has."""
    return uuid.uuid4().hex


@pytest.fixture
def watched(person: Person, anyone: httpx.Client) -> Person:
    Document(anyone).watch(person.http)
    return person


@pytest.fixture
def first(watched: Person, served: Served, digest: str) -> dict[str, Any]:
    """A completed job of ten seconds, whose rows have come."""
    return done(watched, served.application, asset_id=watched.song(digest=digest))


def done(person: Person, application: Application, **wish: Any) -> dict[str, Any]:
    """Ask, deliver, and what the API says then."""
    job = person.ask(**wish).json()
    assert job["status"] == "queued", job
    person.worker.deliver(job, person.user_id)
    deliver(application, job["stream"])
    shown: dict[str, Any] = person.http.get(f"/v1/jobs/{job['job_id']}").json()
    assert shown["status"] == "completed"
    return shown


def keys(job: dict[str, Any]) -> list[str]:
    """Where the stems of a job stand, with what belongs to them."""
    urls = ("url", "preview_url", "waveform_url")
    return [urlsplit(stem[name]).path for stem in job["stems"] for name in urls]


def available(person: Person) -> int:
    found: int = person.http.get("/v1/credits").json()["available"]
    return found


def test_asked_again_it_is_there_at_once_for_nothing(
    watched: Person, served: Served, first: dict[str, Any]
) -> None:
    before = watched.http.get("/v1/credits").json()
    history = watched.http.get("/v1/credits/history").json()
    wish = {"asset_id": first["asset_id"]}
    quote = watched.http.post("/v1/quotes", json=wish).json()
    assert (quote["price"], quote["enough"], quote["reused_from"]) == (0, True, first["job_id"])
    agreed = {"price": 0, "price_list": quote["price_list"]}
    answer = watched.ask(**wish, quote=agreed)
    assert answer.status_code == 201
    again = answer.json()
    assert (again["status"], again["price"], again["progress"]) == ("completed", 0, 1.0)
    assert (again["reused_from"], again["attempt"]) == (first["job_id"], 0)
    assert again["job_id"] != first["job_id"]
    assert (keys(again), again["quality"]) == (keys(first), first["quality"])
    assert (again["gain_db"], again["stages"]) == (first["gain_db"], [])
    assert watched.http.get("/v1/credits").json() == before
    assert watched.http.get("/v1/credits/history").json() == history
    # What is given again a second time still names the job that made it.
    deliver(served.application, again["stream"])
    assert watched.ask(**wish).json()["reused_from"] == first["job_id"]


def test_the_same_bytes_uploaded_again_are_the_same_song(
    watched: Person, first: dict[str, Any], digest: str
) -> None:
    other = watched.song(digest=digest)
    assert other != first["asset_id"]
    again = watched.ask(other).json()
    assert (again["asset_id"], again["reused_from"]) == (other, first["job_id"])


@pytest.mark.parametrize(
    "wish",
    [
        {"format": "wav"},
        {"stems": ["vocals"]},
        {"stems": ["vocals", "no_vocals"]},
        {"model": "spleeter-dsp-4stems"},
        {"bundle": True},
        {"reuse": False},
    ],
)
def test_anything_else_is_separated(
    watched: Person, first: dict[str, Any], wish: dict[str, Any]
) -> None:
    asked = {"asset_id": first["asset_id"], **wish}
    quote = watched.http.post("/v1/quotes", json=asked).json()
    assert quote["reused_from"] is None
    assert quote["price"] >= 10
    job = watched.ask(**asked).json()
    assert (job["status"], job["price"], job["reused_from"]) == ("queued", quote["price"], None)


def test_other_bytes_and_bytes_that_nobody_knows_are_separated(
    watched: Person, served: Served, first: dict[str, Any]
) -> None:
    assert watched.ask(watched.song(digest="other")).json()["status"] == "queued"
    unknown = watched.song()
    done(watched, served.application, asset_id=unknown)
    assert watched.ask(unknown).json()["status"] == "queued"


def test_nobody_gets_another_user_s_stems(
    new_person: Callable[[], Person], first: dict[str, Any], digest: str
) -> None:
    stranger = new_person()
    job = stranger.ask(stranger.song(digest=digest)).json()
    assert (job["status"], job["price"], job["reused_from"]) == ("queued", 10, None)


@pytest.fixture
def elsewhere(settings: Settings, watched: Person) -> Elsewhere:
    """The same person at an API with those models beside the usual ones, or instead of them."""

    @contextmanager
    def enter(*models: Model) -> Iterator[Person]:
        application = Application(settings)
        usual = application.catalog
        offered = usual.models | {model.name: model for model in models}
        application.__dict__["catalog"] = msgspec.structs.replace(usual, models=offered)
        token = watched.http.headers["Authorization"]
        with serving(application) as running, client(running.url, Authorization=token) as http:
            yield Person(http, watched.worker, watched.user_id)

    return enter


def test_stems_of_other_weights_are_other_stems(
    served: Served, first: dict[str, Any], elsewhere: Elsewhere
) -> None:
    model = served.application.catalog.models[first["model"]]
    with elsewhere(msgspec.structs.replace(model, version="another")) as person:
        assert person.ask(first["asset_id"]).json()["status"] == "queued"


def test_another_prompt_is_another_sound(
    watched: Person, served: Served, elsewhere: Elsewhere, digest: str
) -> None:
    song = watched.song(digest=digest)
    with elsewhere(PROMPTED) as person:
        wish = {"asset_id": song, "model": PROMPTED.name}
        dog = done(person, served.application, **wish, prompt="a dog")
        assert dog["prompt"] == "a dog"
        assert person.ask(**wish, prompt="a cat").json()["status"] == "queued"
        assert person.ask(**wish, prompt="a dog").json()["reused_from"] == dog["job_id"]


def test_what_was_given_back_is_paid_anew_and_an_old_quote_does_not_hold(
    watched: Person, first: dict[str, Any]
) -> None:
    wish = {"asset_id": first["asset_id"]}
    quote = watched.http.post("/v1/quotes", json=wish).json()
    watched.worker.run(RefundSeparation(first["job_id"], "it hisses"))
    agreed = {"price": quote["price"], "price_list": quote["price_list"]}
    before = available(watched)
    problem = assert_problem(watched.ask(**wish, quote=agreed), 409, "price_changed")
    assert problem["price"] == 10
    assert available(watched) == before
    job = watched.ask(**wish).json()
    assert (job["status"], job["price"]) == ("queued", 10)


def test_a_quote_with_a_price_holds_where_it_costs_nothing_by_now(
    watched: Person, served: Served, digest: str
) -> None:
    song = watched.song(digest=digest)
    quote = watched.http.post("/v1/quotes", json={"asset_id": song}).json()
    made = done(watched, served.application, asset_id=song)
    agreed = {"price": quote["price"], "price_list": quote["price_list"]}
    assert quote["price"] == 10
    again = watched.ask(song, quote=agreed).json()
    assert (again["price"], again["reused_from"]) == (0, made["job_id"])


def test_without_credits_what_exists_is_still_given(watched: Person, first: dict[str, Any]) -> None:
    assert watched.ask(watched.song(seconds=90)).status_code == 201
    assert available(watched) == 0
    assert watched.ask(first["asset_id"]).json()["status"] == "completed"


def test_usage_counts_no_audio_twice(
    watched: Person, served: Served, first: dict[str, Any]
) -> None:
    again = watched.ask(first["asset_id"]).json()
    deliver(served.application, again["stream"])
    total = watched.http.get("/v1/usage").json()["total"]
    expected = {
        "jobs": 2, "completed": 2, "reused": 1, "open": 0, "audio_seconds": 10.0, "credits": 10,
    }  # fmt: skip
    assert total.items() >= expected.items()


def _patiently(person: Person, asset_id: str) -> httpx.Response:
    """Under one key, again while the first request with it still runs."""
    while (answer := person.ask(asset_id, key="once")).status_code == 409:
        time.sleep(0.02)
    return answer


def test_twenty_at_once(watched: Person, first: dict[str, Any]) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: watched.ask(first["asset_id"]), range(20)))
        same = list(pool.map(lambda _: _patiently(watched, first["asset_id"]), range(20)))
    assert {a.status_code for a in answers + same} == {201}
    jobs = [a.json() for a in answers]
    assert len({job["job_id"] for job in jobs}) == 20
    assert len({a.json()["job_id"] for a in same}) == 1
    told = {(job["status"], job["price"], job["reused_from"]) for job in jobs}
    assert told == {("completed", 0, first["job_id"])}
    assert {tuple(keys(job)) for job in jobs} == {tuple(keys(first))}
    account = watched.http.get("/v1/credits").json()
    assert (account["available"], account["reserved"], account["captured"]) == (90, 0, 10)

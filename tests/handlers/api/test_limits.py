"""RateLimit: what answers tell, and what more than so many requests are answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import msgspec
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from domain.errors import Unavailable
from handlers.api.__main__ import configuration
from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import serving
from tests.handlers.api.people import Person, assert_problem, client

FEW = "reads=6/3600,writes=4/3600,uploads=2/3600,auth=3/3600,anonymous=5/3600"


@pytest.fixture
def limited(settings: Settings, person: Person) -> Iterator[Callable[..., httpx.Client]]:
    """Another API over the same tables, that lets few pass; clients of the person's, or nobody's"""
    with ExitStack() as stack:
        other = stack.enter_context(
            serving(Application(msgspec.structs.replace(settings, rate_limits=FEW)))
        )

        def connect(token: str | None = None) -> httpx.Client:
            token = person.http.headers["Authorization"] if token is None else token
            headers = {"Authorization": token} if token else {}
            return stack.enter_context(client(other.url, **headers))

        yield connect


def policy(answer: httpx.Response) -> str:
    return answer.headers["ratelimit-policy"]


def left(answer: httpx.Response) -> int:
    found = re.fullmatch(r'"\w+";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found
    assert 0 < int(found[2]) <= 3600
    return int(found[1])


def test_answers_tell_what_is_left_and_then_wait(limited: Callable[..., httpx.Client]) -> None:
    http = limited()
    answers = [http.get("/v1/jobs") for _ in range(6)]
    assert [left(a) for a in answers] == [5, 4, 3, 2, 1, 0]
    assert {policy(a) for a in answers} == {'"reads";q=6;w=3600'}
    refused = http.get("/v1/credits")
    problem = assert_problem(refused, 429, "too_many_requests")
    assert (problem["policy"], problem["limit"], problem["retryable"]) == ("reads", 6, True)
    assert int(refused.headers["retry-after"]) == problem["retry_after"]
    assert left(refused) == 0
    # Each kind of route by itself.
    uploads = [http.post("/v1/uploads", json={"filename": "a.mp3", "size": 1}) for _ in range(3)]
    assert [a.status_code for a in uploads] == [201, 201, 429]
    assert policy(uploads[0]) == '"uploads";q=2;w=3600'


def test_what_is_not_found_or_not_valid_counts_too(limited: Callable[..., httpx.Client]) -> None:
    http = limited()
    for _ in range(6):
        assert http.get("/v1/jobs/job_" + "0" * 26).status_code == 404
    assert_problem(http.get("/v1/jobs/nonsense"), 429, "too_many_requests")
    codes = [http.post("/v1/jobs", json={"no": "job"}).status_code for _ in range(5)]
    assert codes == [422] * 4 + [429]


def test_nobody_is_counted_by_address_and_does_not_shut_others_out(
    limited: Callable[..., httpx.Client],
) -> None:
    nobody, forger, person = limited(""), limited("Bearer nonsense"), limited()
    assert policy(nobody.get("/v1/capabilities")) == '"anonymous";q=5;w=3600'
    refused = forger.get("/v1/jobs")
    assert (refused.status_code, left(refused)) == (401, 3)
    assert nobody.get("/nowhere").status_code == 404
    assert nobody.post("/v1/capabilities").status_code == 405
    assert nobody.get("/v1/jobs").status_code == 401
    for answer in (forger.get("/v1/jobs"), nobody.get("/nowhere"), nobody.get("/v1/packs")):
        assert_problem(answer, 429, "too_many_requests")
    # Who has a valid token comes from the same address, and so does the load balancer.
    assert person.get("/v1/jobs").status_code == 200
    assert nobody.get("/healthz").status_code == 200
    assert "ratelimit" not in nobody.get("/healthz").headers
    codes = [nobody.get("/v1/auth/providers").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]


def test_nothing_fails_when_the_table_does_not_answer(
    settings: Settings, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.api.service.SHARE_SECONDS", 0.01)
    application = Application(msgspec.structs.replace(settings, rate_limits="reads=20/3600"))
    asked = []

    def silent(*given: object) -> int:
        asked.append(given)
        raise Unavailable("No answer.")

    monkeypatch.setattr(application.operational_table, "add", silent)
    token = person.http.headers["Authorization"]
    with serving(application) as other, client(other.url, Authorization=token) as http:
        codes = [http.get("/v1/credits").status_code for _ in range(21)]
        assert codes == [200] * 20 + [429]
    assert asked


def test_another_process_counts_as_well(
    settings: Settings, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.api.service.SHARE_SECONDS", 0.02)
    few = msgspec.structs.replace(settings, rate_limits="reads=50/3600")
    token = person.http.headers["Authorization"]
    with (
        serving(Application(few)) as one,
        serving(Application(few)) as two,
        client(one.url, Authorization=token) as first,
        client(two.url, Authorization=token) as second,
    ):
        served = 0
        while first.get("/v1/credits").status_code == 200:
            served += 1
            served += second.get("/v1/credits").status_code == 200
        assert 50 <= served <= 80


def test_only_a_trusted_proxy_says_whose_address_it_is(settings: Settings) -> None:
    def of(**change: str) -> object:
        told = msgspec.structs.replace(settings, **change)
        config = configuration(told, Application(told), "127.0.0.1", 0)
        config.load()
        return config.loaded_app

    assert not isinstance(of(), ProxyHeadersMiddleware)
    behind = of(trusted_proxies="10.0.0.0/8")
    assert isinstance(behind, ProxyHeadersMiddleware)
    assert "10.1.2.3" in behind.trusted_hosts
    assert "127.0.0.1" not in behind.trusted_hosts

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from handlers.cli.answers import Asset
from handlers.cli.client import Api
from handlers.cli.outcome import BAD_INPUT, FAILED, Problem, Unreachable, exit_code

Answer = Callable[[httpx.Request], httpx.Response]
ASSET = {"asset_id": "ast_1", "status": "ready"}
SESSION = {"access_token": "t1", "expires_in": 900, "user_id": "usr_1"}


class Server:
    """Answers sign-ins itself, everything else from a list."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.sessions = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/session":
            self.sessions += 1
            return httpx.Response(200, json=SESSION | {"access_token": f"t{self.sessions}"})
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(server: Server, waits: list[float] | None = None, told: list[str] | None = None) -> Api:
    return Api(
        "http://api.test",
        "a@b.c",
        transport=httpx.MockTransport(server),
        pause=waits.append if waits is not None else (lambda _: None),
        notice=told.append if told is not None else (lambda _: None),
    )


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    document = {"code": code, "detail": f"It is {code}.", "status": status}
    return httpx.Response(status, content=json.dumps(document), headers=headers)


def test_it_signs_in_by_itself_and_again_when_the_token_has_died() -> None:
    server = Server(problem(401, "unauthenticated"), httpx.Response(200, json=ASSET))
    assert client(server).get("/v1/library/ast_1", Asset).status == "ready"
    assert [r.headers["Authorization"] for r in server.requests] == ["Bearer t1", "Bearer t2"]


def test_a_token_that_is_refused_twice_is_an_error() -> None:
    server = Server(problem(401, "unauthenticated"), problem(401, "unauthenticated"))
    with pytest.raises(Problem) as raised:
        client(server).get("/v1/library/ast_1", Asset)
    assert (raised.value.code, exit_code(raised.value)) == ("unauthenticated", FAILED)


def test_what_may_be_retried_is_retried_after_the_told_time() -> None:
    waits: list[float] = []
    server = Server(
        problem(503, "unavailable", **{"Retry-After": "2"}),
        problem(409, "conflict"),
        httpx.Response(200, json=ASSET),
    )
    client(server, waits).post("/v1/uploads", {"a": 1}, Asset, key="k")
    assert waits[0] == 2
    assert len(waits) == 2
    assert {r.headers["Idempotency-Key"] for r in server.requests} == {"k"}


@pytest.mark.parametrize("code", ["asset_not_ready", "idempotency_key_reused"])
def test_other_refusals_come_back_at_once(code: str) -> None:
    waits: list[float] = []
    server = Server(problem(409 if code == "asset_not_ready" else 422, code))
    with pytest.raises(Problem, match=f"It is {code}"):
        client(server, waits).post("/v1/jobs", {}, Asset)
    assert waits == []


def test_retries_end() -> None:
    server = Server(*[problem(503, "unavailable") for _ in range(20)])
    with pytest.raises(Problem):
        client(server).get("/v1/library/ast_1", Asset)
    assert 2 < len(server.requests) < 10


def test_a_stack_that_restarts_is_waited_for() -> None:
    server = Server(
        httpx.Response(200, json=ASSET),
        httpx.ConnectError("refused"),
        httpx.ConnectError("refused"),
        httpx.Response(200, json=ASSET),
    )
    told: list[str] = []
    api = client(server, told=told)
    api.get("/v1/library/ast_1", Asset)
    assert told == []
    assert api.get("/v1/library/ast_1", Asset).status == "ready"
    assert told == ["the API does not answer; trying again for 60 s"]


def test_an_api_that_was_never_there_is_not() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    api = Api("http://api.test", "a@b.c", transport=httpx.MockTransport(refuse))
    with pytest.raises(Unreachable, match="splitsound up"):
        api.get("/v1/credits", Asset)


def test_something_else_at_the_address_is_said_so() -> None:
    server = Server(httpx.Response(200, content=b"<html>"))
    with pytest.raises(Unreachable, match="does not answer like"):
        client(server).get("/v1/credits", Asset)


def test_the_exit_code_tells_bad_input_from_bad_luck() -> None:
    assert exit_code(Problem("unknown_model", "", 422)) == BAD_INPUT
    assert exit_code(Problem("upload_too_large", "", 413)) == BAD_INPUT
    assert exit_code(Problem("not_enough_credits", "", 402)) == FAILED
    assert exit_code(Problem("unavailable", "", 503)) == FAILED


def test_what_operators_hold_shut_is_told_at_once() -> None:
    server = Server(problem(503, "paused", **{"Retry-After": "900"}))
    with pytest.raises(Problem) as raised:
        client(server).post("/v1/uploads", {"a": 1}, Asset, key="k")
    assert (raised.value.code, exit_code(raised.value)) == ("paused", FAILED)
    assert len(server.requests) == 1

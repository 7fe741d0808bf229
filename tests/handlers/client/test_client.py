from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from domain.errors import Invalid
from handlers.cli.outcome import BAD_INPUT, FAILED, exit_code
from handlers.client.bodies import Asset, JobWish, NewUpload, Session, Upload
from handlers.client.client import Client
from handlers.client.credentials import Access, ApiKey, BrowserNeeded, LocalSignIn, Renewing
from handlers.client.problems import (
    BadRequest,
    NotNow,
    PaymentNeeded,
    Problem,
    ServerTrouble,
    SignInNeeded,
    Unreachable,
)
from tests.handlers.client.answered import document

Answer = Callable[[httpx.Request], httpx.Response]
ASSET = document(Asset, asset_id="ast_1", status="ready")
UPLOAD = document(Upload, asset_id="ast_1", status="uploading")
PAGE = "http://127.0.0.1:1/authorize?state=s"
WISH = NewUpload(filename="a.mp3", size=1)


class Server:
    """Answers sign-ins itself, everything else from a list."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.sessions = 0
        self.signed_out = 0
        self.steps: list[str] = []
        self.providers = [{"name": "local", "title": "here", "login": "/v1/auth/local/login"}]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/v1/auth/"):
            return self.signing_in(request)
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def signing_in(self, request: httpx.Request) -> httpx.Response:
        """The steps of a sign-in."""
        self.steps.append(request.url.path.removeprefix("/v1/auth/"))
        match self.steps[-1]:
            case "providers":
                return httpx.Response(200, json={"items": self.providers})
            case "local/login":
                return httpx.Response(303, headers={"Location": PAGE})
            case "callback":
                assert dict(request.url.params) == {"code": "c", "state": "s", "iss": "i"}
                return httpx.Response(303, headers={"Location": "https://app.example/"})
        assert request.headers["X-Requested-With"]
        self.sessions += 1
        if self.signed_out:
            self.signed_out -= 1
            return problem(401, "session_ended")
        session = document(Session, access_token=f"t{self.sessions}", user_id="usr_1")
        return httpx.Response(200, json=session)


def provider(request: httpx.Request) -> httpx.Response:
    """Where an address is typed."""
    assert str(request.url) == PAGE
    if b"nonsense" in request.content:
        return httpx.Response(422, json={"error": "x", "error_description": "No address."})
    back = "http://api.test/v1/auth/callback?code=c&state=s&iss=i"
    return httpx.Response(303, headers={"Location": back})


def signing_in(email: str = "a@b.c") -> LocalSignIn:
    return LocalSignIn(email, transport=httpx.MockTransport(provider))


def client(
    server: Server, waits: list[float] | None = None, told: list[str] | None = None
) -> Client:
    return Client(
        "http://api.test",
        signing_in(),
        transport=httpx.MockTransport(server),
        pause=waits.append if waits is not None else (lambda _: None),
        notice=told.append if told is not None else (lambda _: None),
    )


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    told = {"code": code, "detail": f"It is {code}.", "status": status, "retryable": status > 499}
    return httpx.Response(status, content=json.dumps(told), headers=headers)


def test_it_signs_in_by_itself_and_again_when_the_token_has_died() -> None:
    server = Server(problem(401, "unauthenticated"), httpx.Response(200, json=ASSET))
    assert client(server).get_asset("ast_1").status == "ready"
    assert [r.headers["Authorization"] for r in server.requests] == ["Bearer t1", "Bearer t2"]


def test_a_token_that_is_refused_twice_is_an_error() -> None:
    server = Server(problem(401, "unauthenticated"), problem(401, "unauthenticated"))
    with pytest.raises(Problem) as raised:
        client(server).get_asset("ast_1")
    assert (raised.value.code, exit_code(raised.value)) == ("unauthenticated", FAILED)


def test_what_may_be_retried_is_retried_after_the_told_time() -> None:
    waits: list[float] = []
    server = Server(
        problem(503, "unavailable", **{"Retry-After": "2"}),
        problem(409, "conflict"),
        httpx.Response(201, json=UPLOAD),
    )
    client(server, waits).start_upload(WISH, idempotency_key="k")
    assert waits[0] == 2
    assert len(waits) == 2
    assert {r.headers["Idempotency-Key"] for r in server.requests} == {"k"}


@pytest.mark.parametrize("code", ["asset_not_ready", "idempotency_key_reused"])
def test_other_refusals_come_back_at_once(code: str) -> None:
    waits: list[float] = []
    server = Server(problem(409 if code == "asset_not_ready" else 422, code))
    with pytest.raises(Problem, match=f"It is {code}"):
        client(server, waits).create_job(JobWish(asset_id="ast_1"))
    assert waits == []


def test_retries_end() -> None:
    server = Server(*[problem(503, "unavailable") for _ in range(20)])
    with pytest.raises(Problem):
        client(server).get_asset("ast_1")
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
    api.get_asset("ast_1")
    assert told == []
    assert api.get_asset("ast_1").status == "ready"
    assert told == ["the API does not answer; trying again for 60 s"]


def test_an_api_that_was_never_there_is_not() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    api = Client("http://api.test", ApiKey("k"), transport=httpx.MockTransport(refuse))
    with pytest.raises(Unreachable, match=r"No API answers at http://api\.test"):
        api.get_credits()


def test_something_else_at_the_address_is_said_so() -> None:
    server = Server(httpx.Response(200, content=b"<html>"))
    with pytest.raises(Unreachable, match="does not answer like"):
        client(server).get_credits()


def test_the_exit_code_tells_bad_input_from_bad_luck() -> None:
    assert exit_code(Problem("unknown_model", "", 422)) == BAD_INPUT
    assert exit_code(Problem("upload_too_large", "", 413)) == BAD_INPUT
    assert exit_code(Problem("not_enough_credits", "", 402)) == FAILED
    assert exit_code(Problem("unavailable", "", 503)) == FAILED


def test_what_operators_hold_shut_is_told_at_once() -> None:
    server = Server(problem(503, "paused", **{"Retry-After": "900"}))
    with pytest.raises(Problem) as raised:
        client(server).start_upload(WISH, idempotency_key="k")
    assert (raised.value.code, exit_code(raised.value)) == ("paused", FAILED)
    assert len(server.requests) == 1


def test_an_api_key_is_the_token_and_is_not_asked_for_twice() -> None:
    server = Server(problem(401, "unauthenticated"))
    api = Client("http://api.test", ApiKey("sk_1"), transport=httpx.MockTransport(server))
    with pytest.raises(SignInNeeded):
        api.get_asset("ast_1")
    assert [r.headers["Authorization"] for r in server.requests] == ["Bearer sk_1"]
    assert server.sessions == 0


def test_tokens_may_come_from_elsewhere() -> None:
    server = Server(problem(401, "unauthenticated"), httpx.Response(200, json=ASSET))
    tokens = iter(["old", "new"])
    renewing = Renewing(lambda: Access(next(tokens), "usr_1"))
    api = Client("http://api.test", renewing, transport=httpx.MockTransport(server))
    assert api.get_asset("ast_1").asset_id == "ast_1"
    assert [r.headers["Authorization"] for r in server.requests] == ["Bearer old", "Bearer new"]
    assert api.user_id == "usr_1"


def test_a_post_that_is_sent_again_has_the_key_of_the_first_time() -> None:
    broken = httpx.ReadError("cut")
    server = Server(
        httpx.Response(201, json=UPLOAD), broken, httpx.Response(201, json=UPLOAD),
    )  # fmt: skip
    api = client(server)
    api.start_upload(WISH)
    api.start_upload(WISH)
    first, second, again = (r.headers["Idempotency-Key"] for r in server.requests)
    assert second == again != first


def test_problems_are_told_apart_and_carry_what_they_say() -> None:
    told = {
        "code": "not_enough_credits", "detail": "Too few.", "required": 9, "available": 1,
        "missing": 8, "request_id": "req_1", "retryable": False,
    }  # fmt: skip
    limited = {"code": "odd", "detail": "Busy.", "retryable": True}
    wrong = {"code": "invalid_request", "detail": "No.", "errors": [{"pointer": "#/size"}]}
    for status, document_, kind in (
        (402, told, PaymentNeeded), (409, limited, NotNow),
        (422, wrong, BadRequest), (500, limited, ServerTrouble), (418, limited, Problem),
    ):  # fmt: skip
        answer = httpx.Response(status, json=document_, headers={"Retry-After": "3"})
        with pytest.raises(Problem) as raised:
            client(Server(answer)).get_asset("ast_1")
        problem_ = raised.value
        assert type(problem_) is kind
        assert (problem_.code, problem_.detail) == (document_["code"], document_["detail"])
        assert problem_.may_repeat == document_.get("retryable", False)
        assert problem_.retry_after == 3
        if kind is PaymentNeeded:
            assert (problem_.extra["missing"], problem_.request_id) == (8, "req_1")
        if kind is BadRequest:
            assert problem_.errors == [{"pointer": "#/size"}]


def test_members_and_values_of_later_releases_are_taken() -> None:
    later = ASSET | {"status": "archived", "mood": "sad"}
    assert client(Server(httpx.Response(200, json=later))).get_asset("ast_1").status == "archived"


def test_what_is_left_out_of_a_request_is_not_sent() -> None:
    server = Server(httpx.Response(201, json=UPLOAD))
    client(server).start_upload(WISH)
    assert json.loads(server.requests[0].content) == {"filename": "a.mp3", "size": 1}


def test_a_token_that_died_is_refreshed_and_after_the_session_comes_another() -> None:
    server = Server(*[problem(401, "unauthenticated"), httpx.Response(200, json=ASSET)] * 2)
    api = client(server)
    api.get_asset("ast_1")
    assert server.steps == ["providers", "local/login", "callback", "refresh", "refresh"]
    server.signed_out = 1
    api.get_asset("ast_1")
    assert server.steps[5:] == ["refresh", "providers", "local/login", "callback", "refresh"]


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ([], "signs nobody in"),
        ([{"name": "google", "title": "Google", "login": "/x"}], "with Google, in a browser"),
    ],
)
def test_where_people_sign_in_with_a_browser_a_key_is_asked_for(
    providers: list[dict[str, str]], said: str
) -> None:
    server = Server()
    server.providers = providers
    with pytest.raises(BrowserNeeded, match=f"{said}.*SPLITSOUND_API_KEY") as raised:
        client(server).authenticate()
    assert exit_code(raised.value) == BAD_INPUT


def test_what_is_no_address_is_bad_input() -> None:
    api = Client("http://api.test", signing_in("nonsense"), transport=httpx.MockTransport(Server()))
    with pytest.raises(Invalid, match="No address") as raised:
        api.authenticate()
    assert exit_code(raised.value) == BAD_INPUT

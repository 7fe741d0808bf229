"""A whole run, watched: one trace from the request to the rows, and logs that keep secrets."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from infra.local.stack import LocalStack
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# The stack starts, a network is loaded and a song is separated.
pytestmark = pytest.mark.slow


class Span(Struct, frozen=True):
    """What arrived. told: attributes as text."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    told: str


class Receiver:
    """Takes OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, request: Any) -> None:
        for resource in request.resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Span(named["service.name"], s.name, s.trace_id.hex(), s.span_id.hex(),
                         s.parent_span_id.hex(), str(s.attributes))
                    for s in scope.spans
                ]  # fmt: skip

    def of(self, trace: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace == trace]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Run(Struct, frozen=True):
    """What happened. secrets: everything that no log may say, by what it is."""

    spans: list[Span]
    logs: dict[str, str]
    secrets: dict[str, str]
    corr: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, song: bytes) -> Run:
    """One stack with a receiver; a song goes through it, and much that is refused."""
    receiver = Receiver()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with LocalStack(tmp_path_factory.mktemp("observed"), settings=IMPATIENT) as stack:
            secrets, corr = _live(stack, song, receiver)
            secrets |= _kept_by(stack)
            logs_at = stack.logs
        # What was being sent when they stopped is there too.
        logs = {path.name: path.read_text() for path in logs_at.glob("*.log*")}
    receiver.close()
    return Run(receiver.of(TRACE), logs, secrets, corr)


def _live(stack: LocalStack, song: bytes, receiver: Receiver) -> tuple[dict[str, str], str]:
    ann = Browser(stack.api_url, "very.secret.address@example.com")
    secrets = {"e-mail address": ann.email, "token": ann.http.headers["Authorization"][7:]}
    asset = ann.upload(song, "Very Secret Song.wav")
    secrets["file name"] = "Very Secret Song"
    assert ann.probed(asset)["status"] == "ready"
    answer = ann.http.post(
        "/v1/jobs",
        json={"asset_id": asset},
        headers={
            "traceparent": f"00-{TRACE}-{CALLER}-01",
            "Idempotency-Key": "very-secret-key",
            "Cookie": "refresh=very-secret-cookie",
        },
    )
    secrets |= {"idempotency key": "very-secret-key", "cookie": "very-secret-cookie"}
    job = answer.json()["job_id"]
    # Whoever asks for the job before the projector came brings its row to date by the asking.
    _until(lambda: {"project jobs", "project credits"} <= _written(receiver.of(TRACE)))
    ended = ann.ended(job)
    assert ended["status"] == "completed", ended
    for number, found in enumerate(re.findall(r"X-Amz-Signature=(\w+)", json.dumps(ended))):
        secrets[f"signature {number}"] = found
    made = ann.post("/v1/api-keys", {"name": "Very Secret Name", "scopes": ["read"]})
    secrets |= {"API key": made["key"], "name of a key": "Very Secret Name"}
    refused = {
        "Authorization": f"Bearer {made['key'][:-3]}xyz",
        "Cookie": "refresh=very-secret-cookie",
    }
    assert ann.http.get("/v1/jobs?word=very-secret-query", headers=refused).status_code == 401
    assert ann.http.post("/v1/jobs", content=b'{"very-secret-body').status_code == 400
    assert ann.http.post("/v1/jobs", json={"very-secret-body": 1}).status_code == 422
    assert (
        ann.http.post(
            "/v1/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": "v1=very-secret-sig"}
        ).status_code
        == 400
    )
    secrets |= {"query": "very-secret-query", "body": "very-secret-body",
                "signature of a webhook": "very-secret-sig"}  # fmt: skip
    _until(lambda: "write rows" in {s.name for s in receiver.of(TRACE)}
           and _ended_in_rows(receiver.of(TRACE)))  # fmt: skip
    return secrets, str(answer.headers["x-request-id"])


def _kept_by(stack: LocalStack) -> dict[str, str]:
    """The stack's own secrets."""
    names = ("AWS_SECRET_ACCESS_KEY", "SPLITSOUND_STRIPE_API_KEY",
             "SPLITSOUND_STRIPE_WEBHOOK_SECRETS")  # fmt: skip
    return {name: stack.environment[name] for name in names if stack.environment.get(name)}


def _written(spans: list[Span]) -> set[str]:
    """What wrote rows."""
    names = {span.id: span.name for span in spans}
    return {names.get(span.parent, "") for span in spans if span.name == "write rows"}


def _ended_in_rows(spans: list[Span]) -> bool:
    """Whether the last commit of the worker has come to the rows."""
    worked = {s.id for s in spans if s.name == "separate"}
    rung = {s.id for s in spans if s.name == "publish" and s.parent in worked}
    return any(s.name == "project jobs" and s.parent in rung for s in spans)


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the trace did not come"
        time.sleep(0.1)


def test_one_trace_from_the_request_to_the_rows(run: Run) -> None:
    by_id = {span.id: span for span in run.spans}

    def path(span: Span) -> list[tuple[str, str]]:
        """From the caller's span to this one."""
        above = path(by_id[span.parent]) if span.parent in by_id else []
        return [*above, (span.service.removeprefix("splitsound-"), span.name)]

    roots = [span for span in run.spans if span.parent not in by_id]
    assert [(root.name, root.parent) for root in roots] == [("POST /v1/jobs", CALLER)]
    paths = {tuple(path(span)) for span in run.spans}
    accepted = (
        ("api", "POST /v1/jobs"),
        ("api", "command RequestSeparation"),
        ("relay", "publish"),
    )
    worked = (*accepted, ("worker", "separate"))
    told = (*worked, ("relay", "publish"))
    for expected in (
        (*accepted, ("projector", "project jobs"), ("projector", "write rows")),
        (*accepted, ("projector", "project credits"), ("projector", "write rows")),
        (*worked, ("worker", "stage download")),
        (*worked, ("worker", "stage separate")),
        (*told, ("projector", "project jobs"), ("projector", "write rows")),
        (*told, ("projector", "project credits"), ("projector", "write rows")),
    ):
        assert expected in paths, (expected, sorted(paths))
    # Stems are stored while the next ones are made, so below another stage.
    stages = {path[-1][1] for path in paths if path[: len(worked)] == worked}
    assert stages >= {f"stage {name}" for name in ("download", "probe", "separate", "upload")}


def test_spans_tell_nothing_personal(run: Run) -> None:
    text = "\n".join(f"{span.name} {span.told}" for span in run.spans)
    for what, secret in run.secrets.items():
        assert secret not in text, what
    assert "http.route" in text
    assert "X-Amz" not in text
    assert "http://" not in text


def test_no_log_says_a_secret(run: Run) -> None:
    assert {"api.log", "relay.log", "projector.log", "worker-1.log", "sweeper.log"} <= set(run.logs)
    assert len(run.secrets) > 12
    for name, text in run.logs.items():
        for what, secret in run.secrets.items():
            assert secret not in text, f"{name} says the {what}"
        assert "X-Amz-Signature=" not in text, name


def test_the_lines_of_all_processes_name_the_trace(run: Run) -> None:
    for name in ("api.log", "worker-1.log"):
        lines = [json.loads(line) for line in run.logs[name].splitlines() if TRACE in line]
        assert lines, name
        assert {line["trace_id"] for line in lines} == {TRACE}

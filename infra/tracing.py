"""Traces: W3C trace context everywhere, OpenTelemetry spans where somebody takes them.

A ``traceparent`` (W3C Trace Context, level 1) comes in with a request or is made there. Commits
and doorbells carry it on, so that what a request causes in other processes is found by its
trace id: in their log lines always, and in spans when OTEL_EXPORTER_OTLP_ENDPOINT (or the one of
traces alone) is set. Without it nothing of OpenTelemetry is imported.

Spans say what was done to which stream. They carry no URL, header, body, name or address.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span

SERVER, CONSUMER, PRODUCER, INTERNAL = "SERVER", "CONSUMER", "PRODUCER", "INTERNAL"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_current: ContextVar[str] = ContextVar("traceparent", default="")
_tracer: Any = None


class Stage:
    """What is being done. trace: the traceparent of whatever it causes; empty outside a trace."""

    __slots__ = ("_span", "trace")

    def __init__(self, trace: str, span: Span | None = None) -> None:
        self.trace, self._span = trace, span

    def tell(self, name: str = "", failed: bool = False, **facts: str | int) -> None:
        """What is known only now. name: instead of the first one."""
        if self._span is None:
            return
        if name:
            self._span.update_name(name)
        self._span.set_attributes({_dotted(key): value for key, value in facts.items()})
        if failed:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR)


def current() -> str:
    """The traceparent of what is being done here; empty outside a trace."""
    return _current.get()


def trace_id() -> str:
    """Of the trace that this is part of; empty outside one."""
    return _current.get()[3:35]


def valid(header: str | None) -> str:
    """The traceparent that a client sent; empty where it is none."""
    found = _PARENT.fullmatch(header or "")
    if found:
        version, trace, parent, flags, rest = found.groups()
        known = version != "ff" and (version != "00" or not rest)
        if known and trace.strip("0") and parent.strip("0"):
            return f"00-{trace}-{parent}-{int(flags, 16) & 1:02x}"
    return ""


def packed(traceparent: str) -> bytes:
    """In 25 bytes instead of 55: commits are read and paid for by the KB."""
    return bytes.fromhex(traceparent[3:].replace("-", ""))


def unpacked(stored: bytes | str) -> str:
    """What was packed; Lambda shows binary attributes in base64. Empty where it is none."""
    text = (base64.b64decode(stored) if isinstance(stored, str) else stored).hex()
    return valid(f"00-{text[:32]}-{text[32:48]}-{text[48:]}")


@contextmanager
def stage(
    name: str, parent: str | None = None, kind: str = INTERNAL, **facts: str | int
) -> Iterator[Stage]:
    """A span while the block runs, if spans are sent; its trace is the current one meanwhile.

    parent: a traceparent, the current one unless told. Outside a trace nothing but a SERVER's
    stage begins one. An exception marks it as failed by its class; what it says may be personal.
    """
    parent = _current.get() if parent is None else parent
    begins = kind == SERVER and not parent
    span = None
    if _tracer is not None and (parent or begins):
        span = _begun(name, parent, kind, facts)
        parent = _traceparent(span)
    elif begins:
        # Whoever takes spans, once somebody sends them, is to take those of this trace too.
        parent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    made = Stage(parent, span)
    token = _current.set(made.trace)
    try:
        yield made
    except BaseException as error:
        made.tell(failed=True, error_type=type(error).__name__)
        raise
    finally:
        _current.reset(token)
        if span is not None:
            span.end()


@contextmanager
def exporting(component: str, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Send this process's spans while the block runs, if the environment says where to.

    The standard OTEL_* variables mean what they always do; the service is called
    ``splitsound-<component>`` unless OTEL_SERVICE_NAME says otherwise.
    """
    global _tracer  # noqa: PLW0603 - a process has one, as OpenTelemetry's own
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    none = environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    if off or none or not any(environment.get(name) for name in _ENDPOINTS):
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = environment.get("OTEL_SERVICE_NAME") or f"splitsound-{component}"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: named}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("splitsound")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def _begun(name: str, parent: str, kind: str, facts: Mapping[str, str | int]) -> Span:
    from opentelemetry import trace as api

    begun: Span = _tracer.start_span(
        name,
        api.set_span_in_context(_remote(parent) if parent else api.INVALID_SPAN),
        kind=api.SpanKind[kind],
        attributes={_dotted(key): value for key, value in facts.items()},
    )
    return begun


def _remote(parent: str) -> Span:
    from opentelemetry import trace as api

    _, trace, span, flags = parent.split("-")
    sampled = api.TraceFlags(int(flags, 16))
    return api.NonRecordingSpan(
        api.SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=sampled)
    )


def _traceparent(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _dotted(key: str) -> str:
    """``http_route`` is ``http.route``, after OpenTelemetry's conventions; the rest is ours."""
    known = key.startswith(("http_", "error_"))
    return _SPECIAL.get(key, key.replace("_", ".")) if known else f"splitsound.{key}"


_SPECIAL = {"http_response_status_code": "http.response.status_code"}

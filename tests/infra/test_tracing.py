"""Trace context: what comes in, what is passed on, and that nothing is loaded for nobody."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from infra import tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (GOOD, GOOD),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        # Of a later version we read what we know.
        (f"cc-{TRACE}-{SPAN}-ff-what-comes", GOOD),
        (f"00-{TRACE}-{SPAN}-01-more", ""),
        (f"ff-{TRACE}-{SPAN}-01", ""),
        (f"00-{TRACE.upper()}-{SPAN}-01", ""),
        (f"00-{'0' * 32}-{SPAN}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE}-{SPAN}", ""),
        ("nonsense", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_traceparent_is_one_or_none(header: str | None, accepted: str) -> None:
    assert tracing.valid(header) == accepted


def test_packing_for_storage_loses_nothing_and_breaks_over_nothing() -> None:
    packed = tracing.packed(GOOD)
    assert len(packed) == 25
    assert tracing.unpacked(packed) == GOOD
    # As Lambda gives it.
    assert tracing.unpacked(base64.b64encode(packed).decode()) == GOOD
    assert tracing.unpacked(b"") == tracing.unpacked(b"else") == ""


def test_a_trace_is_passed_on_and_only_a_server_begins_one() -> None:
    with tracing.stage("work", GOOD) as stage:
        assert (stage.trace, tracing.current(), tracing.trace_id()) == (GOOD, GOOD, TRACE)
        with tracing.stage("part") as part:
            assert part.trace == GOOD
    assert tracing.current() == ""
    with tracing.stage("work", "") as stage:
        assert stage.trace == ""
    with tracing.stage("GET", "", tracing.SERVER) as stage:
        assert tracing.valid(stage.trace)
        assert tracing.valid(stage.trace) == tracing.current()


def test_without_a_receiver_nothing_of_opentelemetry_is_loaded() -> None:
    code = (
        "import sys; from infra import tracing\n"
        "with tracing.exporting('api', {}), tracing.stage('x', '', tracing.SERVER) as s:\n"
        "    s.tell(http_route='/x')\n"
        "for off in ({'OTEL_SDK_DISABLED': 'true'}, {'OTEL_TRACES_EXPORTER': 'none'}):\n"
        "    with tracing.exporting('api', {'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://x'} | off):\n"
        "        pass\n"
        "import handlers.relay, handlers.projector\n"
        "print(*sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert "opentelemetry" not in done.stdout

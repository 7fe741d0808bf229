"""Whatever happens, when a song is over no prediction of its is left running, or paid for twice
while it is: the provider, the files' host, the worker and the user misbehave at random.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from domain.audio import Cancelled
from domain.errors import ModelError
from tests.infra.replicate.conftest import Desk, Notes, song
from tests.infra.replicate.provider import ENDED, Fault

CREATE, GET, LIST = "POST /v1/predictions", "GET /v1/predictions/{id}", "GET /v1/predictions"
CANCEL = "POST /v1/predictions/{id}/cancel"
PASSING = [Fault(), Fault(500), Fault(429), Fault(502, after=True), Fault(200, b"<html>")]
LOST = [Fault(after=True), Fault(502, after=True), Fault(200, b"<html>", after=True)]
# A cancellation that is refused for good, or an outage without end, no client can mend: then the
# Cancel-After header ends the prediction.
FAULTS = {
    CREATE: [*LOST, *LOST, Fault(), Fault(503), Fault(422)],
    LIST: [*PASSING, *[Fault(200, b'{"results": []}')] * 3],
    GET: [*PASSING, Fault(403), Fault(404)],
    CANCEL: PASSING,
    "GET target": [*PASSING[:3], Fault(404), Fault(cut=100)],
}


@some.composite
def misfortunes(draw: some.DrawFn) -> list[tuple[str, Fault]]:
    found = []
    for request, faults in FAULTS.items():
        chosen = draw(some.lists(some.sampled_from(faults), max_size=2))
        found += [(request, fault) for fault in chosen]
    return found


STATES = some.lists(some.sampled_from(["starting", "processing", "processing"]), max_size=5)
MIX = song(0.1)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    faults=misfortunes(),
    states=STATES,
    end=some.sampled_from([*sorted(ENDED), "succeeded", "succeeded", "processing"]),
    cancel_after=some.none() | some.integers(0, 12),
)
def test_nothing_is_left_running(
    faults: list[tuple[str, Fault]],
    states: list[str],
    end: str,
    cancel_after: int | None,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        desk = Desk(Path(directory))
        provider, memory = desk.provider, Notes()
        provider.states = [*states, end]
        for request, fault in faults:
            provider.fail(request, fault)
        asked = 0

        def cancelled() -> bool:
            nonlocal asked
            asked += bool(provider.made)
            return cancel_after is not None and asked > cancel_after

        try:
            hosted = desk.hosted(memory=memory)
            stems = desk.stems(hosted, MIX, cancelled=cancelled)
            assert stems["target"].shape == MIX.shape
        except (ModelError, Cancelled):
            pass
        finally:
            provider.close()
        assert provider.running == []
        assert provider.leaks == []
        assert not desk.work.exists() or not list(desk.work.iterdir())
        lost = sum(request == CREATE and fault in LOST for request, fault in faults)
        assert len(provider.made) <= 1 + lost

"""A projector's lag is that of commits that it had not seen before."""

from __future__ import annotations

from handlers.projector.vitals import Vitals
from infra.memory_table import MemoryTable
from infra.operations import Applied, Pulses
from infra.operations.pulses import PROJECTOR
from tests.world import StillClock


def test_a_doorbell_that_came_again_is_no_lag() -> None:
    clock = StillClock()
    pulses = Pulses(MemoryTable())
    vitals = Vitals("here", pulses, clock)
    committed = clock.time
    clock.time += 100
    vitals.applied("jobs", committed)
    clock.time += 60_000
    vitals.applied("jobs", committed)
    vitals.answer(clock.time)
    (pulse,) = pulses.of(PROJECTOR, clock.time)
    assert pulse.applied == {"jobs": Applied(committed, committed + 100)}

"""Places in the queue and estimated ends, and which workers are believed to live."""

from __future__ import annotations

import pytest

from domain.catalog import Model
from handlers.operating.lanes import NOTHING, Expected, Lane, Lanes, Rates
from handlers.operating.sightings import Sightings
from infra.operations import Speed, WorkerPulse
from projections.jobs import JobView

NOW = 1_700_000_000_000
COLD = 180.0
RATES = Rates(
    {"measured": Speed(cost=0.1, load=5.0)},
    {
        "gpu": Model("gpu", "GPU", ("a",), gpu=True),
        "dsp": Model("dsp", "DSP", ("a",), approximate=True),
    },
)


def waiting(name: str, seconds: float = 100, model: str = "measured", age: int = 0) -> JobView:
    return JobView(
        job_id=name, model=model, seconds=seconds, status="queued", changed=NOW - 1000 * age
    )


def running(name: str, seconds: float = 100, elapsed: int = 0, attempt: int = 1) -> JobView:
    began = NOW - 1000 * elapsed
    return JobView(
        job_id=name, model="measured", seconds=seconds, status="running", attempt=attempt,
        started=began, changed=began,
    )  # fmt: skip


def worker(name: str, *warm: str) -> WorkerPulse:
    return WorkerPulse(name, 0, ("short",), (), warm)


def lane(queued: list[JobView], active: list[JobView] | None = None, *workers: WorkerPulse) -> Lane:
    return Lane(queued, active or [], workers, RATES, NOW, COLD)


def after(found: Expected) -> float | None:
    """Seconds from now."""
    return None if found.ends is None else (found.ends - NOW) / 1000


def test_each_waits_for_those_before_it() -> None:
    jobs = [waiting("a"), waiting("b", 50), waiting("c")]
    one = lane(jobs, [running("r", elapsed=4)], worker("w", "measured"))
    found = [one.expected(view, 0) for view in jobs]
    assert [each.position for each in found] == [1, 2, 3]
    assert [after(each) for each in found] == [6 + 10, 6 + 10 + 5, 6 + 10 + 5 + 10]


def test_two_workers_share_the_work() -> None:
    jobs = [waiting("a"), waiting("b"), waiting("c")]
    two = lane(jobs, [running("r", elapsed=6)], worker("w", "measured"), worker("v", "measured"))
    assert [after(two.expected(view, 0)) for view in jobs] == [10, 14, 20]


def test_a_model_that_nobody_has_in_memory_is_loaded_once() -> None:
    jobs = [waiting("a"), waiting("b")]
    cold = lane(jobs, [], worker("w"))
    assert [after(cold.expected(view, 0)) for view in jobs] == [15, 25]


def test_without_a_worker_one_has_to_come_first() -> None:
    jobs = [waiting("a", age=60), waiting("b")]
    nobody = lane(jobs)
    assert [after(nobody.expected(view, 0)) for view in jobs] == [120 + 15, 120 + 25]
    overdue = lane([waiting("a", age=1000)])
    assert after(overdue.expected(waiting("a"), 0)) == COLD + 15
    assert overdue.now().free_seconds is None


def test_a_running_job_ends_by_what_is_done_of_it() -> None:
    view = running("r", 100, elapsed=3)
    found = lane([], [view], worker("w")).expected(view, 0.75)
    assert (found.position, after(found)) == (None, 2.5)


def test_a_running_job_of_a_later_attempt_has_not_worked_since_the_first() -> None:
    again = running("r", 100, elapsed=2, attempt=2)
    again.started = NOW - 3_600_000
    found = lane([waiting("a")], [again], worker("w", "measured"))
    assert after(found.expected(waiting("a"), 0)) == 8 + 10


def test_one_that_is_overdue_or_from_the_future_still_takes_its_time() -> None:
    late, ahead = running("r", 100, elapsed=900), running("r", 100, elapsed=-900)
    assert after(lane([waiting("a")], [late], worker("w")).expected(waiting("a"), 0)) == 1 + 10
    assert after(lane([waiting("a")], [ahead], worker("w")).expected(waiting("a"), 0)) == 10 + 10


def test_one_that_came_since_is_behind_all_others() -> None:
    found = lane([waiting("a")], [], worker("w", "measured")).expected(waiting("new"), 0)
    assert (found.position, after(found)) == (2, 20)


def test_those_that_came_since_stand_behind_each_other() -> None:
    """Ten songs sent at once are not all told that they come next."""
    one = lane([waiting("a")], [], worker("w", "measured"))
    late = [waiting("b"), waiting("c"), waiting("d")]
    found = [one.expected(view, 0) for view in late]
    assert [each.position for each in found] == [2, 3, 4]
    assert [after(each) for each in found] == [20, 30, 40]
    assert [one.expected(view, 0) for view in late] == found


@pytest.mark.parametrize(("model", "seconds"), [("dsp", 5.5), ("gpu", 35.0), ("gone", 100.0)])
def test_what_was_never_measured_has_a_usual_speed(model: str, seconds: float) -> None:
    view = waiting("a", model=model)
    assert after(lane([view], [], worker("w")).expected(view, 0)) == seconds


def test_what_operators_paused_has_a_place_and_no_end() -> None:
    view = waiting("a")
    held = Lanes({"short": lane([view], [], worker("w"))}, frozenset({"model:measured"}))
    assert held.expected(view, 0) == Expected(1, None)
    assert held.expected(running("r"), 0.5).ends is not None


def test_of_an_ended_job_or_an_unknown_lane_nothing_is_said() -> None:
    lanes = Lanes({"short": lane([])}, frozenset())
    assert lanes.expected(JobView(job_id="a", status="completed"), 0) == NOTHING
    assert lanes.expected(JobView(job_id="a", status="queued", lane="fast"), 0) == NOTHING


class Timer:
    """Seconds that tests move by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("skew", [-7_200_000, 0, 7_200_000])
def test_a_worker_lives_while_its_pulse_changes_whatever_its_clock(skew: int) -> None:
    timer = Timer()
    sightings = Sightings(10, timer)

    def look(beat: int) -> list[str]:
        pulse = WorkerPulse("w", beat, ("short",))
        return [p.process for p in sightings.alive([pulse], NOW)]

    beat = NOW + skew
    assert look(beat) == (["w"] if skew == 0 else [])
    for _ in range(3):
        timer.now += 10
        beat += 10_000
        assert look(beat) == ["w"]
    timer.now += 29
    assert look(beat) == ["w"]
    timer.now += 2
    assert look(beat) == []


def test_a_worker_that_drains_is_not_counted() -> None:
    assert Sightings(10).alive([WorkerPulse("w", NOW, ())], NOW) == []

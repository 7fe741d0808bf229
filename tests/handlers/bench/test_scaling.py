from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from handlers.bench.scaling import (
    Fixed,
    Lane,
    Steps,
    Traffic,
    arrivals,
    compared,
    policy,
    simulate,
)
from handlers.bench.scaling_chart import draw
from tests.infra.stacks.policies import document

HOUR = 3600


def test_the_policy_is_the_stacks() -> None:
    steps = document("workers")["Resources"]["CpuScalingPolicy"]["Properties"]
    declared = steps["StepScalingPolicyConfiguration"]["StepAdjustments"]
    found = policy("CpuScalingPolicy")
    assert len(found.bounds) == len(declared)
    assert list(found.bounds)[:1] == [(0, 1)]
    assert found.linger == 900
    assert [found.wanted(w) for w in (0, 1, 120, 121, 900, 10_000)] == [0, 1, 1, 2, 4, 16]
    with pytest.raises(KeyError):
        policy("NoPolicy")


@pytest.mark.parametrize("name", ["CpuScalingPolicy", "GpuScalingPolicy"])
def test_steps_leave_no_gap_and_only_grow(name: str) -> None:
    properties = document("workers")["Resources"][name]["Properties"]
    steps = properties["StepScalingPolicyConfiguration"]["StepAdjustments"]
    for before, after in itertools.pairwise(steps):
        assert before["MetricIntervalUpperBound"] == after["MetricIntervalLowerBound"]
        assert before["ScalingAdjustment"] < after["ScalingAdjustment"]
    assert "MetricIntervalUpperBound" not in steps[-1]


def test_every_song_is_separated_and_the_same_songs_come_to_every_policy() -> None:
    traffic = Traffic(500)
    outcomes = [simulate(each, traffic) for _, each in compared(traffic)]
    assert {len(outcome.waits) for outcome in outcomes} == {500}
    assert len({round(outcome.work) for outcome in outcomes}) == 1


def test_a_first_song_waits_for_its_machine_and_a_lane_that_is_empty_costs_nothing() -> None:
    lane = Lane(Steps(((0, 1),), 900), cold=180)
    lane.queue.append((10, 30.0))
    for now in range(10, 3 * HOUR):
        lane.claim(now)
        if now % 60 == 0:
            lane.scale(now)
    # Seen at 60, acted on at 120, there at 300.
    assert lane.waits == [290]
    assert lane.tasks == []
    assert lane.paid <= 300 + 900 + 180


def test_a_task_at_work_is_never_stopped() -> None:
    lane = Lane(Steps(((0, 2),), 0), cold=0)
    lane.queue.extend([(0, 1000.0), (0, 10.0)])
    stopped_early = False
    for now in range(2000):
        lane.claim(now)
        before = [task for task in lane.tasks if task.until > now]
        if now % 60 == 0:
            lane.scale(now)
        stopped_early |= any(task not in lane.tasks for task in before)
    assert not stopped_early
    assert len(lane.waits) == 2


def test_more_tasks_wait_less_and_cost_more() -> None:
    traffic = Traffic(3_000)
    few, many = simulate(Fixed(2), traffic), simulate(Fixed(5), traffic)
    assert many.wait(0.95) <= few.wait(0.95)
    assert many.paid > few.paid
    assert many.busy < few.busy <= 1


def test_songs_come_at_the_hours_when_people_listen() -> None:
    import random

    songs = arrivals(Traffic(5_000), random.Random(3))
    evening = sum(18 * HOUR <= second < 22 * HOUR for second, _ in songs)
    morning = sum(6 * HOUR <= second < 10 * HOUR for second, _ in songs)
    assert evening > 1.5 * morning
    assert arrivals(Traffic(50), random.Random(3)) == arrivals(Traffic(50), random.Random(3))


def test_the_picture_is_svg(tmp_path: Path) -> None:
    path = tmp_path / "day.svg"
    draw(simulate(policy(), Traffic(200)), "A day", path)
    texts = [each.text for each in ET.parse(path).getroot().iter() if each.tag.endswith("text")]
    assert "A day" in texts
    assert "tasks that run" in texts

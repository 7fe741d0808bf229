"""What workers measured of models, as estimates read it."""

from __future__ import annotations

import pytest

from infra.bootstrap import Application
from infra.operations import Speed, WorkerPulse


def test_a_song_weighs_as_much_as_it_is_long(application: Application) -> None:
    speeds = application.speeds
    assert speeds.all() == {}
    speeds.note("fast", 1800, 180)
    assert speeds.all() == {"fast": Speed(cost=0.1, audio=1800)}
    speeds.note("fast", 6, 60)  # a jingle that was slow for once
    assert speeds.all()["fast"].cost == pytest.approx(0.13, abs=0.01)
    speeds.note("fast", 7200, 3600)
    assert speeds.all()["fast"].cost == pytest.approx(0.5, abs=0.01)


def test_a_click_is_not_believed_for_long(application: Application) -> None:
    speeds = application.speeds
    speeds.note("m", 1 / 44_100, 0.8)
    assert speeds.all()["m"].cost == pytest.approx(0.8)
    speeds.note("m", 180, 18)
    assert speeds.all()["m"].cost == pytest.approx(0.1, abs=0.01)


def test_nonsense_is_not_noted(application: Application) -> None:
    application.speeds.note("m", 0, 5)
    application.speeds.note("m", 5, 0)
    assert application.speeds.all() == {}


def test_load_times_stand_beside_it(application: Application) -> None:
    application.speeds.note_load("m", 10)
    application.speeds.note("m", 100, 50)
    application.speeds.note_load("m", 20)
    assert application.speeds.all() == {"m": Speed(cost=0.5, load=13.0, audio=100)}


def test_workers_say_what_they_serve(application: Application) -> None:
    pulses = application.pulses
    pulses.note_worker(WorkerPulse("w:1", 1000, ("probe", "short"), ("short",), ("spleeter",)))
    pulses.note_worker(WorkerPulse("w:2", 1000, ("gpu-long",)))
    pulses.note_worker(WorkerPulse("w:1", 2000, ()))
    assert pulses.workers() == [
        WorkerPulse("w:1", 2000, ()),
        WorkerPulse("w:2", 1000, ("gpu-long",)),
    ]

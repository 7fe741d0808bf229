"""What operators can shut, and what callers are told."""

from __future__ import annotations

import pytest

from domain import controls
from domain.controls import CONTROLS, ControlsState, Paused, Resumed
from domain.errors import Invalid
from domain.errors import Paused as IsPaused


def shut(subject: str, reason: str = "moving house", seconds: int = 300) -> ControlsState:
    return CONTROLS.fold(controls.pause(ControlsState(), subject, reason, seconds))


def test_pausing_again_changes_nothing_and_another_reason_replaces_the_first() -> None:
    state = shut("intake")
    assert controls.pause(state, "intake", " moving house ", 300) == []
    assert controls.pause(state, "intake", "fire", 300) == [Paused("intake", "fire", 300)]
    assert controls.pause(state, "intake", "moving house", 60) != []


def test_resuming_opens_and_what_is_open_stays_open() -> None:
    state = shut("model:two")
    assert controls.resume(state, "intake", "done") == []
    (resumed,) = controls.resume(state, "model:two", "done")
    assert resumed == Resumed("model:two", "done")
    assert CONTROLS.fold([resumed], state).paused == {}


@pytest.mark.parametrize(
    "subject", ["", "Intake", "intake:", "intake:x", "model", "model:", "model:a b", "user:ann",
                "projection:" + "x" * 101, "model:two\n"],
)  # fmt: skip
def test_other_subjects_are_refused(subject: str) -> None:
    with pytest.raises(Invalid, match="what can be paused is"):
        controls.pause(ControlsState(), subject, "why", 300)
    with pytest.raises(Invalid):
        controls.resume(ControlsState(), subject, "why")


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 501])
def test_a_reason_is_needed(reason: str) -> None:
    with pytest.raises(Invalid, match="1 to 500"):
        controls.pause(ControlsState(), "intake", reason, 300)
    with pytest.raises(Invalid, match="1 to 500"):
        controls.resume(shut("intake"), "intake", reason)


@pytest.mark.parametrize("seconds", [0, -1, 24 * 3600 + 1])
def test_callers_are_not_sent_away_for_ever(seconds: int) -> None:
    with pytest.raises(Invalid):
        controls.pause(ControlsState(), "intake", "why", seconds)


def test_a_pause_shuts_what_it_names_and_nothing_else() -> None:
    controls.require_open(shut("projection:jobs"), "two")
    controls.require_open(shut("model:four"), "two")
    controls.require_open(shut("model:four"))
    for state in (shut("intake"), shut("model:two")):
        with pytest.raises(IsPaused):
            controls.require_open(state, "two")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(1, "in a second"), (90, "90 seconds"), (300, "5 minutes"), (7200, "2 hours")],
)
def test_whoever_is_turned_away_is_told_why_and_until_when(seconds: int, told: str) -> None:
    with pytest.raises(IsPaused) as caught:
        controls.require_open(shut("intake", "moving house.", seconds))
    error = caught.value
    assert error.extra == {"subject": "intake", "retry_after": seconds}
    assert error.detail.startswith("New uploads and jobs are paused by the operators: moving hous")
    assert told in error.detail
    assert ".." not in error.detail
    with pytest.raises(IsPaused, match="The model two is paused"):
        controls.require_open(shut("model:two"), "two")

"""The cost sheet's figures of a song are what a song costs."""

from __future__ import annotations

import msgspec
import pytest

from domain.errors import Invalid
from handlers.bench import song_units
from handlers.operating import bill
from handlers.operating.bill import MODELS, Asked, egress
from infra.bootstrap import Application


def test_a_song_costs_what_the_cost_sheet_says(application: Application) -> None:
    measured = song_units.song(application)
    assert measured.commits == bill.COMMITS
    assert (measured.commands.writes, measured.rows.writes) == (
        bill.COMMAND_WRITES, bill.ROW_WRITES,
    )  # fmt: skip
    assert (measured.commands.reads, measured.rows.reads) == (bill.COMMAND_READS, bill.ROW_READS)


@pytest.mark.parametrize("model", MODELS)
def test_every_line_grows_with_the_songs_or_is_fixed(model: str) -> None:
    small = {line.name: line.dollars for line in bill.bill(Asked(100, 4, model))}
    large = {line.name: line.dollars for line in bill.bill(Asked(10_000, 4, model))}
    fixed = {name for name in small if small[name] == large[name]}
    always = {
        "load balancer", "alarms, metrics, dashboard", "keys and secrets", "API tasks",
        "webhook task",
    }  # fmt: skip
    assert fixed - {"hosted model"} == always
    assert all(large[name] >= small[name] >= 0 for name in small)


def test_nothing_but_what_always_runs_costs_without_songs() -> None:
    lines = {line.name: line.dollars for line in bill.bill(Asked(0, 4, "spleeter-2stems"))}
    assert lines["workers"] == lines["egress of stems"] == lines["table writes"] == 0
    assert 60 < sum(lines.values()) < 90


def test_egress_gets_cheaper() -> None:
    assert egress(100) == 0
    assert egress(101) == pytest.approx(0.09)
    assert egress(100 + 10_240 + 1) == pytest.approx(10_240 * 0.09 + 0.085)
    assert egress(1e6) < 1e6 * 0.06


def test_songs_cost_in_proportion_to_their_length() -> None:
    for minutes in (2, 4):
        [workers] = [
            line for line in bill.bill(Asked(1000, minutes, "htdemucs-cpu"))
            if line.name == "workers"
        ]  # fmt: skip
        assert workers.dollars == pytest.approx(
            1000 * 30.4 * minutes * 60 / 2.07 / 3600 / 0.6 * bill.CPU_HOUR
        )


def test_a_model_without_figures_is_named() -> None:
    with pytest.raises(Invalid, match="no figures for 'x'; name one of spleeter-2stems"):
        bill.bill(Asked(1, 1, "x"))
    assert msgspec.to_builtins(MODELS["htdemucs"])["measured"].startswith("assumed")

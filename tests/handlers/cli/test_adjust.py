"""Credits given and taken by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.bootstrap import Application
from tests.handlers.cli.forging import commits
from tests.handlers.cli.operators import Done, some_work, splitsound

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    some_work(application, 1)
    return lambda *arguments: splitsound(capsys, *arguments)


def test_credits_are_given_and_taken(shell: Shell, application: Application) -> None:
    before = shell("credits", "usr_0", "--json").data["spendable"]
    given = shell("adjust", "usr_0", "+100", "--reason", "for the trouble", "--json")
    assert (given.code, given.data["available"]) == (0, before + 100)
    taken = shell("adjust", "usr_0", "-20", "--reason", "given twice")
    assert taken.code == 0, taken.err
    assert "Taken" in taken.out
    assert f"available {before + 80:,}" in taken.out
    last = commits(application)[-1]
    assert last.actor.startswith("cli:")
    assert "given twice" in str(last.events)


def test_a_gift_has_its_own_source_priority_and_end(shell: Shell) -> None:
    options = ("--promotion", "--priority", "5", "--expires", "2999-01-31", "--reason", "new year")
    assert shell("adjust", "usr_0", "50", *options).code == 0
    told = shell("audit", "replay", "usr_0", "--json").data
    (gift,) = [g for g in told["grants"] if g["source"] == "promotion"]
    assert (gift["left"], gift["priority"], gift["expires"]) == (
        50, 5, "2999-01-31T23:59:59.999Z",
    )  # fmt: skip


@pytest.mark.parametrize(
    "amount", ["0", "-0", "1.5", "-1.5", "1e3", "ten", "", "1000000001", "9" * 5000, "+", "--20"]
)
def test_what_is_no_amount_is_refused(shell: Shell, application: Application, amount: str) -> None:
    before = len(commits(application))
    done = shell("adjust", "usr_0", amount, "--reason", "x")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert len(commits(application)) == before


def test_what_cannot_be_done_is_refused_clearly(shell: Shell) -> None:
    more = shell("adjust", "usr_0", "-1000000000", "--reason", "x")
    assert (more.code, "credits to take" in more.err) == (1, True)
    assert shell("adjust", "usr_0", "5").code == 2
    assert shell("adjust", "usr_0", "5", "--reason", " ").code == 2
    assert "leave them out" in shell("adjust", "usr_0", "-5", "--promotion", "--reason", "x").err
    late = shell("adjust", "usr_0", "5", "--expires", "2020-01-01", "--reason", "x")
    assert "over before they are there" in late.err
    assert "has no credit account" in shell("adjust", "usr_none", "5", "--reason", "x").err

"""What operators do to rows, messages and storage is kept, with who did it and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.acts import ACTS_OF_OPERATORS, STREAM, OperatorActed
from handlers.cli.hands import actor
from infra.bootstrap import Application
from tests.handlers.cli.operators import WHY, Done, some_work, splitsound

Shell = Callable[..., Done]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    """One user with one queued job."""
    some_work(application, 1)
    return lambda *arguments: splitsound(capsys, *arguments)


def kept(application: Application) -> list[tuple[str, str]]:
    """Act and subject of what the operator of these tests did."""
    found = []
    for commit in application.store.read(STREAM):
        assert commit.actor == actor()
        for event in ACTS_OF_OPERATORS.decode(str(commit.events)):
            assert isinstance(event, OperatorActed)
            assert event.reason == WHY[1]
            found.append((event.act, event.subject))
    return found


ACTS = [
    (("projections", "rebuild", "credits"), "rebuild", "projection:credits"),
    (("projections", "rollback", "credits"), "roll_back", "projection:credits@1"),
    (("projections", "drop", "credits"), "drop", "projection:credits@2"),
    (("projections", "verify", "jobs", "--repair"), "repair", "projection:jobs"),
    (("events", "republish", "--since", "2026-01-01"), "republish", "all, 2026-01-01T00"),
    (("media", "strays", "--delete"), "delete_strays", "older than 86400 s"),
]


def test_each_act_is_kept_and_none_is_done_without_a_reason(
    shell: Shell, application: Application
) -> None:
    for number, (words, act, subject) in enumerate(ACTS):
        assert shell(*words).code == 2
        assert len(kept(application)) == number
        # The song of this user was never really stored, which `media` exits with 1 for.
        assert shell(*words, *WHY).code == (words[0] == "media")
        assert kept(application)[-1][0] == act
        assert kept(application)[-1][1].startswith(subject)
    told = shell("events", "show", STREAM).out
    assert "OperatorActed" in told


def test_looking_is_no_act(shell: Shell, application: Application) -> None:
    for words in (
        ("projections", "rebuild", "jobs", "--dry-run"),
        ("projections", "verify", "jobs"),
        ("events", "republish", "--since", "1h", "--dry-run"),
        ("dead-letters", "redrive", "--all", *WHY),  # nothing is parked
    ):
        assert shell(*words).code == 0
    shell("media", "strays")
    refused = shell("projections", "drop", "jobs", "--generation", "1", *WHY)
    assert (refused.code, "is live" in refused.err) == (1, True)
    assert kept(application) == []

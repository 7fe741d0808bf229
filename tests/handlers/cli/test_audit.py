"""What auditors read: the statement and the stream, from events alone."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from domain import credits
from domain.aggregate import Event
from domain.commit import Append, Commit, Meta
from domain.credits import CREDITS, CreditsGranted, CreditsReserved
from domain.draws import Draw
from domain.errors import HistoryBroken
from handlers.cli.events import _checked, render, words
from handlers.cli.statements import require_lawful, show
from handlers.history import said, stream_name
from infra.event_store.memory import MemoryStore
from projections.audit.statement import Statement, statement

USER = "usr_1"


class Ticking:
    """Each look at the clock is a second later."""

    def __init__(self) -> None:
        self._now = 1_795_450_000_000

    def now(self) -> int:
        self._now += 1000
        return self._now


def account(*steps: list[Event]) -> list[Commit]:
    store = MemoryStore(Ticking())
    stream = CREDITS.stream(USER)
    for number, step in enumerate(steps):
        store.append([Append(store.load(CREDITS, stream), step)], Meta(f"cmd_{number}", USER))
    return list(store.read(stream))


def history() -> list[Event]:
    granted = CreditsGranted(USER, "grt_1", "signup", 600)
    late = CreditsGranted(USER, "grt_2", "promotion", 50, expires=10_000)
    state = CREDITS.fold([granted, late])
    reserved = credits.reserve(state, "job_1", 100, 1000)
    state = CREDITS.fold(reserved, state)
    return [granted, late, *reserved, *credits.capture(state, "job_1", 90, 1000)]


def told(done: Statement, width: int = 200, *, full: bool = False) -> str:
    screen = Console(file=io.StringIO(), width=width, markup=False, force_terminal=width < 200)
    show(done, screen, full=full)
    text: str = screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    return text


def test_a_statement_balances_at_every_version() -> None:
    done = statement(account(history()), at=2000)
    assert [(e.kind, e.available, e.held, e.spent) for e in done.entries] == [
        ("grant", 600, 0, 0),
        ("grant", 650, 0, 0),
        ("reserve", 550, 100, 0),
        ("capture", 560, 0, 90),
    ]
    assert done.wrong == []
    assert done.spendable == 560


def test_what_is_over_at_the_asked_time_cannot_be_spent() -> None:
    commits = account(history()[:2])
    assert statement(commits, at=9_999).spendable == 650
    over = statement(commits, at=10_000)
    assert (over.entries[-1].available, over.spendable) == (650, 600)


def test_an_account_that_does_not_balance_is_named() -> None:
    granted = CreditsGranted(USER, "grt_1", "signup", 600)
    forged = CreditsReserved(USER, "job_1", 100, (Draw("grt_1", 50),))
    done = statement(account([granted, forged]), at=0)
    assert [version for version, _ in done.wrong] == [2]
    assert "DOES NOT HOLD" in told(done)
    with pytest.raises(HistoryBroken, match="version 2: the law does not hold, by -50"):
        require_lawful(done)


def test_the_statement_is_readable() -> None:
    text = told(statement(account(history()), at=0))
    assert "held for a job job_1" in text
    law = "granted 650 = available 560 + held 0 + spent 90 + expired 0 + revoked 0 - debt 0"
    assert law in text


def test_a_changed_commit_is_found_and_what_stands_before_it_still_shown() -> None:
    granted = CreditsGranted(USER, "grt_1", "signup", 600)
    commits = account([granted], [granted], [granted])
    commits[1] = msgspec.structs.replace(commits[1], events=commits[1].events.replace("600", "900"))  # type: ignore[arg-type]
    good, broken = _checked(commits)
    assert [c.first for c in good] == [1]
    assert isinstance(broken, HistoryBroken)


def test_a_stream_is_readable() -> None:
    granted = CreditsGranted(USER, "grt_1", "signup [600]", 600)
    reserved = CreditsReserved(USER, "job_1", 7, (Draw("grt_1", 7),))
    commits = account([granted, reserved], [granted])
    screen = Console(file=io.StringIO(), width=200, markup=False)
    render("credits-usr_1", commits, screen)
    text = screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "source=signup [600] amount=600" in text
    assert "draws=grt_1:7" in text
    assert "3 events in 2 commits; the hash chain holds." in text
    assert [e.version for c in commits for e in said(c)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "stream"),
    [
        ("job_1", "job-job_1"),
        ("ast_1", "asset-ast_1"),
        ("usr_1", "user-usr_1"),
        ("credits-usr_1", "credits-usr_1"),
        ("anything", "anything"),
    ],
)
def test_an_id_alone_names_its_own_stream(given: str, stream: str) -> None:
    assert stream_name(given) == stream


def test_long_values_are_cut_only_where_asked() -> None:
    data = {"user_id": USER, "email": "x" * 100, "none": None, "n": 3}
    assert words(data) == f"email={'x' * 100} n=3"
    assert words(data, 10) == f"email={'x' * 9}… n=3"

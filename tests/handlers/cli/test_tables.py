"""What a terminal of any width shows: no number cut, no id broken, nothing that it would obey."""

from __future__ import annotations

import io
import os
import stat
import threading
from pathlib import Path

import pytest
from rich.console import Console

from handlers.cli import events, statements, terminal
from handlers.cli.tables import GLUE, Table, hanging, wrapped
from handlers.cli.words import counted, named, safe
from projections.audit import statement as accounts
from tests.handlers.cli.test_audit import account, history

JOB = "job_5dhnknnf3t19bmcg32kjf68dqn"


def window(width: int, *, tty: bool = True) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    screen = Console(file=file, width=width, force_terminal=tty, color_system=None, markup=False)
    return screen, file


def statement(width: int, *, tty: bool = True) -> list[str]:
    screen, file = window(width, tty=tty)
    statements.show(accounts.statement(account(history()), at=0), screen)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140])
def test_no_number_of_a_statement_is_lost_in_any_window(width: int) -> None:
    words = " ".join(statement(width)).split()
    for word in ("+600", "+50", "-100", "650", "550", "560", "90", "16:06:41.000", "job_1"):
        assert word in words
    if width >= 40:
        assert max(map(len, statement(width))) <= width


def test_a_statement_is_a_table_where_it_fits_and_blocks_below_what_it_needs() -> None:
    assert statement(64)[0].split()[-2:] == ["held", "spent"]
    assert "    held for a job job_1" in statement(64)
    assert statement(40)[:2] == ["v:               1", "2026-11-23 UTC:  16:06:41.000"]


def test_a_pipe_gets_whole_rows_without_padding() -> None:
    lines = statement(80, tty=False)
    assert lines[0].endswith("spent  why")
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_a_stream_says_everything_in_any_window(width: int) -> None:
    screen, file = window(width)
    events.render("credits-usr_1", account(history()[:2], history()[2:3]), screen)
    words = file.getvalue().split()
    for word in ("CreditsReserved", "source=signup", "1.0", "amount=100"):
        assert word in words, word


def test_ids_and_units_stay_whole() -> None:
    assert wrapped(f"held for a job {JOB}", 20) == ["held for a job", JOB]
    assert wrapped(f"took{GLUE}12 s or so", 8) == [f"took{GLUE}12", "s or so"]
    screen, file = window(40)
    terminal.Display(screen).fact("Audio", f"measured, and it is {terminal.duration(12.3)} long")
    assert "12.3 s" in file.getvalue()
    assert GLUE not in file.getvalue()


def test_a_text_is_never_squeezed_into_a_few_columns() -> None:
    screen, file = window(40)
    hanging(screen, "  ok  port", "it is in use", 33)
    hanging(screen, "", "-> use another one", 33)
    lines = ["  ok  port", "    it is in use", "    -> use another one"]
    assert file.getvalue().splitlines() == lines


def test_what_a_terminal_would_obey_never_reaches_it() -> None:
    assert safe("a\x1b[2Jb\nc\udcff") == "a\ufffd[2Jb\ufffdc\ufffd"
    assert named(os.fsdecode(b"\xff\xfe\x1b.wav")) == "\ufffd\ufffd\ufffd.wav"
    screen, file = window(80)
    table = Table("name")
    table.add_row("a\x1b[31m\n")
    table.draw(screen)
    terminal.Display(screen).fact("Song", "b\x1b[31m\n")
    assert "\x1b" not in file.getvalue()


def test_one_is_no_plural() -> None:
    assert [counted(n, "event") for n in (0, 1, 2)] == ["0 events", "1 event", "2 events"]


def export(target: Path) -> None:
    with events._target(target) as out:
        out.write(b"{}\n")


def test_an_export_replaces_what_a_link_points_to_and_keeps_the_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    export(link)
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("{}\n", 0o600)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_an_export_writes_into_a_pipe_and_leaves_it_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    export(pipe)
    reader.join(10)
    assert (got, pipe.is_fifo()) == ([b"{}\n"], True)


def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with (
        pytest.raises(io.UnsupportedOperation, match="read"),
        events._target(tmp_path / "file") as out,
    ):
        out.read()
    assert (tmp_path / "file").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]

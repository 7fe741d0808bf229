"""A period's ledger as files: complete or not there, signed, and harmless to open."""

from __future__ import annotations

import csv
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands import AdjustCredits
from domain.errors import HistoryBroken
from handlers.operating import exporting
from infra.bootstrap import Application
from infra.keys import KeyFiles
from tests.handlers.cli.forging import commits, overwrite, some_money
from tests.handlers.cli.operators import Done, do, splitsound

Shell = Callable[..., Done]
FILES = ["ledger.csv", "ledger.jsonl", "manifest.json"]


@pytest.fixture
def shell(application: Application, capsys: Any) -> Shell:
    some_money(application)
    return lambda *arguments: splitsound(capsys, *arguments)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def export(shell: Shell, out: Path, *options: str) -> Done:
    return shell("audit", "export", "--from", "1d", "--to", "now", "--out", str(out), *options)


def test_the_whole_ledger_is_there_and_passes_the_check(shell: Shell, out: Path) -> None:
    done = export(shell, out)
    assert done.code == 0, done.err
    assert names(out) == FILES
    told = lines(out)
    replayed = shell("audit", "replay", "usr_0", "--json").data
    own = [each for each in told if each["user_id"] == "usr_0"]
    for row, line in zip(own, replayed["lines"], strict=True):
        for name in (
            "time",
            "change",
            "available",
            "reserved",
            "debt",
            "hash",
            "cmd",
            "purchase_id",
        ):
            assert row[name] == line[name]
    with (out / "ledger.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["hash"] for row in table] == [row["hash"] for row in told]
    manifest = json.loads(json.loads((out / "manifest.json").read_text())["manifest"])
    assert (manifest["events"], manifest["accounts"], manifest["wrong"]) == (len(told), 3, 0)
    assert sum(sums["events"] for sums in manifest["sums"].values()) == len(told)
    assert shell("audit", "export", "--check", str(out)).code == 0
    assert "say the same" in shell("audit", "export", "--check", str(out)).out


def test_a_period_has_only_its_own_events_with_balances_from_the_beginning(
    shell: Shell, out: Path
) -> None:
    replayed = shell("audit", "replay", "usr_0", "--json").data["lines"]
    since = replayed[3]["time"]
    done = shell(
        "audit", "export", "--from", since, "--to", "now", "--user", "usr_0", "--out", str(out)
    )
    assert done.code == 0
    wanted = [each["version"] for each in replayed if each["time"] >= since]
    assert [each["version"] for each in lines(out)] == wanted
    assert lines(out)[-1]["available"] == replayed[-1]["available"]


def test_no_cell_is_a_formula_and_numbers_stay_numbers(
    shell: Shell, out: Path, application: Application
) -> None:
    reasons = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", 'quoted "text", and\nmore']
    for number, reason in enumerate(reasons, 1):
        do(application, AdjustCredits("usr_0", -number, reason))
    export(shell, out, "--user", "usr_0")
    with (out / "ledger.csv").open(newline="") as file:
        table = list(csv.DictReader(file))[-len(reasons) :]
    assert [row["reason"] for row in table] == [
        *(f"'{reason}" for reason in reasons[:4]), reasons[4],
    ]  # fmt: skip
    assert [row["change"] for row in table] == ["-1", "-2", "-3", "-4", "-5"]
    assert [row["reason"] for row in lines(out)[-5:]] == reasons
    assert shell("audit", "export", "--check", str(out)).code == 0


def test_an_empty_period_says_so(shell: Shell, out: Path) -> None:
    done = shell("audit", "export", "--from", "2020-01-01", "--to", "2020-01-31", "--out", str(out))
    assert (done.code, "nothing happened" in done.out) == (0, True)
    assert lines(out) == []
    assert shell("audit", "export", "--check", str(out)).code == 0


def test_what_cannot_be_asked_for_is_refused(shell: Shell, out: Path) -> None:
    period = ("--from", "2026-02-01", "--to", "2026-01-01", "--out", str(out))
    assert "before it begins" in shell("audit", "export", *period).err
    later = shell(
        "audit", "export", "--from", "2026-01-01", "--to", "2999-01-01", "--out", str(out)
    )
    assert (later.code, "not over yet" in later.err) == (2, True)
    assert shell("audit", "export", "--from", "2026-01-01").code == 2
    assert shell("audit", "export", "--check", str(out), "--user", "x").code == 2
    assert "no credit account" in export(shell, out, "--user", "usr_none").err
    assert not out.exists()


def test_an_earlier_export_is_not_replaced_unasked(shell: Shell, out: Path) -> None:
    assert export(shell, out).code == 0
    before = (out / "manifest.json").read_bytes()
    refused = export(shell, out)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert (out / "manifest.json").read_bytes() == before
    assert export(shell, out, "--force").code == 0
    assert names(out) == FILES


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")]
)
def test_an_export_that_ends_early_leaves_nothing(
    shell: Shell, out: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = exporting.Marked.write

    def failing(self: exporting.Marked, data: bytes) -> None:
        written(self, data)
        raise error

    monkeypatch.setattr(exporting.Marked, "write", failing)
    done = export(shell, out)
    assert done.code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert not out.exists()


def test_a_broken_chain_is_not_exported(shell: Shell, out: Path, application: Application) -> None:
    overwrite(application, commits(application)[1], actor="nobody")
    done = export(shell, out)
    assert (done.code, "was changed after it was written" in done.err) == (1, True)
    assert not out.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_found(shell: Shell, out: Path, name: str) -> None:
    assert export(shell, out).code == 0
    path = out / name
    path.write_bytes(path.read_bytes().replace(b"usr_1", b"usr_9").replace(b":3", b":4"))
    done = shell("audit", "export", "--check", str(out))
    assert done.code == 1
    assert name in done.err or "manifest" in done.err


def test_an_export_of_another_key_is_not_trusted(
    shell: Shell, out: Path, tmp_path: Path, application: Application
) -> None:
    from infra.digests.signers import KeyFileSigner

    assert export(shell, out).code == 0
    other = tmp_path / "other.pem"
    other.write_bytes(KeyFileSigner(KeyFiles(tmp_path / "elsewhere")).public_key)
    ours = tmp_path / "ours.pem"
    ours.write_bytes(application.digest_signer.public_key)
    check = ("audit", "export", "--check", str(out), "--trust-key")
    assert "signed by another key" in shell(*check, str(other)).err
    assert shell(*check, str(ours)).code == 0


def test_rows_that_differ_under_an_honest_signature_are_found(
    shell: Shell, out: Path, application: Application
) -> None:
    from handlers.operating.export_check import checked

    assert export(shell, out).code == 0
    table = out / "ledger.csv"
    table.write_bytes(table.read_bytes().replace(b"usr_1", b"usr_9"))
    sealed = msgspec.json.decode((out / "manifest.json").read_bytes(), type=exporting.Sealed)
    manifest = msgspec.json.decode(sealed.manifest, type=exporting.Manifest)
    with (out / "copy").open("wb") as file:
        marked = exporting.Marked(file)
        marked.write(table.read_bytes())
    files = {**manifest.files, "ledger.csv": marked.mark}
    lying = msgspec.structs.replace(manifest, files=files)
    (out / "manifest.json").write_bytes(exporting._sealed(lying, application.digest_signer))
    with pytest.raises(HistoryBroken, match="says something else"):
        checked(out, [application.digest_signer.public_key])

"""Files that appear together: two at once, killed half-way, replaced on request only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import Invalid
from handlers.operating.drafting import drafted

NAMES = ("a.txt", "manifest")


def write(folder: Path, text: str, *, replace: bool = False) -> None:
    with drafted(folder, NAMES, replace=replace) as drafts:
        for draft in drafts.values():
            draft.write_text(text)


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_all_of_them_or_what_was_there_before(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, "one")
    assert read(folder) == dict.fromkeys(NAMES, "one")
    with pytest.raises(Invalid, match="--force"):
        write(folder, "two")
    with pytest.raises(TypeError):
        write(folder, b"half", replace=True)  # type: ignore[arg-type]  # what breaks a writer
    assert read(folder) == dict.fromkeys(NAMES, "one")
    write(folder, "two", replace=True)
    assert read(folder) == dict.fromkeys(NAMES, "two")


def test_two_at_once_and_what_a_killed_one_left(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from handlers.operating.drafting import drafted\n"
        f"with drafted(Path({str(folder)!r}), {NAMES!r}, replace=False) as drafts:\n"
        "    drafts['a.txt'].write_text('half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        with pytest.raises(Invalid, match="Another export is writing"):
            write(folder, "mine")
    finally:
        other.kill()
        other.wait()
    write(folder, "mine")
    assert read(folder) == dict.fromkeys(NAMES, "mine")

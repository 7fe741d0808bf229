"""A zip that every program reads, and the same bytes for the same stems."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from domain.audio import Cancelled
from infra.stems import bundle


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for number, name in enumerate(["Söng - vocals.flac", "Söng - no_vocals.flac", "empty.flac"]):
        path = tmp_path / f"{number}"
        path.write_bytes(bytes([number]) * (number % 2 + 1) * 1_500_000 if number < 2 else b"")
        made[name] = path
    return made


def never() -> bool:
    return False


def test_it_holds_the_files_as_they_are(tmp_path: Path, files: dict[str, Path]) -> None:
    target = tmp_path / "stems.zip"
    bundle.write(target, files, never)
    with zipfile.ZipFile(target) as read:
        assert read.testzip() is None
        assert read.namelist() == list(files)
        for entry in read.infolist():
            assert read.read(entry) == files[entry.filename].read_bytes()
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.external_attr >> 16 == 0o644
    if shutil.which("unzip"):
        said = subprocess.run(["unzip", "-t", str(target)], capture_output=True, check=True)
        assert b"No errors detected" in said.stdout


def test_the_same_stems_are_the_same_bytes(tmp_path: Path, files: dict[str, Path]) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    bundle.write(one, files, never)
    for path in files.values():
        path.touch()
    bundle.write(two, files, never)
    assert one.read_bytes() == two.read_bytes()


def test_a_cancel_leaves_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    target, asked = tmp_path / "stems.zip", iter([False, False, True])
    with pytest.raises(Cancelled):
        bundle.write(target, files, lambda: next(asked))
    with pytest.raises(FileNotFoundError):
        bundle.write(target, files | {"gone": tmp_path / "gone"}, never)
    assert not target.exists()

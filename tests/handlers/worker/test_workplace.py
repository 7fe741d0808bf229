"""Where songs in progress lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Invalid
from handlers.worker.workplace import Workplace


def test_a_place_that_cannot_be_written_to_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    for root in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/splitsound")):
        with pytest.raises(Invalid, match=f"cannot write to {root} .*SPLITSOUND_WORK_DIRECTORY"):
            Workplace(root)


def test_a_place_is_made_and_left_empty(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "new" / "place")
    with place.directory("job") as directory:
        assert directory.is_dir()
    place.close()
    assert not list(place.root.iterdir())


def test_only_what_no_living_worker_holds_is_removed(tmp_path: Path) -> None:
    """Whatever its process id: containers that share a disk have ids of their own."""
    (tmp_path / "splitsound-dead" / "job").mkdir(parents=True)
    first = Workplace(tmp_path)
    with first.directory("job") as directory:
        second = Workplace(tmp_path)
        assert directory.is_dir()
        assert not (tmp_path / "splitsound-dead").exists()
        second.close()
    first.close()
    assert not list(tmp_path.iterdir())

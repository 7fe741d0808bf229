"""Stems lie where nothing else is replaced, and a folder that cannot be written is known early."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from handlers.cli import folders
from handlers.cli.outcome import BadInput
from handlers.client.bodies import Job, Stem
from tests.handlers.client.answered import whole

SONG = Path("one/song.mp3")


def job(extension: str = "flac", model: str = "two") -> Job:
    name = f"song - vocals.{extension}"
    stem = whole(Stem, name="vocals", url="u", filename=name, bytes=1)
    return whole(Job, job_id="job_1", status="completed", model=model, stems=[stem])


def claim(out: Path, digest: str, made: Job) -> str:
    folder = folders.claim(SONG, digest, made, out)
    (folder / str(made.stems[0].filename)).touch()
    return folder.name


def test_only_the_same_song_taken_apart_the_same_way_finds_its_folder(tmp_path: Path) -> None:
    wishes = [("a", job()), ("b", job()), ("a", job("mp3")), ("a", job(model="four"))]
    for _ in range(2):
        claimed = [claim(tmp_path, digest, made) for digest, made in wishes]
        assert claimed == ["song", "song (2)", "song (3)", "song (4)"]


def test_files_of_the_same_names_are_told_apart(tmp_path: Path) -> None:
    def made(format_: str, prompt: str | None = None) -> Job:
        return msgspec.structs.replace(job("wav"), format=format_, prompt=prompt)

    wishes = [made("wav"), made("wav16"), made("wav32f"), made("wav", "a dog"), job("wav")]
    for _ in range(2):
        claimed = [claim(tmp_path, "a", wish) for wish in wishes]
        assert claimed == ["song", "song (2)", "song (3)", "song (4)", "song"]


def test_what_a_person_put_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "notes").touch()
    assert claim(tmp_path, "a", job()) == "song"
    (tmp_path / "song" / ".splitsound.json").unlink()
    assert claim(tmp_path, "a", job()) == "song (2)"


def test_a_file_in_the_place_of_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "song").write_text("mine")
    assert claim(tmp_path, "a", job()) == "song (2)"
    assert (tmp_path / "song").read_text() == "mine"


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    folders.check(SONG, tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "in", Path("/proc/stems")):
        with pytest.raises(BadInput, match="--out"):
            folders.check(SONG, out)

from __future__ import annotations

import pytest

from domain import filenames


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Song.mp3", "Song - vocals.flac"),
        ("a.b.c.wav", "a.b.c - vocals.flac"),
        ("noextension", "noextension - vocals.flac"),
        (".hidden", ".hidden - vocals.flac"),
    ],
)
def test_a_stem_is_named_after_its_song(source: str, expected: str) -> None:
    assert filenames.of_stem(source, "vocals", "flac") == expected

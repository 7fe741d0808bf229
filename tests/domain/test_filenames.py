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


@pytest.mark.parametrize("title", ["a" * 251, "夜" * 83, "🎵" * 62, "é" * 125])
def test_a_stem_of_a_song_with_the_longest_name_fits_into_a_file_system(title: str) -> None:
    name = filenames.of_stem(filenames.clean(f"{title}.mp3"), "accompaniment", "flac")
    base, _, rest = name.partition(" - ")
    assert rest == "accompaniment.flac"
    assert title.startswith(base)
    assert 196 <= len(base.encode()) <= filenames.BASE_BYTES


def test_mix_minus_reads_as_words() -> None:
    assert filenames.of_stem("My Song.mp3", "no_vocals", "flac") == "My Song - no vocals.flac"
    assert filenames.of_stem("My Song.mp3", "stems", "zip") == "My Song - stems.zip"

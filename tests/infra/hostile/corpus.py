"""All hostile files in one directory, always the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.infra.hostile import atoms, bases, bombs, damage, headers, pointers


def generate(directory: Path) -> list[Path]:
    """Writes the corpus into an empty directory; the files, without those that they ask for.

    Those lie in ``directory / "secret"`` and hold ``bases.CANARY`` and ``bases.CANARY_TEXT``.
    About 60 MB, in a few seconds.
    """
    written = []
    for name, data in _everything(directory):
        path = directory / name
        assert not path.exists(), name
        path.write_bytes(data)
        written.append(path)
    return written


def _everything(directory: Path) -> Iterator[tuple[str, bytes]]:
    good = bases.make(directory)
    secret = bases.secrets(directory / "secret")
    mp3, flac, m4a = good["song.mp3"], good["song.flac"], good["song.m4a"]
    return chain(
        damage.cut(good),
        damage.flipped(good),
        damage.missing_heads(good),
        damage.misnamed(good),
        damage.without_sound(good),
        damage.bytes_of_no_file(),
        damage.magic_and_noise(),
        headers.waves(),
        headers.no_sound(),
        headers.flac_claims(flac),
        headers.others(),
        atoms.lying(m4a),
        atoms.deep(),
        atoms.compressed(m4a),
        atoms.many_tracks(m4a),
        atoms.without_samples(m4a),
        bombs.matroska_bombs(),
        bombs.many_streams(),
        bombs.hours_of_silence(),
        bombs.tags(mp3, flac),
        pointers.playlists(secret),
        pointers.scripts(secret),
        pointers.polyglots(good, secret),
        pointers.names(good),
        pointers.changing(good, directory),
    )

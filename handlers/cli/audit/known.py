"""Digests as auditors name them, and options that several commands share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from domain.errors import NotFound
from handlers.cli.reach import other_data
from handlers.cli.words import command_line

if TYPE_CHECKING:
    from handlers.cli.terminal import Display
    from infra.bootstrap import Application
    from infra.digests import Digest, Head, Source

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, and not to standard output.",
)
trust_option = click.option(
    "--trust-key",
    "trusted",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    metavar="FILE",
    help="A public key (PEM) from before the key was changed; may be given more than once.",
)


class Opened(Struct, frozen=True):
    """A digest whose signature and heads file were checked. envelope: its file as it stands."""

    name: str
    digest: Digest
    heads: list[Head]
    envelope: bytes


def keys(parts: Application, trusted: Sequence[Path]) -> list[bytes]:
    """The public keys (PEM) that digests may be signed with: ours, and those that are named."""
    return [parts.digest_signer.public_key, *(file.read_bytes() for file in trusted)]


def open_digest(
    parts: Application, name: str | None, trusted: Sequence[bytes], data: Path
) -> Opened:
    """The digest of that name, or in that file, or the newest (None).

    Raises NotFound, HistoryBroken where it was changed or signed by another key.
    """
    from infra.digests import DigestFile, heads_of, opened

    source: Source = parts.digests
    if name is None:
        names = parts.digests.names()
        if not names:
            raise NotFound(f"There is no digest yet: take one with `{take_one(data)}`.")
        name = names[-1]
    elif Path(name).exists():
        source = DigestFile(Path(name))
    envelope = source.envelope(name)
    digest = opened(name, envelope, trusted)
    return Opened(name, digest, heads_of(name, digest, source.head_lines(name)), envelope)


def take_one(data: Path) -> str:
    """What to type for a new digest."""
    return command_line("audit", "digest", data=other_data(data))


@contextmanager
def scanning(display: Display, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for a scan of all commits; give it how many more were read, from any thread."""
    done, lock = 0, threading.Lock()
    with display.bar("Check", total, unit="commits") as bar:

        def heard(commits: int) -> None:
            nonlocal done
            with lock:
                done += commits
                bar.to(done, total=max(total, done))

        yield heard

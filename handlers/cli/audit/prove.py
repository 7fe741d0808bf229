"""``splitsound audit prove``: an event, for somebody who trusts nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from domain.commit import Commit
from domain.credits import CREDITS
from domain.errors import Invalid, NotFound
from handlers.cli import terminal
from handlers.cli.audit.digest import trust_option
from handlers.cli.audit.key import out_option
from handlers.cli.credits import normal_address
from handlers.cli.reach import application, data_option, other_data
from handlers.cli.words import command_line, named
from handlers.history import stream_name

if TYPE_CHECKING:
    from infra.bootstrap import Application
    from infra.digests import Envelope, Head, Proof


@click.command("prove")
@click.argument("user")
@click.argument("event")
@click.option(
    "--digest",
    "name",
    metavar="NAME",
    help="That digest, by its name in the bucket or a file, and not the newest.",
)
@out_option
@trust_option
@data_option
def prove(
    user: str, event: str, name: str | None, out: Path | None, trusted: tuple[Path, ...], data: Path
) -> None:
    """Print a proof that an event of USER's credits is in a signed digest.

    USER is an id (usr_...), an e-mail address, or the name of any stream. EVENT is a version in
    it, or the id of a job, grant, purchase or command. Whoever has the key (`audit key`) checks
    the proof with the script that `audit script` prints, without any of our code.
    """
    parts = application(data)
    stream = _stream(parts, user)
    commits = list(parts.store.read(stream))
    if not commits:
        raise NotFound(f"There is no stream {stream}.")
    version = _version(stream, commits, event)
    keys = [parts.digest_signer.public_key, *(file.read_bytes() for file in trusted)]
    envelope, heads = _opened(parts, name, keys, data)
    proof = _proved(commits, version, heads, envelope, data)
    if out is None:
        terminal.emit(proof)
        return
    out.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n")
    click.echo(f"The proof of version {version} of {stream} is in {named(out)}.", err=True)


def _stream(parts: Application, user: str) -> str:
    if user.startswith("usr_"):
        return CREDITS.stream(user)
    if "@" in user:
        return CREDITS.stream(parts.identity.user_id("development", normal_address(user)))
    return stream_name(user)


def _version(stream: str, commits: list[Commit], event: str) -> int:
    from infra.digests.proofs import found

    versions = found(commits, event)
    if not versions:
        raise NotFound(f"{stream} has no event {event}; its last version is {commits[-1].last}.")
    if len(versions) > 1:
        listed = ", ".join(map(str, versions))
        raise Invalid(f"{event} is in several events of {stream}: name a version ({listed}).")
    return versions[0]


def _opened(
    parts: Application, name: str | None, keys: list[bytes], data: Path
) -> tuple[Envelope, list[Head]]:
    from infra.digests import DigestFile, Source, heads_of, opened
    from infra.digests import Envelope as Sealed

    source: Source = parts.digests
    if name is None:
        names = parts.digests.names()
        if not names:
            raise NotFound(f"There is no digest yet: take one with `{_take(data)}`.")
        name = names[-1]
    elif Path(name).exists():
        source = DigestFile(Path(name))
    envelope = source.envelope(name)
    heads = heads_of(name, opened(name, envelope, keys), source.head_lines(name))
    return msgspec.json.decode(envelope, type=Sealed), heads


def _proved(
    commits: list[Commit], version: int, heads: list[Head], envelope: Envelope, data: Path
) -> Proof:
    from infra.digests import prove as proved
    from infra.digests.proofs import NotCovered

    try:
        return proved(commits, version, heads, envelope)
    except NotCovered as error:
        raise NotFound(f"{error}: take a new one with `{_take(data)}`.") from error


def _take(data: Path) -> str:
    return command_line("audit", "digest", data=other_data(data))

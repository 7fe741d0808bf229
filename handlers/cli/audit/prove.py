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
from handlers.cli.audit.known import keys, open_digest, out_option, take_one, trust_option
from handlers.cli.reach import application, data_option
from handlers.cli.statements import user_id_of
from handlers.cli.words import named
from handlers.history import stream_name

if TYPE_CHECKING:
    from handlers.cli.audit.known import Opened
    from infra.bootstrap import Application
    from infra.digests import Proof


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
    proof = _proved(commits, version, open_digest(parts, name, keys(parts, trusted), data), data)
    if out is None:
        terminal.emit(proof)
        return
    out.write_bytes(msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n")
    click.echo(f"The proof of version {version} of {stream} is in {named(out)}.", err=True)


def _stream(parts: Application, user: str) -> str:
    if user.startswith("usr_") or "@" in user:
        return CREDITS.stream(user_id_of(parts, user))
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


def _proved(commits: list[Commit], version: int, digest: Opened, data: Path) -> Proof:
    from infra.digests import Envelope
    from infra.digests import prove as proved
    from infra.digests.proofs import NotCovered

    envelope = msgspec.json.decode(digest.envelope, type=Envelope)
    try:
        return proved(commits, version, digest.heads, envelope)
    except NotCovered as error:
        raise NotFound(f"{error}: take a new one with `{take_one(data)}`.") from error

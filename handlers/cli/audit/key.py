"""``splitsound audit key`` and ``script``: what an auditor keeps to check proofs with."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from handlers.cli import terminal
from handlers.cli.audit.known import out_option
from handlers.cli.reach import application, data_option, json_option
from handlers.cli.words import named

SCRIPT = Path(__file__).with_name("verify_proof.py")


@click.command("key")
@out_option
@json_option
@data_option
def key(out: Path | None, as_json: bool, data: Path) -> None:
    """Print the public key that digests are signed with (PEM), and its fingerprint.

    Auditors get it once, by a way that they trust, and check every proof against it.
    """
    from infra.digests.signers import ALGORITHM, fingerprint

    pem = application(data).digest_signer.public_key
    mark = fingerprint(pem)
    if out:
        out.write_bytes(pem)
    if as_json:
        terminal.emit({"algorithm": ALGORITHM, "fingerprint": mark, "public_key": pem.decode()})
        return
    if not out:
        click.echo(pem.decode(), nl=False)
    where = f"; the key is in {named(out)}" if out else ""
    click.echo(f"SHA-256 fingerprint {mark}{where}", err=True)


@click.command("script")
@out_option
def script(out: Path | None) -> None:
    """Print the script that checks a proof without any of our code.

    It needs Python and the package `cryptography`: python verify_proof.py PROOF --key KEY.pem
    """
    if out:
        out.write_bytes(SCRIPT.read_bytes())
    else:
        sys.stdout.write(SCRIPT.read_text())

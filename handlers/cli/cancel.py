"""``splitsound cancel``: take a request back."""

from __future__ import annotations

from pathlib import Path

import click

from handlers.cli import terminal
from handlers.cli.reach import api_options, api_url, connect, json_option
from handlers.cli.words import safe


@click.command("cancel")
@click.argument("job_id", metavar="JOB")
@api_options
@json_option
def command(
    job_id: str, api: str | None, email: str, api_key: str, data: Path, as_json: bool
) -> None:
    """Cancel JOB (job_...); a job that has already ended stays as it ended."""
    with connect(api_url(api, data), email, api_key) as client:
        job = client.cancel_job(job_id)
    if as_json:
        terminal.emit({"job_id": job.job_id, "status": job.status})
    else:
        click.echo(safe(f"{job.job_id} is {job.status}."))

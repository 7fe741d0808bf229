"""`splitsound bench`: measure, print a table, write JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from handlers.bench import Figure
from handlers.cli.tables import Table
from handlers.cli.terminal import console

TOPICS = (
    "domain", "imports", "api", "ledger", "projections", "units", "latency", "memory", "separation",
    "scaling",
)  # fmt: skip


@click.command("bench")
@click.argument("topics", nargs=-1, type=click.Choice(TOPICS))
@click.option("--minutes", default="3,60", help="Lengths for `memory`, in minutes.")
@click.option(
    "--song", default=10.0, type=click.FloatRange(min=0.1), help="Length for `separation`, minutes."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("bench.json"),
    help="Where the figures go as JSON.",
)  # fmt: skip
@click.option(
    "--chart", type=click.Path(dir_okay=False, path_type=Path),
    help="Where `scaling` draws a day of 10,000 songs, as SVG.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    topics: tuple[str, ...], minutes: str, song: float, out: Path, chart: Path | None, as_json: bool
) -> None:
    """Measure TOPICS (all of them unless named) and compare with goals and peers.

    `memory` works through an hour of music and `separation` twice through ten minutes with a large
    network; both take a quarter of an hour on two cores. `ledger`, `projections`, `units`,
    `latency` and `separation` start a local stack of their own, `api` our API and a usual one on
    PostgreSQL. `scaling` simulates days.
    """
    measured: dict[str, list[Figure]] = {}
    for topic in topics or TOPICS:
        if not as_json:
            click.echo(f"measuring {topic} ...", err=True)
        measured[topic] = _measure(topic, tuple(int(m) for m in minutes.split(",")), song)
    if chart:
        _draw(chart)
    report = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "figures": {t: msgspec.to_builtins(f) for t, f in measured.items()},
    }
    out.write_text(json.dumps(report, indent=2) + "\n")
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print(measured)
        click.echo(f"Written to {out}.")


def _measure(topic: str, minutes: tuple[int, ...], song: float) -> list[Figure]:
    if topic == "domain":
        from handlers.bench import domain

        return domain.figures()
    if topic == "imports":
        from handlers.bench import imports

        return imports.figures()
    if topic == "api":
        from handlers.bench import api

        return api.figures()
    if topic == "memory":
        from handlers.bench import memory

        return memory.figures(minutes)
    if topic == "scaling":
        from handlers.bench import scaling

        return scaling.figures()
    if topic == "separation":
        from handlers.bench import separation

        return separation.figures(song) + _whole_job(song)
    if topic == "ledger":
        from handlers.bench import ledger

        return ledger.figures() + _on_a_stack(topic)
    if topic == "projections":
        from handlers.bench import projections

        # The lag first: a heap full of histories would slow down whoever commits.
        return _on_a_stack(topic) + projections.figures()
    return _on_a_stack(topic)


def _draw(chart: Path) -> None:
    from handlers.bench import scaling, scaling_chart

    traffic = scaling.Traffic(10_000)
    outcome = scaling.simulate(scaling.policy(), traffic)
    scaling_chart.draw(outcome, "A day of 10,000 songs on GPU workers that start from zero", chart)


def _whole_job(minutes: float) -> list[Figure]:
    import tempfile

    from handlers.bench import whole_job
    from infra.local.stack import LocalStack

    with tempfile.TemporaryDirectory() as models, tempfile.TemporaryDirectory() as data:
        settings = whole_job.settings(Path(models))
        with LocalStack(Path(data), workers=1, settings=settings) as stack:
            return whole_job.figures(stack.api_url, min(60 * minutes, whole_job.SECONDS))


def _on_a_stack(topic: str) -> list[Figure]:
    import tempfile

    from handlers.bench import latency, ledger, projections, units
    from infra.bootstrap import Application
    from infra.local.stack import LocalStack, adopted
    from infra.settings import from_environment

    measures: dict[str, Callable[[Application, LocalStack], list[Figure]]] = {
        "latency": lambda application, stack: latency.figures(application, stack.api_url),
        "ledger": lambda application, _: ledger.on_a_stack(application),
        "projections": projections.on_a_stack,
        "units": lambda application, _: units.figures(application),
    }
    with (
        tempfile.TemporaryDirectory() as data,
        # The others play the worker themselves.
        LocalStack(Path(data), workers=1 if topic == "latency" else 0) as stack,
        adopted(stack.environment),
    ):
        application = Application(from_environment(), "bench")
        return measures[topic](application, stack)


def _print(measured: dict[str, list[Figure]]) -> None:
    table = Table(
        "what", "measured", "unit", "goal", "beside it",
        right=("measured",), below=("goal", "beside it"),
    )  # fmt: skip
    for topic, figures in measured.items():
        table.add_row(topic, "", "", "", "")
        for f in figures:
            table.add_row(f"  {f.what}", _number(f.value), f.unit, f.goal, f.peer)
    table.draw(console())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"

"""Read models as operators name them, and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from handlers.cli.outcome import BadInput
from handlers.cli.tables import GLUE

if TYPE_CHECKING:
    from infra.metering import Units
    from infra.pacing import Pace
    from projections.projection import Projection

F = TypeVar("F", bound=Callable[..., Any])


def named(name: str) -> Projection[Any]:
    """The projection of that name. Raises BadInput."""
    import projections

    if name not in projections.ALL:
        raise BadInput(f"No read model {name!r}; there are {', '.join(projections.ALL)}.")
    return projections.ALL[name]


class _Rates(click.ParamType[tuple[float, float]]):
    name = "READS[,WRITES]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            reads, _, writes = str(value).partition(",")
            rates = float(reads), float(writes or 0)
        except ValueError:
            rates = -1.0, -1.0
        if min(rates) < 0:
            self.fail(f"{value!r} is no pace; write 500,200, or 500 for reads alone.", param, ctx)
        return rates


def paced(command: F) -> F:
    """``--throttle``, ``--segments`` and ``--workers``: how hard a scan of everything works."""
    throttle = click.option(
        "--throttle",
        type=_Rates(),
        default="0,0",
        metavar="READS[,WRITES]",
        help="At most so many read and write units per second; 0 is as fast as it goes.",
    )
    segments = click.option(
        "--segments",
        type=click.IntRange(1, 4096),
        default=32,
        show_default=True,
        help="Into how many parts the scan is cut; a part is what is done again after a kill.",
    )
    workers = click.option(
        "--workers",
        type=click.IntRange(1, 64),
        default=8,
        show_default=True,
        help="How many parts are worked on at once.",
    )
    return throttle(segments(workers(command)))


def pace(throttle: tuple[float, float]) -> Pace:
    """One pace for the whole command."""
    from infra.pacing import Pace

    return Pace(*throttle)


def cost(units: Units, *, would: bool = False) -> str:
    """``1,200 read and 300 write units, $0.000338 on demand``."""
    dollars = units.dollars
    price = f"${dollars:,.2f}" if dollars >= 0.01 else f"${dollars:.6f}"
    verb = "would be " if would else ""
    return (
        f"{units.reads:,.0f}{GLUE}read and {units.writes:,.0f}{GLUE}write units, "
        f"{verb}{price} at on-demand prices"
    )

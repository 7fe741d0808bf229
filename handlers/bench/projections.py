"""Projections: how fast events become rows. Each figure has its module; this lists them."""

from __future__ import annotations

from handlers.bench import Figure, fold_speed, live_lag, rebuild_cost
from infra.bootstrap import Application
from infra.local.stack import LocalStack


def figures() -> list[Figure]:
    """What needs no local stack."""
    return [*fold_speed.figures(), *rebuild_cost.figures()]


def on_a_stack(application: Application, stack: LocalStack) -> list[Figure]:
    """What is measured on a local stack without workers."""
    processes = dict(stack.supervisor.pids)
    if stack.emulator.pid is not None:
        processes["emulator"] = stack.emulator.pid
    return live_lag.figures(application, processes)

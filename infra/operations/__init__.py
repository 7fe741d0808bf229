"""The operational table: what is neither a fact nor a view of facts.

========================  ======================  ===========================================
pk                        sk                      what
========================  ======================  ===========================================
``projection#<name>``     ``catalogue``           the generations of a read model
``parked#<name>``         ``<number>#<stream>``   a stream that a generation cannot follow
``pulse#<component>``     process                 signs of life, and how far it has come
``speed``                 model                   how fast it is here, for estimates
``sweep#<kind>``          ``done``                how far the sweeper has come
``progress#<job>``        ``progress``            live progress and the worker's heartbeat
``rung#<stream>``         ``rung``                when the sweeper last rang for the stream
``seen#<stream>``         ``seen``                what the sweeper saw of it, and since when
``sessions#<user>``       session                 a sign-in that lasts, see ``sessions``
``once#<digest>``         ``once``                what may happen once, and did
see ``deliveries``                                messages to webhook endpoints
``answers#<user>``        hash of route and key   the first answer to an Idempotency-Key
``rate#<whom>``           ``<class>#<window>``    requests counted by all processes
========================  ======================  ===========================================

``expires`` (epoch seconds) lets DynamoDB delete what nobody needs any more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.operations.deliveries import Attempt, Deliveries, Delivery
    from infra.operations.generations import CachedGenerations, TableGenerations
    from infra.operations.parked import Parked, ParkedStreams, describe
    from infra.operations.progress import DynamoDBOperations, Progress, Seen
    from infra.operations.pulses import Applied, Pulse, Pulses, WorkerPulse
    from infra.operations.speeds import Speed, Speeds
    from infra.operations.table import OperationalTable
    from infra.operations.turns import Turn, Turns, Waiting

__all__ = [
    "Applied",
    "Attempt",
    "CachedGenerations",
    "Deliveries",
    "Delivery",
    "DynamoDBOperations",
    "OperationalTable",
    "Parked",
    "ParkedStreams",
    "Progress",
    "Pulse",
    "Pulses",
    "Seen",
    "Speed",
    "Speeds",
    "TableGenerations",
    "Turn",
    "Turns",
    "Waiting",
    "WorkerPulse",
    "describe",
]

_HOMES = {
    name: module
    for module, names in {
        "deliveries": "Attempt Deliveries Delivery",
        "generations": "CachedGenerations TableGenerations",
        "parked": "Parked ParkedStreams describe",
        "progress": "DynamoDBOperations Progress Seen",
        "pulses": "Applied Pulse Pulses WorkerPulse",
        "speeds": "Speed Speeds",
        "table": "OperationalTable",
        "turns": "Turn Turns Waiting",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    """Whoever asks for one of them waits for its module alone: functions in Lambda start so."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

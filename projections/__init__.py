"""What people read: one file per read model, folded from events, never edited in place.

A read model is a ``Projection``: a name, a version, a pure ``apply``. ``catch_up`` brings
one stream's rows to the stream's tip, for the live projector, a redrive, a sweep and a query
alike; ``sweeping`` fills what has no row yet; ``rebuild`` does that beside the live rows.
"""

from __future__ import annotations

from typing import Any

from projections.credits import CREDITS_VIEW
from projections.erasures import ERASURES_VIEW
from projections.jobs import JOBS_VIEW
from projections.library import LIBRARY_VIEW
from projections.projection import Projection
from projections.purchases import PURCHASES_VIEW
from projections.results import RESULTS_VIEW
from projections.usage import USAGE_VIEW

ALL: dict[str, Projection[Any]] = {
    p.name: p
    for p in (
        JOBS_VIEW,
        CREDITS_VIEW,
        LIBRARY_VIEW,
        PURCHASES_VIEW,
        RESULTS_VIEW,
        USAGE_VIEW,
        ERASURES_VIEW,
    )
}

__all__ = [
    "ALL",
    "CREDITS_VIEW",
    "ERASURES_VIEW",
    "JOBS_VIEW",
    "LIBRARY_VIEW",
    "PURCHASES_VIEW",
    "RESULTS_VIEW",
    "USAGE_VIEW",
    "Projection",
]

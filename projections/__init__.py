"""What people read: one file per read model, folded from events, never edited in place.

A read model is a ``Projection``: a name, a version, a pure ``apply``. ``catch_up`` brings
one stream's rows to the stream's tip, for the live projector, a redrive, a sweep and a query
alike; ``sweeping`` fills what has no row yet; ``rebuild`` does that beside the live rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from projections.views import (
        ALL,
        CREDITS_VIEW,
        ERASURES_VIEW,
        JOBS_VIEW,
        LIBRARY_VIEW,
        PURCHASES_VIEW,
        RESULTS_VIEW,
        USAGE_VIEW,
        Projection,
    )

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


def __getattr__(name: str) -> Any:
    """Whoever only rings doorbells, as the relay in Lambda, waits for no read model."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from projections import views

    return getattr(views, name)

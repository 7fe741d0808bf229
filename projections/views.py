"""All read models."""

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

"""A webhook endpoint of a person, and the kinds of messages that there are."""

from __future__ import annotations

from msgspec import Struct

from domain.errors import Invalid
from domain.sealed import Sealed

TYPES = (
    "asset.ready", "asset.rejected",
    "job.queued", "job.started", "job.completed", "job.failed", "job.cancelled",
    "purchase.paid", "webhook.test",
)  # fmt: skip

ASKED, GONE, FAILING = "asked", "gone", "failing"
"""Why an endpoint is disabled: by its owner; it answered 410; it failed for days."""


class Endpoint(Struct, frozen=True):
    """types: that it wants, none for all. disabled: why, empty while it is enabled.

    old_secret: messages are signed with it too until ``old_until``. created, old_until: epoch ms.
    """

    endpoint_id: str
    url: Sealed
    secret: Sealed
    types: tuple[str, ...]
    created: int
    disabled: str = ""
    old_secret: Sealed | None = None
    old_until: int = 0

    def wants(self, kind: str) -> bool:
        """Whether it is to be told of that now."""
        return not self.disabled and (not self.types or kind in self.types)


def known_types(types: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in our order. Raises Invalid for one that there is not."""
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise Invalid(
            f"There are no messages of type {unknown[0][:64]!r}; name some of {', '.join(TYPES)}.",
            errors=[{"pointer": "#/types", "detail": "Unknown type."}],
        )
    return tuple(name for name in TYPES if name in types)

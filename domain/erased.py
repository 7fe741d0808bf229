"""What the streams of a person say once the person is forgotten; the decisions are in
``domain.erasing``.
"""

from __future__ import annotations

from domain.aggregate import Event


class Erased(Event, frozen=True):
    """The person behind it is forgotten: no read model shows anything of what came before."""

    user_id: str

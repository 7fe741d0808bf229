"""The event store: DynamoDB and memory behind one interface, and a persistence module.

``PERSISTENCE_MODULE=infra.event_store`` makes the ``eventsourcing`` library find
``DynamoDBFactory`` here; it must stay the only factory in this namespace.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.event_store.library import CommitRecorder, DynamoDBFactory
    from infra.event_store.mapper import StructMapper, StructTranscoder

__all__ = ["CommitRecorder", "DynamoDBFactory", "StructMapper", "StructTranscoder"]


class _Package(ModuleType):
    """Our own processes have no use for the library, and those in Lambda do not wait for it: its
    parts are here once somebody names one, or looks through all that is here, as the library does.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return self.__dict__[name]

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        from infra.event_store import library, mapper

        here = globals()
        for name in __all__:
            here[name] = getattr(library, name, None) or getattr(mapper, name)
        return here


sys.modules[__name__].__class__ = _Package

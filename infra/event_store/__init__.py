"""The event store: DynamoDB and memory behind one interface, and a persistence module.

``PERSISTENCE_MODULE=infra.event_store`` makes the ``eventsourcing`` library find
``DynamoDBFactory`` here; it must stay the only factory in this namespace.
"""

from infra.event_store.library import CommitRecorder, DynamoDBFactory
from infra.event_store.mapper import StructMapper, StructTranscoder

__all__ = ["CommitRecorder", "DynamoDBFactory", "StructMapper", "StructTranscoder"]

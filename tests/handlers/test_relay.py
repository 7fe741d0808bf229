"""From a commit to the queues: the real stream, bus, rules and queues of the emulator."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from commands import InitializeUpload, SignUp, execute
from domain.commit import Meta
from handlers.relay import Relay, doorbell
from infra.bootstrap import Application
from infra.bus import Bus
from infra.event_store.importer import Importer
from infra.queue import Queue
from projections.doorbell import Doorbell, parse, ring


def sign_up(application: Application, number: int = 0) -> None:
    command = SignUp(f"usr_{number}", "development", "ann@example.com")
    execute(application.context, command, Meta(f"cmd_{number}", "test", "req_1"))


def records(application: Application) -> list[dict[str, Any]]:
    """What the table's stream holds."""
    table = application.settings.events_table
    described = application.client("dynamodb").describe_table(TableName=table)["Table"]
    streams = application.client("dynamodbstreams")
    arn = described["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    return list(streams.get_records(ShardIterator=iterator)["Records"])


def received(queue: Queue, count: int) -> list[Doorbell]:
    bells: list[Doorbell] = []
    give_up = time.monotonic() + 10
    while len(bells) < count and time.monotonic() < give_up:
        bells += [parse(m.body) for m in queue.receive(most=10, wait=1)]
    return bells


def said(bell: Doorbell) -> Any:
    """What it says, whatever the white space of its JSON."""
    return msgspec.json.decode(msgspec.json.encode(bell))


def test_a_commit_rings_with_its_events(application: Application) -> None:
    sign_up(application)
    assert Relay(application.bus)({"Records": records(application)}) == {"batchItemFailures": []}
    bells = {b.stream: b for b in received(application.queue("projections"), 2)}
    commits = {c.stream: c for c in application.store.scan()}
    assert {s: said(ring(c)) for s, c in commits.items()} == {s: said(b) for s, b in bells.items()}
    assert bells["user-usr_0"].corr == "req_1"
    assert application.queue("probe").depth() == 0
    assert application.queue("short").depth() == 0


def test_an_imported_commit_fires_no_worker_but_is_projected(application: Application) -> None:
    context = application.context
    upload = InitializeUpload("usr", "ast", "a.mp3", "audio/mpeg", 9, 8 << 20, "key", "up")
    execute(context, upload, Meta("cmd", "test"))
    (opened,) = application.store.read("asset-ast")
    completed = _completed_after(opened)
    importer = Importer(application.store, "import")
    importer.add(completed, "line 2")
    importer.flush()
    Relay(application.bus)({"Records": records(application)})
    bells = received(application.queue("projections"), 2)
    assert {b.origin for b in bells} == {None, "import"}
    assert application.queue("probe").receive(wait=1) == []


def _completed_after(opened: Any) -> Any:
    events = '[{"type":"UploadCompleted","user_id":"usr","key":"key","size":9,"etag":"e"}]'
    commit = msgspec.structs.replace(
        opened, first=2, last=2, types=("UploadCompleted",), events=events, prev=opened.hash
    )
    return commit.sealed()


class _RefusesOnce:
    """A real EventBridge client that refuses the entries of one stream."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client, self._stream = client, stream

    def put_events(self, Entries: list[Any]) -> Any:  # noqa: N803 - boto3's name
        good = [e for e in Entries if self._stream not in e["Detail"]]
        answer = self._client.put_events(Entries=good) if good else {"Entries": []}
        accepted = iter(answer["Entries"])
        entries = [
            next(accepted) if e in good else {"ErrorCode": "InternalFailure"} for e in Entries
        ]
        return {"FailedEntryCount": len(Entries) - len(good), "Entries": entries}


def test_the_first_refused_record_is_reported(application: Application) -> None:
    for number in range(15):
        sign_up(application, number)
    batch = records(application)
    client = application.client("events")
    bus = Bus(_RefusesOnce(client, "usr_12"), application.settings.event_bus)
    answer = Relay(bus)({"Records": batch})
    refused = [r for r in batch if "usr_12" in doorbell(r).stream]
    first = min(refused, key=lambda r: int(r["dynamodb"]["SequenceNumber"]))
    expected = first["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": expected}]}


def test_only_new_items_ring(application: Application) -> None:
    sign_up(application)
    changed = [dict(r, eventName="REMOVE") for r in records(application)]
    Relay(application.bus)({"Records": changed})
    assert application.queue("projections").receive(wait=1) == []

"""What a rebuild costs and writes, on the emulator: rows and the catalogue, nothing else."""

from __future__ import annotations

import dataclasses
import random
import subprocess
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import AWSResponse

from commands import SignUp, execute
from commands.operations import Pause
from domain.aggregate import Recorded
from domain.commit import Meta
from domain.errors import Refused
from handlers.operating.rebuilding import assemble, has_ended, owner, paced
from infra.bootstrap import Application
from infra.event_store.dynamodb import DynamoDBStore
from infra.metering import Units, item_size, started
from infra.pacing import Pace
from projections import CREDITS_VIEW
from projections.catch_up import Reading
from projections.generations import Catalogue, RebuildRunning
from projections.leveling import level
from projections.rebuild import Progress, Rebuild
from projections.switching import drop
from tests.projections.test_rebuild import Killed, killing

USERS, SEGMENTS = 12, 4


@pytest.fixture
def filled(application: Application) -> Application:
    for number in range(USERS):
        meta = Meta(application.ids.fresh("cmd"), "test")
        execute(application.context, SignUp(f"u{number}", "development", "a@example.com"), meta)
    level(application.operating, application.clock.now)
    return application


class RawResponse:
    """What botocore reads a body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> list[bytes]:
        """All of it."""
        return [self._body]


def assembled(application: Application, pace: Pace, progress: Any = lambda _: None) -> Rebuild:
    rebuild = assemble(application, CREDITS_VIEW, pace, progress, segments=SEGMENTS, workers=2)
    rebuild.settle = lambda: None  # nobody else is here
    return rebuild


def items(application: Application, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = application.client("dynamodb").scan(TableName=table)["Items"]
    return found


def test_folding_writes_each_row_once_and_reads_each_event_once(filled: Application) -> None:
    pace, folded = Pace(), Units()

    def heard(progress: Progress) -> None:
        if progress.phase == "prove" and not folded.writes:
            folded.reads, folded.writes = pace.spent.reads, pace.spent.writes

    assert assembled(filled, pace, heard).run().flipped
    rows = list(filled.rows.scan("credits@2"))
    assert len(rows) == 2 * USERS  # a head and a statement line each
    # A head stands in the index of owners too; lines stand in none.
    assert folded.writes == USERS * (2 + 1)
    segments = [list(paced(filled, Pace()).history.scan(n, SEGMENTS)) for n in range(SEGMENTS)]
    assert sum(map(len, segments)) == 2 * USERS
    total = sum(map(item_size, items(filled, filled.settings.events_table)))
    least = 0.5 * started(total, 4096)
    # Half a unit per 4 KB of events, and a page begun per segment. No row is read: the conditional
    # write tells when somebody was faster.
    assert least <= folded.reads <= least + 0.5 * SEGMENTS


def test_a_rebuild_fires_nothing(filled: Application) -> None:
    events = items(filled, filled.settings.events_table)
    assert assembled(filled, Pace()).run().flipped
    assert items(filled, filled.settings.events_table) == events
    for queue in ("short", "probe", "projections"):
        assert filled.queue(queue).depth() == 0


def test_a_paused_projection_is_not_rebuilt(filled: Application) -> None:
    meta = Meta(filled.ids.fresh("cmd"), "op")
    execute(filled.context, Pause("projection:credits", "the table is hot"), meta)
    with pytest.raises(Refused, match="credits is paused"):
        assemble(filled, CREDITS_VIEW, Pace(), lambda _: None)


def test_an_owner_of_this_machine_is_known_to_have_ended() -> None:
    mine = owner()
    host = mine.split(":")[0]
    assert not has_ended(mine)
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert has_ended(f"{host}:{ended.pid}:abc")
    assert not has_ended("elsewhere:1:abc")
    assert not has_ended("nonsense")


def bodies(application: Application, number: int) -> dict[tuple[str, str], str]:
    return {(r.stream, r.key): r.body for r in application.rows.scan(f"credits@{number}")}


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_any_two_writes_it_goes_on(filled: Application, after: bool) -> None:
    """Every write of the rows and of the catalogue, before it stands and after."""
    expected = bodies(filled, 1)
    kills = 0
    for when in range(1, 100):
        killed = assembled(filled, Pace())
        killed.workers = 1
        killed.reading = killing(filled.operating, when, after)
        try:
            killed.run()
        except Killed:
            kills += 1
            goes_on = assembled(filled, Pace())
            goes_on.dead = lambda _: True
            assert goes_on.run().flipped
        live = filled.operating.generations.live("credits")
        assert bodies(filled, live) == expected
        for old in [g.number for g in catalogue(filled).generations if g.number != live]:
            drop(CREDITS_VIEW, filled.operating, old, lambda: None)
        if kills < when:
            break
    # Begin, a write per user, a note per segment, flip.
    assert kills == 1 + USERS + SEGMENTS + 1


def catalogue(application: Application) -> Catalogue:
    found = application.operating.generations.catalogue("credits")
    assert found is not None
    return found


def test_of_two_at_once_the_second_is_refused(filled: Application) -> None:
    first, second = assembled(filled, Pace()), assembled(filled, Pace())
    said: list[str] = []

    def settle() -> None:
        with pytest.raises(RebuildRunning) as caught:
            second.run()
        said.append(caught.value.detail)

    first.settle = settle
    assert first.run().flipped
    assert first.owner in said[0]
    assert second.run().flipped


@pytest.mark.slow
def test_a_throttled_table_slows_a_rebuild_down_and_no_more(filled: Application) -> None:
    """Every fifth request meets what DynamoDB says when it throttles."""
    chance = random.Random(3)
    throttled = 0

    def slow_down(request: Any, **_: object) -> AWSResponse | None:
        nonlocal throttled
        if chance.random() > 0.2:
            return None
        throttled += 1
        body = (
            b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}'
        )
        return AWSResponse(request.url, 400, {}, RawResponse(body))

    rebuild = assembled(filled, Pace())
    clients = [filled.client("dynamodb"), filled.dynamodb]
    for client in clients:
        client.meta.events.register("before-send.dynamodb", slow_down)
    rebuild.reading = Reading(
        DynamoDBStore(clients[0], filled.settings.events_table, filled.clock),
        filled.rows,
        filled.operating.generations,
    )
    assert rebuild.run().flipped
    assert throttled > 5
    for client in clients:
        client.meta.events.unregister("before-send.dynamodb", slow_down)
    assert bodies(filled, 2) == bodies(filled, 1)


def test_a_changed_apply_shows_exactly_the_intended_differences(filled: Application) -> None:
    def louder(view: Any, recorded: Recorded) -> list[Any]:
        lines: list[Any] = CREDITS_VIEW.apply(view, recorded)
        return [msgspec.structs.replace(line, kind=line.kind.upper()) for line in lines]

    rebuild, newer = assembled(filled, Pace()), CREDITS_VIEW.version + 1
    rebuild.projection = dataclasses.replace(
        CREDITS_VIEW, version=newer, apply=louder, changes={newer: ("line.body.kind",)}
    )
    report = rebuild.run()
    assert report.flipped
    assert report.proof.unexpected == []
    assert {(d.stream, d.field, d.expected, d.found) for d in report.proof.intended} == {
        (f"credits-u{n}", "body.kind", "GRANT", "grant") for n in range(USERS)
    }

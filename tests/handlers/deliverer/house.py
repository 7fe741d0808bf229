"""A deliverer in memory: the real parts over a table, a store and a clock that tests move."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import structlog
from msgspec import Struct
from msgspec.structs import replace

from commands import AddWebhookEndpoint
from commands.users import person_of
from domain.endpoints import Endpoint
from domain.ids import derived
from domain.user import UserState
from handlers.deliverer.envelopes import body
from handlers.deliverer.visiting import Visits
from infra.keys import KeyFiles
from infra.operations import Deliveries, Delivery, Turns
from infra.operations.deliveries import DELIVERED
from infra.personal import PersonalFields
from infra.webhooks import Answer, new_secret
from tests.world import World

USER = derived("usr", "u")
SECRET, FRESH = new_secret(b"1" * 32), new_secret(b"2" * 32)
OK, BROKEN, GONE = Answer(12, 200), Answer(34, 500, excerpt="oh"), Answer(5, 410)


class Sent(Struct, frozen=True):
    """A POST. time: epoch ms."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    time: int


class House:
    """One person with endpoints; what is sent is answered by ``answer``."""

    def __init__(self, table: Any = None) -> None:
        self.world = World()
        self.clock = self.world.clock
        if table is not None:
            self.world.table = table
        self.table = self.world.table
        self._keys = tempfile.TemporaryDirectory()
        keys = KeyFiles(Path(self._keys.name))
        self.personal = PersonalFields(keys, keys)
        self.world.context = replace(self.world.context, sealer=self.personal)
        self.deliveries = Deliveries(self.table, self.clock)
        self.turns = Turns(self.table, self.clock)
        self.sent: list[Sent] = []
        self.answer: Callable[[Sent], Answer] = lambda _: OK
        self.closing = Event()
        self.world.sign_up(USER)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See Post."""
        sent = Sent(url, headers, body, self.clock.now())
        self.sent.append(sent)
        return self.answer(sent)

    def visits(self, holder: str = "one") -> Visits:
        """A deliverer process."""
        return Visits(
            self.world.context, self.personal, self.table, self.post, holder,
            structlog.get_logger(), self.closing,
        )  # fmt: skip

    def add_endpoint(self, name: str = "a", types: tuple[str, ...] = ()) -> str:
        """An endpoint of the person; its id."""
        endpoint_id = derived("whk", name)
        url = f"https://{name}.example/hook"
        self.world.do(AddWebhookEndpoint(USER, endpoint_id, url, SECRET, types))
        return endpoint_id

    @property
    def person(self) -> UserState:
        """As they are now."""
        return person_of(self.world.context, USER).state

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """As it is now."""
        return self.person.endpoints[endpoint_id]

    def message(self, endpoint_id: str, number: int = 0, kind: str = "webhook.test") -> Delivery:
        """A message that is due now."""
        now = self.clock.now()
        made = Delivery(
            message_id=derived("msg", endpoint_id, str(number)), user_id=USER,
            endpoint_id=endpoint_id, type=kind, body=body(kind, now, {"number": number}),
            created=now, due=now,
        )  # fmt: skip
        self.deliveries.add(made)
        return made

    def now(self, delivery: Delivery) -> Delivery:
        """The message as it stands."""
        found = self.deliveries.find(USER, delivery.endpoint_id, delivery.message_id)
        assert found is not None
        return found

    def go_round(self, visits: Visits | None = None) -> int:
        """Visit everybody who waits, until nobody does at this time; how many POSTs."""
        before, visits = len(self.sent), visits or self.visits()
        for _ in range(50):
            waiting = self.turns.waiting()
            if not waiting:
                return len(self.sent) - before
            for each in waiting:
                visits.pay(each)
        raise AssertionError("somebody waits and is never served")

    def pass_time(self, until: int, step: int = 60_000) -> None:
        """Go round every minute until that time."""
        while self.clock.time < until:
            self.clock.time = min(self.clock.time + step, until)
            self.go_round()

    def check_at_rest(self) -> None:
        """Nothing is pending, so nothing is due; and nobody is told to look."""
        for _, delivery in self.table.query(f"deliveries#{USER}", Delivery):
            assert delivery.due is None, delivery
            assert delivery.status == DELIVERED or delivery.tries, delivery
        assert not list(self.table.query(f"due#{USER}", dict))

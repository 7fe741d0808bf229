"""One endpoint at a time: what is sent, recorded, tried again, dropped and given up."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from commands import (
    ChangeWebhookEndpoint,
    DisableWebhookEndpoint,
    EnableWebhookEndpoint,
    EraseUser,
    RemoveWebhookEndpoint,
    RotateWebhookSecret,
)
from domain.endpoints import ASKED
from domain.errors import Unavailable
from handlers.deliverer.schedule import SPAN_MS
from handlers.deliverer.visiting import MOST, Visits
from infra.memory_table import MemoryTable
from infra.operations import Delivery
from infra.operations.turns import TURN_MS
from infra.webhooks import Answer
from tests.handlers.deliverer.house import BROKEN, FRESH, GONE, OK, SECRET, USER, House

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


@pytest.fixture
def house() -> House:
    return House()


def signatures(headers: Any) -> int:
    return len(headers["webhook-signature"].split())


def verified(house: House, secret: str, place: int = -1) -> bool:
    sent = house.sent[place]
    # Not ``verify``, which asks this machine's clock.
    at = datetime.fromtimestamp(int(sent.headers["webhook-timestamp"]), UTC)
    again = Webhook(secret).sign(sent.headers["webhook-id"], at, sent.body.decode())
    return again in sent.headers["webhook-signature"].split()


def test_a_message_is_sent_once_signed_and_logged(house: House) -> None:
    made = house.message(house.add_endpoint())
    assert house.go_round() == 1
    (sent,) = house.sent
    assert (sent.url, sent.body.decode()) == ("https://a.example/hook", made.body)
    assert sent.headers["webhook-id"] == made.message_id
    assert sent.headers["webhook-timestamp"] == str(house.clock.time // 1000)
    assert sent.headers["Content-Type"] == "application/json"
    assert verified(house, SECRET)
    now = house.now(made)
    assert (now.status, now.due) == ("delivered", None)
    (attempt,) = now.attempts
    assert (attempt.status, attempt.milliseconds, attempt.at) == (200, 12, house.clock.time)
    house.clock.time += 30 * 24 * HOUR
    assert house.go_round() == 0
    house.check_at_rest()


def test_what_fails_is_sent_again_by_the_schedule_and_then_given_up(house: House) -> None:
    endpoint_id = house.add_endpoint()
    made, begun = house.message(endpoint_id), house.clock.time
    house.answer = lambda _: BROKEN
    house.go_round()
    house.pass_time(begun + 20 * SECOND, 500)
    house.pass_time(begun + SPAN_MS + HOUR, MINUTE)
    waits = [b.time - a.time for a, b in zip(house.sent, house.sent[1:], strict=False)]
    schedule = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, *(n * HOUR for n in (2, 5, 10, 14, 20, 24))]
    assert len(waits) == len(schedule)
    for wait, planned in zip(waits, schedule, strict=True):
        assert planned <= wait <= planned * 1.2 + 6 * MINUTE
    assert {each.headers["webhook-id"] for each in house.sent} == {made.message_id}
    assert {each.body for each in house.sent} == {made.body.encode()}
    assert len({each.headers["webhook-timestamp"] for each in house.sent}) == len(house.sent)
    now = house.now(made)
    assert (now.status, len(now.attempts)) == ("failed", 10)
    assert house.endpoint(endpoint_id).disabled == "failing"
    house.check_at_rest()


def test_it_comes_through_in_the_end(house: House) -> None:
    made = house.message(house.add_endpoint())
    house.answer = lambda _: BROKEN if len(house.sent) < 4 else OK
    house.go_round()
    house.pass_time(house.clock.time + 3 * HOUR)
    now = house.now(made)
    assert (now.status, [a.status for a in now.attempts]) == ("delivered", [500, 500, 500, 200])
    assert house.turns.find(USER, made.endpoint_id).failures == 0


def test_a_jump_of_the_clock_sends_what_is_due_once(house: House) -> None:
    made = house.message(house.add_endpoint())
    house.answer = lambda _: BROKEN
    house.go_round()
    house.clock.time += 10 * 24 * HOUR
    house.answer = lambda _: OK
    assert house.go_round() == 1
    assert house.now(made).status == "delivered"
    # And back: what is due now by the new clock does not wait for the old one.
    house.clock.time -= 20 * 24 * HOUR
    other = house.message(made.endpoint_id, 1)
    house.clock.time += TURN_MS
    house.go_round()
    assert house.now(other).status == "delivered"


def test_who_says_gone_is_disabled_at_once(house: House) -> None:
    gone, good = house.add_endpoint("gone"), house.add_endpoint("good")
    first, second = house.message(gone, 1), house.message(gone, 2)
    fine = house.message(good)
    house.answer = lambda sent: GONE if "gone" in sent.url else OK
    assert house.go_round() == 2
    assert house.endpoint(gone).disabled == "gone"
    assert not house.endpoint(good).disabled
    told = sorted(house.now(each).status for each in (first, second))
    assert told == ["dropped", "failed"]
    assert house.now(fine).status == "delivered"


def test_who_moved_before_the_old_place_said_gone_is_not_disabled(house: House) -> None:
    endpoint_id = house.add_endpoint()
    house.message(endpoint_id)

    def moved(_: object) -> Answer:
        url = "https://new.example/"
        house.world.do(ChangeWebhookEndpoint(USER, endpoint_id, url))
        return GONE

    house.answer = moved
    house.go_round()
    assert not house.endpoint(endpoint_id).disabled
    house.answer = lambda _: OK
    house.message(endpoint_id, 1)
    house.go_round()
    assert house.sent[-1].url == "https://new.example/"


def test_who_is_enabled_again_starts_without_old_failures(house: House) -> None:
    endpoint_id = house.add_endpoint()
    house.answer = lambda _: BROKEN
    house.message(endpoint_id)
    house.go_round()
    house.pass_time(house.clock.time + SPAN_MS + HOUR, 10 * MINUTE)
    assert house.endpoint(endpoint_id).disabled == "failing"
    dropped = house.message(endpoint_id, 1)
    assert house.go_round() == 0
    assert house.now(dropped).status == "dropped"
    house.turns.forgive(USER, endpoint_id)
    house.world.do(EnableWebhookEndpoint(USER, endpoint_id))
    again = house.message(endpoint_id, 2)
    house.go_round()
    assert (house.now(again).status, house.endpoint(endpoint_id).disabled) == ("pending", "")
    assert house.turns.find(USER, endpoint_id).failures == 1


def test_disabled_and_removed_endpoints_get_nothing(house: House) -> None:
    asleep, away = house.add_endpoint("asleep"), house.add_endpoint("away")
    waiting = [house.message(asleep), house.message(away)]
    house.world.do(DisableWebhookEndpoint(USER, asleep, ASKED))
    house.world.do(RemoveWebhookEndpoint(USER, away))
    assert house.go_round() == 0
    assert [house.now(each).status for each in waiting] == ["dropped", "dropped"]


def test_who_was_erased_gets_nothing_and_leaves_nothing(house: House) -> None:
    house.message(house.add_endpoint())
    house.world.do(EraseUser(USER, "asked"))
    assert house.go_round() == 0
    assert house.turns.waiting() == []
    for kind in ("deliveries", "due", "endpoints"):
        assert not list(house.table.query(f"{kind}#{USER}", dict))


def test_a_key_that_is_gone_while_the_events_are_not_yet_sends_nothing(house: House) -> None:
    house.message(house.add_endpoint())
    house.personal.erase(USER)
    (waiting,) = house.turns.waiting()
    house.visits().pay(waiting)
    assert house.sent == []


def test_both_secrets_sign_while_the_overlap_lasts(house: House) -> None:
    endpoint_id = house.add_endpoint()
    until = house.clock.time + 2 * HOUR
    house.world.do(RotateWebhookSecret(USER, endpoint_id, FRESH, 2 * HOUR))
    house.message(endpoint_id)
    house.go_round()
    assert (verified(house, FRESH), verified(house, SECRET)) == (True, True)
    assert signatures(house.sent[-1].headers) == 2
    house.clock.time = until
    house.message(endpoint_id, 1)
    house.go_round()
    assert (verified(house, FRESH), verified(house, SECRET)) == (True, False)
    assert signatures(house.sent[-1].headers) == 1


def test_an_overloaded_endpoint_is_left_in_peace_as_long_as_it_asks(house: House) -> None:
    endpoint_id = house.add_endpoint()
    first, second = house.message(endpoint_id, 1), house.message(endpoint_id, 2)
    house.answer = lambda _: Answer(1, 429, retry_after="3600")
    assert house.go_round() == 1
    begun = house.clock.time
    house.answer = lambda _: OK
    house.pass_time(begun + HOUR - SECOND)
    assert len(house.sent) == 1
    house.pass_time(begun + HOUR + MINUTE)
    assert [house.now(each).status for each in (first, second)] == ["delivered"] * 2


def test_one_visit_leaves_room_for_others(house: House) -> None:
    busy = house.add_endpoint()
    for number in range(MOST + 5):
        house.message(busy, number)
    (waiting,) = house.turns.waiting()
    visit = house.visits().pay(waiting)
    assert (visit.more, len(house.sent)) == (True, MOST)
    assert house.go_round() == 5
    house.check_at_rest()


def test_two_deliverers_share_and_neither_sends_what_the_other_does(house: House) -> None:
    messages = [house.message(house.add_endpoint(name), n) for name in "abc" for n in range(4)]
    one, two = house.visits("one"), house.visits("two")

    def meanwhile(_: object) -> Answer:
        # While one process waits for a receiver, the other looks around.
        house.answer = lambda _: OK
        for waiting in house.turns.waiting():
            two.pay(waiting)
        house.answer = meanwhile
        return OK

    house.answer = meanwhile
    for _ in range(3):
        house.go_round(one)
    assert sorted(s.headers["webhook-id"] for s in house.sent) == sorted(
        each.message_id for each in messages
    )
    house.check_at_rest()


def test_a_process_that_lost_its_turn_records_nothing_over_the_next_one(house: House) -> None:
    made = house.message(house.add_endpoint())

    def asleep(_: object) -> Answer:
        house.answer = lambda _: OK
        house.clock.time += TURN_MS + SECOND
        house.go_round(house.visits("two"))
        return BROKEN

    house.answer = asleep
    house.go_round(house.visits("one"))
    now = house.now(made)
    assert (now.status, len(now.attempts), len(house.sent)) == ("delivered", 1, 2)


def test_when_it_is_to_stop_it_begins_no_other_message(house: House) -> None:
    endpoint_id = house.add_endpoint()
    made = [house.message(endpoint_id, n) for n in range(3)]

    def stopped(_: object) -> Answer:
        house.closing.set()
        return OK

    house.answer = stopped
    (waiting,) = house.turns.waiting()
    house.visits().pay(waiting)
    assert len(house.sent) == 1
    house.closing.clear()
    house.answer = lambda _: OK
    # Another process need not wait for the turn of the one that stopped.
    assert house.go_round(house.visits("two")) == 2
    assert {house.now(each).status for each in made} == {"delivered"}


def test_an_error_that_nobody_foresaw_is_a_failed_attempt(house: House) -> None:
    made = house.message(house.add_endpoint())

    def bug(_: object) -> Answer:
        raise ZeroDivisionError

    house.answer = bug
    assert house.go_round() == 1
    now = house.now(made)
    assert (now.status, now.attempts[0].error) == ("pending", "not_sent")


class Killed(BaseException):
    """The process is gone."""


class FaultyTable(MemoryTable):
    """Before or after any call the process may die, or the call may fail."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.calm = True

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("get", "between", "together", "delete", "put", "replace", "delete_if"):
            return found

        def around(*args: Any, **kwargs: Any) -> Any:
            fate = 1.0 if self.calm else self.chance.random()
            if fate < 0.06:
                raise Killed
            if fate < 0.12:
                raise Unavailable("The table is away.")
            done = found(*args, **kwargs)
            if fate < 0.18:
                raise Killed
            if fate < 0.24:
                raise Unavailable("The table did it and did not say so.")
            return done

        return around


class Chaos:
    """A house where everything goes wrong for a while, and who took which message."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.table = FaultyTable(self.chance)
        self.house = House(self.table)
        self.endpoints = [self.house.add_endpoint(name) for name in "ab"]
        self.made: list[Delivery] = []
        self.taken: set[str] = set()
        self.calm = False
        self.house.answer = self.answer

    def answer(self, sent: Any) -> Answer:
        """The receiver's, or the end of the process that waits for it."""
        fate = 1.0 if self.calm else self.chance.random()
        if fate < 0.25:
            return BROKEN
        self.taken.add(sent.headers["webhook-id"])
        if fate < 0.35:
            raise Killed  # the receiver has it, and we do not know
        return OK

    def announce(self) -> None:
        """Whoever makes a message tries until it is there, see announcing."""
        self.table.calm = True
        endpoint_id = self.chance.choice(self.endpoints)
        self.made.append(self.house.message(endpoint_id, len(self.made)))
        self.table.calm = self.calm

    def look_around(self, visits: Visits) -> None:
        """One round."""
        for waiting in self.house.turns.waiting():
            visits.pay(waiting)


@pytest.mark.parametrize("seed", range(30))
def test_killed_between_any_two_calls_no_message_is_lost(seed: int) -> None:
    chaos = Chaos(seed)
    house, visits = chaos.house, chaos.house.visits("0")
    chaos.table.calm = False
    for step in range(60):
        if chaos.chance.random() < 0.3:
            chaos.announce()
        try:
            chaos.look_around(visits)
        except Killed:
            visits = house.visits(str(step + 1))
        except Unavailable:
            pass
        house.clock.time += chaos.chance.choice((0, 500, 5_000, 40_000))
    chaos.calm = chaos.table.calm = True
    for _ in range(200):
        house.clock.time += 60_000
        house.go_round(visits)
    assert chaos.taken == {each.message_id for each in chaos.made}
    house.check_at_rest()
    assert house.turns.waiting() == []

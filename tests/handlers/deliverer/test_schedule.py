"""When a message is tried again, and when an endpoint is given up."""

from __future__ import annotations

import pytest

from handlers.deliverer.schedule import (
    DELAYS,
    GIVE_UP_AFTER,
    GIVE_UP_MS,
    JITTER,
    MOST_WAIT_MS,
    SPAN_MS,
    outcome,
    retry_after,
)
from infra.operations import Delivery, Turn
from infra.webhooks import Answer

NOW = 1_700_000_000_000
SECOND, HOUR = 1_000, 3_600_000
MESSAGE = Delivery(
    message_id="msg", user_id="u", endpoint_id="e", type="webhook.test", body="{}",
    created=NOW, due=NOW,
)  # fmt: skip
FRESH = Turn("u", "e")


@pytest.mark.parametrize(
    ("header", "milliseconds"),
    [
        ("", 0), ("0", 0), ("120", 120 * SECOND), (" 7 ", 7 * SECOND), ("-5", 0), ("1.5", 0),
        ("soon", 0), ("9" * 60, MOST_WAIT_MS), ("99999999", MOST_WAIT_MS), ("\u0661", 0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60 * SECOND), ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("Fri, 14 Nov 2025 22:00:00 GMT", MOST_WAIT_MS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_WAIT_MS),
        ("Fri, 99 Nov 2025 22:00:00 GMT", 0), ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_what_a_receiver_asks_for(header: str, milliseconds: int) -> None:
    assert retry_after(header, NOW) == milliseconds


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_ten_attempts_over_three_days(chance: float) -> None:
    delivery, turn, now = MESSAGE, FRESH, NOW
    for delay in DELAYS:
        step = outcome(delivery, turn, Answer(10, 500), now, now, chance)
        delivery, turn = step.delivery, step.turn
        assert delivery.due is not None
        assert delivery.due - now == round(delay * (1 + JITTER * chance))
        assert (delivery.status, step.failing) == ("pending", False)
        now = delivery.due
    step = outcome(delivery, turn, Answer(10, None, "timed_out", "late"), now, now, chance)
    assert (step.delivery.status, step.delivery.due) == ("failed", None)
    assert [each.status for each in step.delivery.attempts] == [500] * 9 + [None]
    assert 3 * 24 * HOUR < now - NOW <= SPAN_MS
    # Nothing else came through in three days: the endpoint is given up with it.
    assert step.failing


def test_any_2xx_delivers_and_forgets_the_failures() -> None:
    ill = Turn("u", "e", failures=7, failing_since=NOW - HOUR, rest_until=NOW + HOUR)
    for status in (200, 201, 204, 299):
        step = outcome(MESSAGE, ill, Answer(10, status), NOW, NOW, 0.5)
        assert (step.delivery.status, step.delivery.due) == ("delivered", None)
        assert (step.turn.failures, step.turn.failing_since, step.turn.rest_until) == (0, 0, 0)
    for status in (100, 199, 300, 302, 304, 400, 404, 500, 503):
        assert outcome(MESSAGE, FRESH, Answer(1, status), NOW, NOW, 0.5).delivery.due


def test_a_wait_that_is_asked_for_is_kept() -> None:
    for status in (429, 503):
        step = outcome(MESSAGE, FRESH, Answer(1, status, retry_after="3600"), NOW, NOW, 0.5)
        assert step.delivery.due == NOW + HOUR
        # All of the endpoint's messages wait: it is overloaded.
        assert step.turn.rest_until == NOW + HOUR
    other = outcome(MESSAGE, FRESH, Answer(1, 500, retry_after="3600"), NOW, NOW, 0.5)
    assert other.delivery.due == NOW + HOUR
    assert other.turn.rest_until == NOW
    # Never sooner than the schedule says.
    short = outcome(MESSAGE, FRESH, Answer(1, 503, retry_after="1"), NOW, NOW, 0.0)
    assert short.delivery.due == NOW + DELAYS[0]


def test_410_means_never_again() -> None:
    step = outcome(MESSAGE, FRESH, Answer(1, 410), NOW, NOW, 0.5)
    assert (step.delivery.status, step.delivery.due, step.gone) == ("failed", None, True)


def test_an_endpoint_is_given_up_only_after_days_of_nothing_but_failures() -> None:
    def judged(failures: int, since: int) -> bool:
        turn = Turn("u", "e", failures=failures - 1, failing_since=since)
        return outcome(MESSAGE, turn, Answer(1, 500), NOW, NOW, 0.5).failing

    assert judged(GIVE_UP_AFTER, NOW - GIVE_UP_MS)
    assert not judged(GIVE_UP_AFTER - 1, NOW - GIVE_UP_MS)
    assert not judged(10 * GIVE_UP_AFTER, NOW - GIVE_UP_MS + 1)


def test_an_endpoint_that_keeps_failing_rests_longer_and_longer() -> None:
    turn, rests = FRESH, []
    for _ in range(15):
        turn = outcome(MESSAGE, turn, Answer(1, 500), NOW, NOW, 0.5).turn
        rests.append((turn.rest_until - NOW) // SECOND)
    assert rests == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]

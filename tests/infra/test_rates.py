"""Counting requests: exact in a process, summed up over processes, and at what cost."""

from __future__ import annotations

import re

import pytest

from domain.errors import Invalid, Unavailable
from infra import rates
from infra.memory_table import MemoryTable
from infra.metering import Meter, Units
from infra.operations import OperationalTable
from infra.rates import Policy, Rates, forget, policies
from tests.conftest import Cloud

FIVE = Policy("writes", 5, 60)


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000_000

    def now(self) -> int:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_so_many_and_no_more_until_the_window_ends(clock: Clock) -> None:
    counted = Rates(MemoryTable(), clock, b"secret")
    left = [counted.take("usr_a", FIVE) for _ in range(7)]
    assert [(q.left, q.exceeded) for q in left] == [
        (4, False), (3, False), (2, False), (1, False), (0, False), (0, True), (0, True),
    ]  # fmt: skip
    assert not counted.take("usr_b", FIVE).exceeded
    assert not counted.take("usr_a", Policy("reads", 5, 60)).exceeded
    clock.time += 1000 * left[-1].reset - 1
    assert counted.take("usr_a", FIVE).exceeded
    clock.time += 1
    assert counted.take("usr_a", FIVE).left == 4


def test_processes_hear_of_each_other(clock: Clock) -> None:
    table = MemoryTable()
    one, two = Rates(table, clock, b"secret"), Rates(table, clock, b"secret")
    for counted in (one, one, two, two):
        assert not counted.take("usr_a", FIVE).exceeded
    for counted in (one, two, one):
        counted.share()
    assert two.take("usr_a", FIVE).left == 0
    assert two.take("usr_a", FIVE).exceeded
    assert one.share() == 0  # nothing to tell, and nothing heard
    assert not one.take("usr_a", FIVE).exceeded
    two.share()
    one.share()
    assert one.take("usr_a", FIVE).exceeded
    clock.time += 60_000
    one.share()
    assert one.take("usr_a", FIVE).left == 4


def test_what_is_shared_costs_one_write_and_of_few_requests_none(
    cloud: Cloud, clock: Clock
) -> None:
    meter = Meter(cloud.client("dynamodb"))
    table = OperationalTable(meter, cloud.resources.operations_table)
    counted, other = Rates(table, clock, b"secret"), Rates(table, clock, b"secret")
    many = Policy("reads", 1000, 60)
    for _ in range(99):
        counted.take("usr_a", many)
    assert counted.share() == 0
    assert meter.totals() == Units()
    for _ in range(100):
        counted.take("usr_a", many)
        other.take("usr_a", many)
    assert (counted.share(), other.share(), other.share()) == (1, 1, 0)
    assert meter.totals() == Units(writes=2)
    assert other.take("usr_a", many).left == 1000 - 199 - 100 - 1
    forget(table, "usr_a")
    assert list(table.keys("rate#usr_a")) == []


def test_a_table_that_does_not_answer_refuses_nobody_and_is_told_later(clock: Clock) -> None:
    class Silent(MemoryTable):
        silent = True

        def add(self, pk: str, sk: str, count: int, expires: int) -> int:
            if self.silent:
                raise Unavailable("No answer.")
            return super().add(pk, sk, count, expires)

    table = Silent()
    counted, other = Rates(table, clock, b"secret"), Rates(table, clock, b"secret")
    counted.take("usr_a", FIVE)
    with pytest.raises(Unavailable):
        counted.share()
    assert counted.take("usr_a", FIVE).left == 3
    table.silent = False
    counted.share()
    other.take("usr_a", FIVE)
    other.share()
    assert other.take("usr_a", FIVE).left == 1


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_COUNTED", 100)
    counted = Rates(MemoryTable(), clock, b"secret")
    for number in range(1000):
        counted.take("busy", FIVE)
        counted.take(f"usr_{number}", FIVE)
    assert len(counted._counts) == 100
    assert counted.take("busy", FIVE).exceeded


def test_addresses_are_hidden_and_a_network_of_ipv6_is_one(clock: Clock) -> None:
    counted = Rates(MemoryTable(), clock, b"secret")
    names = [counted.whom(a) for a in ("203.0.113.7", "203.0.113.8", "2001:db8::1")]
    assert len(set(names)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
    assert counted.whom("2001:db8::ffff:1") == names[2]
    assert counted.whom("2001:db8:0:1::1") != names[2]
    assert Rates(MemoryTable(), clock, b"other").whom("203.0.113.7") != names[0]
    assert counted.whom("") == counted.whom("")


def test_what_is_no_limit() -> None:
    assert policies("") == {}
    assert policies(" reads=600/60 , auth=5/1") == {
        "reads": Policy("reads", 600, 60), "auth": Policy("auth", 5, 1),
    }  # fmt: skip
    for wrong in ("reads", "reads=0/60", "reads=5", "=5/60", "reads=5/x", "reads=-5/60", "a b=1/1"):
        with pytest.raises(Invalid, match="is no limit"):
            policies(wrong)

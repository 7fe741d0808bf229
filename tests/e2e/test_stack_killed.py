"""The whole local stack killed again and again under load: what was acknowledged is there."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from domain.commit import verify_chain
from infra.bootstrap import Application
from infra.local.stack import LocalStack, adopted
from infra.local.stripe import control
from infra.settings import from_environment
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT


class Customer(threading.Thread):
    """Signs up, buys, uploads and separates until the stack dies.

    Remembers what was acknowledged, by us and by the stand-in for Stripe.
    """

    def __init__(self, api: str, name: str, song: bytes) -> None:
        super().__init__()
        self._api, self._name, self._song = api, name, song
        self.email = f"{name}@example.com"
        self.user = ""
        self.assets: list[str] = []
        self.jobs: list[str] = []
        self.paid = 0

    def run(self) -> None:
        """See Customer."""
        try:
            browser = Browser(self._api, self.email)
            self.user = browser.user
            for _ in range(3):
                page = browser.post("/v1/checkout", {"pack": "hour"})["url"]
                control.pay(page)
                self.paid += 1
                asset = browser.upload(self._song)
                self.assets.append(asset)
                if browser.probed(asset)["status"] == "ready":
                    self.jobs.append(browser.separate(asset))
        except (httpx.HTTPError, AssertionError, KeyError, ValueError, control.ButtonFailed):
            return  # the stack died; what was not acknowledged may or may not be there


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.long)])
def test_kills_lose_nothing(tmp_path: Path, song: bytes, kills: int) -> None:
    chance = random.Random(20261123)
    customers: list[Customer] = []
    for kill in range(kills):
        stack = LocalStack(tmp_path / "data", settings=IMPATIENT)
        stack.start()
        load = [Customer(stack.api_url, f"c{kill}-{n}", song) for n in range(3)]
        for customer in load:
            customer.start()
        time.sleep(chance.uniform(0.2, 4.0))
        stack.kill()
        for customer in load:
            customer.join()
        customers += load
    assert sum(len(c.assets) for c in customers) > kills / 2
    with LocalStack(tmp_path / "data", settings=IMPATIENT) as stack:
        _all_there(stack, customers)
        _history_holds(stack)


def _all_there(stack: LocalStack, customers: list[Customer]) -> None:
    for customer in customers:
        if not customer.user:
            continue
        browser = Browser(stack.api_url, customer.email)
        assert browser.user == customer.user
        for asset in customer.assets:
            assert browser.probed(asset)["status"] == "ready"
        price = 0
        for job in customer.jobs:
            ended = browser.ended(job)
            assert ended["status"] == "completed", ended
            price += ended["price"]
            for stem in ended["stems"]:
                assert browser.download(stem["url"])[:4] == b"fLaC"
        listed = [j["job_id"] for j in browser.get("/v1/jobs", limit=100)["items"]]
        assert set(customer.jobs) <= set(listed)
        for job in set(listed) - set(customer.jobs):  # committed, but the answer was lost
            price += browser.ended(job)["price"]
        account = browser.get("/v1/credits")
        assert (account["captured"], account["reserved"]) == (price, 0)
        # A payment whose answer was lost counts too, and none counts twice.
        purchases = browser.get("/v1/purchases", limit=100)["items"]
        paid = [each for each in purchases if each["status"] == "paid"]
        assert customer.paid <= len(paid) <= customer.paid + 1
        assert account["granted"] == 600 + 3600 * len(paid)


def _history_holds(stack: LocalStack) -> None:
    with adopted(stack.environment):
        store = Application(from_environment(), "test").store
        streams: dict[str, list[object]] = {}
        for commit in store.scan():
            streams.setdefault(commit.stream, []).append(commit)
        for commits in streams.values():
            verify_chain(commits)  # type: ignore[arg-type]
        for name, commits in streams.items():
            for commit in commits:
                for peer in commit.peers:  # type: ignore[attr-defined]
                    halves = streams.get(peer.stream, [])
                    assert any(c.first == peer.first for c in halves), (name, peer)  # type: ignore[attr-defined]

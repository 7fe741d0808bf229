"""Webhooks on a whole stack: from a song to a receiver, and a deliverer that is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from infra.local.stack import LocalStack
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT
from tests.infra.webhooks.receivers import Got, Receiver, Reply, receiving


@pytest.mark.long
@pytest.mark.timeout(400)
def test_from_a_song_to_a_receiver_and_no_message_lost_by_a_kill(
    tmp_path: Path, song: bytes
) -> None:
    settings = IMPATIENT | {"webhook_private_networks": "127.0.0.0/8"}
    with receiving() as receiver, LocalStack(tmp_path / "data", settings=settings) as stack:
        browser = Browser(stack.api_url, "ann@example.com")
        made = browser.post("/v1/webhook-endpoints", {"url": receiver.url})
        asset = browser.upload(song)
        browser.probed(asset)
        browser.separate(asset)
        got = receiver.wait(4, 180)
        assert all(each.verified_by(made["secret"]) for each in got)
        assert {json.loads(each.body)["type"] for each in got} == {
            "asset.ready", "job.queued", "job.started", "job.completed",
        }  # fmt: skip
        _kill_while_it_sends(stack, browser, receiver, made["endpoint_id"])


def _kill_while_it_sends(
    stack: LocalStack, browser: Browser, receiver: Receiver, endpoint_id: str
) -> None:
    """A process that dies with a turn in its hands keeps it for a minute; then another sends."""
    before, gate = len(receiver.got), threading.Event()

    def slowly(_: Got) -> Reply:
        gate.wait(30)
        return Reply()

    receiver.reply = slowly
    browser.post(f"/v1/webhook-endpoints/{endpoint_id}/test", {})
    first = receiver.wait(before + 1)[-1]
    os.killpg(stack.supervisor.pids["deliverer"], signal.SIGKILL)
    gate.set()
    deadline = time.monotonic() + 120
    while len(receiver.got) < before + 2:
        assert time.monotonic() < deadline
        stack.supervisor.tend()
        time.sleep(0.1)
    assert receiver.got[-1].message_id == first.message_id

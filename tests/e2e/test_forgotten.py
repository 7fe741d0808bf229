"""A person is forgotten on a whole stack that is killed in the middle of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import projections
from domain.commit import verify_chain
from domain.user import USER, UserState
from infra.bootstrap import Application
from infra.local.stack import LocalStack, adopted
from infra.settings import from_environment
from projections.checking import Check
from projections.sweeping import Target
from tests.e2e.browser import Browser
from tests.e2e.conftest import IMPATIENT

ADDRESS, NAME = "fort.mit.mir@example.com", "Streng-Vertraulich"
PATIENCE = 90.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_readable_is_left_after_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stack = LocalStack(data, settings=IMPATIENT)
    stack.start()
    ann = Browser(stack.api_url, ADDRESS)
    ann.probed(ann.upload(b"no song at all", f"{NAME}.mp3"))
    ann.post("/v1/uploads", {"filename": f"{NAME} 2.mp3", "size": 9})
    mine = {"confirm": ann.get("/v1/me")["email"]}
    assert ann.http.request("DELETE", "/v1/me", json=mine).status_code == 202
    assert ann.http.get("/v1/me").status_code == 410
    stack.kill()
    with LocalStack(data, settings=IMPATIENT) as stack:
        with adopted(stack.environment):
            application = Application(from_environment(), "test")
            wait_until_forgotten(application, ann.user)
            _holds(application)
        back = Browser(stack.api_url, ADDRESS)
        assert back.user == ann.user
        assert back.get("/v1/library")["items"] == []
        assert back.get("/v1/credits")["available"] == 0
    stored = [path for path in data.rglob("*") if path.is_file()]
    assert [path.name for path in stored if path.parent.name == "journal"]
    assert not [path for path in stored if ann.user in path.name and "originals" in str(path)]
    texts = {path: path.read_bytes() for path in stored}
    assert not [path for path, text in texts.items() if NAME.encode() in text]
    assert not [path for path, text in texts.items() if ADDRESS.encode() in text]


def wait_until_forgotten(application: Application, user_id: str) -> None:
    """Fails when it takes longer than PATIENCE."""
    give_up = time.monotonic() + PATIENCE
    while True:
        state: UserState = application.store.load(USER, USER.stream(user_id)).state
        if state.erased and not state.erasing:
            return
        assert time.monotonic() < give_up, "not forgotten in time"
        time.sleep(0.2)


def _holds(application: Application) -> None:
    for stream in {commit.stream for commit in application.store.scan()}:
        verify_chain(application.store.read(stream))
    reading = application.operating
    for projection in projections.ALL.values():
        number = reading.generations.live(projection.name)
        check = Check(Target(projection, number), reading, application.clock.now)
        found = [d for d in check.streams().differences if d.field != "version"]
        assert not found + check.rows().differences

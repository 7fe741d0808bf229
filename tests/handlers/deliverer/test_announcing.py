"""From a commit to the deliveries that it makes, on the emulator's store, tables and queues."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import yaml
from msgspec.structs import replace

from commands import (
    AddWebhookEndpoint,
    CancelSeparation,
    CompleteUpload,
    DisableWebhookEndpoint,
    EraseUser,
    FailSeparation,
    InitializeUpload,
    RecordProbe,
    RejectAsset,
    RequestSeparation,
    SignUp,
    StartSeparation,
    execute,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import JOURNALED, Commit, Meta
from domain.endpoints import ASKED, TYPES
from domain.ids import derived
from handlers.deliverer.__main__ import build
from handlers.deliverer.announcing import NEWS_MS, SKEW_MS, Announcer
from handlers.deliverer.messages import KINDS
from infra.bootstrap import Application
from infra.local.emulator import Emulator
from infra.local.provision import provision
from infra.local.stack import adopted
from infra.operations import Delivery
from infra.settings import from_environment
from infra.webhooks import new_secret
from projections.doorbell import Doorbell, envelope, ring

SPLEETER = "spleeter-2stems"


class Clock:
    """The machine's time and what a test adds to it."""

    def __init__(self, application: Application) -> None:
        self._real, self.ahead = application.clock, 0

    def now(self) -> int:
        """See Clock."""
        return self._real.now() + self.ahead


class House:
    """An application with a person who has two endpoints: for everything, and for some."""

    def __init__(self, application: Application) -> None:
        self.application = application
        name = uuid.uuid4().hex
        self.user, self.other = derived("usr", name), derived("usr", name, "other")
        self.all, self.some = derived("whk", name), derived("whk", name, "some")
        self.job, self.asset = derived("job", name), derived("ast", name)
        self.do(SignUp(self.user, "development", "u@example.org"))
        self.do(SignUp(self.other, "development", "other@example.org"))
        self.add(self.all)
        self.add(self.some, ("job.completed", "job.failed"))
        self.announcer: Announcer = build(application, structlog.get_logger()).announcer

    def do(self, command: Command) -> None:
        """As whoever may."""
        meta = Meta(self.application.ids.fresh("cmd"), "test")
        execute(self.application.context, command, meta)

    def add(self, endpoint_id: str, types: tuple[str, ...] = (), user: str = "") -> None:
        """One more endpoint."""
        url, secret = "https://example.com/hook", new_secret(b"k" * 32)
        self.do(AddWebhookEndpoint(user or self.user, endpoint_id, url, secret, types))

    def upload(self) -> None:
        """A song that is ready, named in the owner's words."""
        self.do(
            InitializeUpload(self.user, self.asset, "Für Elise.mp3", "audio/mpeg", 9, 9, "k", "up")
        )
        self.do(CompleteUpload(self.user, self.asset, 9, "etag"))
        self.do(RecordProbe(self.asset, Audio(44_100 * 10, 44_100, 2), "mp3", "mp3"))

    def request(self) -> None:
        """A queued job."""
        self.upload()
        self.do(RequestSeparation(self.user, self.job, self.asset, SPLEETER, "flac"))

    def commits(self, stream: str = "") -> list[Commit]:
        """Of that stream."""
        return list(self.application.store.read(stream or f"job-{self.job}"))

    def hear(self, *bells: Doorbell) -> list[str]:
        """Ring; which messages come back."""
        records = [{"messageId": str(n), "body": envelope(b)} for n, b in enumerate(bells)]
        failures = self.announcer({"Records": records})["batchItemFailures"]
        return [each["itemIdentifier"] for each in failures]

    def made(self, endpoint_id: str = "", user: str = "") -> list[Delivery]:
        """The endpoint's log, oldest first."""
        whose = user or self.user, endpoint_id or self.all
        return self.application.deliveries.page(*whose, 100)[0][::-1]

    def bodies(self, endpoint_id: str = "") -> list[dict[str, Any]]:
        """What its messages say."""
        return [json.loads(each.body) for each in self.made(endpoint_id)]


@pytest.fixture(scope="module")
def everybodys(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    """One application; each test has people of its own in it."""
    made = msgspec.structs.asdict(
        provision(emulator.access, {"Stage": f"t{uuid.uuid4().hex[:12]}"})
    )
    parts = {f"SPLITSOUND_{name.upper()}": str(value) for name, value in made.items()}
    keys = str(tmp_path_factory.mktemp("keys"))
    with adopted({**emulator.access.environment(), **parts, "SPLITSOUND_KEYS": keys}):
        yield Application(from_environment(), "test")


@pytest.fixture
def house(everybodys: Application) -> House:
    return House(everybodys)


def test_the_rule_of_the_template_lets_all_of_it_pass_and_nothing_else() -> None:
    class Loader(yaml.SafeLoader):
        """Takes CloudFormation's tags for what they are applied to."""

    Loader.add_multi_constructor("!", lambda loader, _, node: None)
    template = yaml.load(Path("template.yaml").read_text(), Loader)
    pattern = template["Resources"]["WebhooksRule"]["Properties"]["EventPattern"]
    assert set(pattern["detail"]["types"]) == KINDS.keys()
    assert pattern["detail"]["origin"] == [{"exists": False}]
    assert {*KINDS.values(), "webhook.test"} == set(TYPES)


def test_each_endpoint_gets_the_types_that_it_wants(house: House) -> None:
    house.request()
    house.do(StartSeparation(house.job, "w"))
    house.do(FailSeparation(house.job, 1, "decode", "media_unreadable", "No."))
    assert (
        house.hear(*(ring(c) for c in [*house.commits(f"asset-{house.asset}"), *house.commits()]))
        == []
    )
    told = [body["type"] for body in house.bodies()]
    assert told == ["asset.ready", "job.queued", "job.started", "job.failed"]
    assert [body["type"] for body in house.bodies(house.some)] == ["job.failed"]


def test_a_body_says_what_the_api_says_as_it_was_then_without_urls(house: House) -> None:
    house.request()
    house.do(StartSeparation(house.job, "w"))
    house.do(CancelSeparation(house.user, house.job))
    house.hear(*(ring(c) for c in reversed(house.commits())))
    queued, started, cancelled = (body["data"] for body in house.bodies())
    assert [each["status"] for each in (queued, started, cancelled)] == [
        "queued", "running", "cancelled",
    ]  # fmt: skip
    assert [each["version"] for each in (queued, started, cancelled)] == [1, 2, 3]
    assert {each["stream"] for each in (queued, started, cancelled)} == {f"job-{house.job}"}
    assert (queued["job_id"], queued["asset_id"]) == (house.job, house.asset)
    first = house.bodies()[0]
    assert first.keys() == {"type", "timestamp", "data"}
    assert first["timestamp"].endswith("Z")
    assert "http" not in house.made()[0].body


def test_an_upload_is_told_by_the_name_that_its_owner_gave_it(house: House) -> None:
    house.upload()
    house.hear(*(ring(c) for c in house.commits(f"asset-{house.asset}")))
    (body,) = house.bodies()
    assert (body["type"], body["data"]["filename"]) == ("asset.ready", "Für Elise.mp3")


def test_a_rejected_upload_says_why(house: House) -> None:
    house.do(InitializeUpload(house.user, house.asset, "x.mp3", "audio/mpeg", 9, 9, "k", "up"))
    house.do(CompleteUpload(house.user, house.asset, 9, "etag"))
    house.do(RejectAsset(house.asset, "no_audio", "There is no audio in it."))
    house.hear(ring(house.commits(f"asset-{house.asset}")[-1]))
    (body,) = house.bodies()
    assert (body["type"], body["data"]["failure"]["code"]) == ("asset.rejected", "no_audio")


def test_a_doorbell_that_comes_again_makes_nothing_new(house: House) -> None:
    house.request()
    bells = [ring(c) for c in house.commits()]
    for _ in range(3):
        assert house.hear(*bells, *bells) == []
    (made,) = house.made()
    # Another process knows it by the same id.
    other = build(house.application, structlog.get_logger()).announcer
    other({"Records": [{"messageId": "1", "body": envelope(bells[0])}]})
    assert house.made() == [made]


def test_a_doorbell_without_its_events_does_too(house: House) -> None:
    house.request()
    bell = ring(house.commits()[0])
    assert house.hear(Doorbell(bell.stream, bell.first, bell.last, bell.types, bell.t)) == []
    assert [body["type"] for body in house.bodies()] == ["job.queued"]


def test_a_doorbell_ahead_of_the_store_comes_back(house: House) -> None:
    house.request()
    bell = ring(house.commits()[0])
    assert house.hear(replace(bell, first=2, last=2)) == ["0"]
    assert house.hear(replace(bell, stream=f"job-{derived('job', 'unknown')}")) == ["0"]


def test_what_cannot_be_read_comes_back_and_holds_nobody_up(house: House) -> None:
    house.request()
    records = [
        {"messageId": "bad", "body": "not ours"},
        {"messageId": "good", "body": envelope(ring(house.commits()[0]))},
    ]
    assert house.announcer({"Records": records}) == {
        "batchItemFailures": [{"itemIdentifier": "bad"}]
    }
    assert len(house.made()) == 1


def test_a_restore_tells_nobody(house: House) -> None:
    house.request()
    assert house.hear(replace(ring(house.commits()[0]), origin="backup")) == []
    assert house.made() == []


def test_other_people_hear_nothing(house: House) -> None:
    theirs = derived("whk", "theirs")
    house.add(theirs, user=house.other)
    house.request()
    house.hear(ring(house.commits()[0]))
    assert len(house.made()) == 1
    assert house.made(theirs, house.other) == []


def test_who_is_disabled_or_erased_hears_nothing(house: House) -> None:
    house.request()
    house.do(DisableWebhookEndpoint(house.user, house.all, ASKED))
    house.hear(ring(house.commits()[0]))
    assert house.made() == []
    house.do(EraseUser(house.user, "asked"))
    house.do(CancelSeparation(house.user, house.job))
    assert house.hear(*(ring(c) for c in house.commits())) == []
    assert house.made(house.some) == []


def test_what_is_old_is_no_news(house: House) -> None:
    house.request()
    clock = Clock(house.application)
    house.announcer._clock = clock
    clock.ahead = NEWS_MS + 60_000
    house.hear(ring(house.commits()[0]))
    assert house.made() == []
    clock.ahead = NEWS_MS - 60_000
    house.hear(ring(house.commits()[0]))
    assert len(house.made()) == 1


def test_an_endpoint_hears_nothing_from_before_its_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.request()
    later = house.application.clock.now() + SKEW_MS + 1000
    with monkeypatch.context() as patch:
        patch.setattr(type(house.application.clock), "now", lambda _: later)
        house.add(derived("whk", "late"))
    house.hear(ring(house.commits()[0]))
    assert len(house.made()) == 1
    assert house.made(derived("whk", "late")) == []


def test_what_a_lost_emulator_forgot_is_made_again(house: House) -> None:
    house.request()
    house.hear(ring(house.commits()[0]))
    house.do(CancelSeparation(house.user, house.job))  # whose doorbell was lost
    house.announcer.catch_up()
    told = [body["type"] for body in house.bodies()]
    assert sorted(told) == ["asset.ready", "job.cancelled", "job.queued"]
    assert house.announcer.catch_up() == 0
    assert house.announcer._is_news(replace(house.commits()[0], origin=JOURNALED))
    assert not house.announcer._is_news(replace(house.commits()[0], origin="backup"))


def test_doorbells_that_died_are_answered(house: House) -> None:
    house.request()
    dead = house.application.queue("webhooks_dlq")
    dead.send(envelope(ring(house.commits()[0])))
    dead.send("not ours")
    assert house.announcer.answer_dead(dead) == 1
    assert len(house.made()) == 1
    assert dead.depth() == 1


def test_whoever_sends_is_woken_when_there_is_something(house: House) -> None:
    woken: list[int] = []
    house.announcer._announced = lambda: woken.append(1)
    house.request()
    house.hear(ring(house.commits()[0]))
    assert woken == [1]
    house.hear(ring(house.commits()[0]))
    assert woken == [1]

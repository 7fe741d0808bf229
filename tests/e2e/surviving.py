"""Many jobs of one user while workers die, and what has to be true of all of them afterwards."""

from __future__ import annotations

import hashlib
import os
import random
import time
import wave
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from domain.commit import Meta
from domain.credits import CREDITS, CreditsCaptured
from domain.job import JOB, OPEN, JobState, MediaTidied, SeparationCompleted, StemStored
from handlers.operating.auditing import Audit
from handlers.operating.tidying import media_bucket, tidy
from infra import media
from infra.bootstrap import Application
from infra.local.stack import LocalStack
from infra.settings import from_environment
from tests.e2e.browser import Browser, Json
from tests.e2e.killing import Killing, Nursery

KINDS_OF_URL = ("url", "preview_url", "waveform_url")
WISHES: tuple[Json, ...] = (
    {"format": "flac", "bundle": True},
    {"format": "wav16", "bundle": True},
    {"format": "mp3", "stems": ["vocals", "no_vocals"]},
    {"format": "flac", "stems": ["vocals", "accompaniment", "no_vocals"]},
)
RATE, SONG_SECONDS = 44_100, 3.5


def write_song(path: Path, level: float) -> Path:
    """Chords in noise; one whose ``level`` is over 0.4 makes stems over full scale."""
    n = round(RATE * SONG_SECONDS)
    t, noise = np.arange(n) / RATE, np.random.default_rng(5).standard_normal((2, n))
    tones = [np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.2)]
    song = np.stack(tones) * 0.8 + np.clip(noise, -3, 3) * 0.05
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, n, "NONE", ""))
        file.writeframes((song.T * level * 32_767).astype("<i2").tobytes())
    return path


def seed() -> int:
    """KILLING_SEED, or another one each time; a run prints it."""
    return int(os.environ.get("KILLING_SEED", random.randrange(10**6)))


class Scene:
    """One stack, one user, some songs, and what each wish gives when nobody disturbs it."""

    def __init__(self, stack: LocalStack, songs: list[Path], wishes: tuple[Json, ...]) -> None:
        self.stack = stack
        self.user = Browser(stack.api_url, "survivor@example.com")
        self._songs, self.wishes = songs, wishes
        self.expected: dict[tuple[str, int], dict[str, str]] = {}
        self.jobs: dict[str, tuple[str, int]] = {}
        self.open: set[str] = set()

    @cached_property
    def application(self) -> Application:
        """The stack's parts, for this process."""
        settings = msgspec.structs.replace(from_environment(), journal=None)
        return Application(settings, "test")

    def rehearse(self, nursery: Nursery) -> None:
        """Upload the songs, and grant every wish once, undisturbed."""
        worker = nursery.fork()
        for asset in [self.user.upload(song.read_bytes(), song.name) for song in self._songs]:
            self.user.probed(asset)
            for number, wish in enumerate(self.wishes):
                job = self.user.separate(asset, **wish)
                self.expected[asset, number] = self.given(self.user.ended(job))
                self.jobs[job] = asset, number
        nursery.kill(worker)

    def given(self, job: Json) -> dict[str, str]:
        """SHA-256 of everything that a completed job gives, by name."""
        assert job["status"] == "completed", job
        urls = {f"{s['name']} {kind}": s[kind] for s in job["stems"] for kind in KINDS_OF_URL}
        if job["bundle"]:
            urls["zip"] = job["zip"]["url"]
        found = {name: self.user.download(url) for name, url in urls.items()}
        return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}

    def ask(self, chance: random.Random) -> None:
        """One more job."""
        asset, number = chance.choice(list(self.expected))
        job = self.user.separate(asset, reuse=False, **self.wishes[number])
        self.jobs[job] = asset, number
        self.open.add(job)

    def state(self, job: str) -> JobState:
        """As the history has it."""
        found: JobState = self.application.store.load(JOB, JOB.stream(job)).state
        return found

    def settle(self) -> None:
        """Forget what has ended of the open ones."""
        self.open = {job for job in self.open if self.state(job).status in OPEN}

    def events(self, stream: str) -> Iterator[Any]:
        """Of a stream."""
        aggregate = JOB if stream.startswith("job-") else CREDITS
        for commit in self.application.store.read(stream):
            yield from aggregate.decode(str(commit.events))


def storm(scene: Scene, nursery: Nursery, workers: int, kills: int, seed: int) -> Killing:
    """Kill until it is enough, let everything end, and stop the workers."""
    chance = random.Random(seed)

    def more() -> None:
        if len(scene.open) > workers:
            scene.settle()
        while len(scene.open) <= workers:
            scene.ask(chance)

    killing = Killing(nursery, workers, chance, scene.state, more)
    begun = time.monotonic()
    killing.run(kills)
    stormed = time.monotonic() - begun
    killing.calm_down()
    give_up = time.monotonic() + 120
    while scene.open and time.monotonic() < give_up:
        scene.settle()
        time.sleep(0.2)
    assert not scene.open, {job: scene.state(job) for job in scene.open}
    assert set(killing.stop()) == {0}
    # Whoever comes next removes what the killed ones left on the disk.
    killing.workers = [nursery.fork()]
    while nursery.at(killing.workers[0]).point == "starting":
        time.sleep(0.01)
    time.sleep(1)
    assert killing.stop() == [0]
    print(  # noqa: T201 - pytest shows it where a run fails, or with -s
        f"\nseed {seed}: {killing.killed} kills in {stormed:.0f} s, {dict(killing.done)}, "
        f"{killing.overtaken} zombies overtaken, {len(scene.jobs)} jobs; hit {dict(killing.hit)}"
    )
    return killing


def check_jobs(scene: Scene) -> Counter[str]:
    """Each completed, paid once, and gives what an undisturbed one gives; what was counted."""
    counted = Counter[str]()
    for job, wanted in scene.jobs.items():
        assert scene.given(scene.user.ended(job)) == scene.expected[wanted], job
        events = list(scene.events(JOB.stream(job)))
        (end,) = [e for e in events if isinstance(e, SeparationCompleted)]
        stored = [e for e in events if isinstance(e, StemStored)]
        assert len(stored) == len({e.stem.name for e in stored}) == len(end.stems)
        assert {e.gain_db for e in stored} == {end.gain_db}
        counted["removed"] += sum(e.removed for e in events if isinstance(e, MediaTidied))
        counted["kept"] += sum(e.attempt < end.attempt for e in stored)
        counted["attempts"] += end.attempt
        counted["resumed"] += any(e.attempt < end.attempt for e in stored)
        counted["gained"] += end.gain_db < 0
    return counted


def check_ledger(scene: Scene) -> None:
    """Every law of the audit, and one capture of the price for each job."""
    found = Audit(scene.application.store, thorough=True).everything()
    assert found.findings == []
    account = list(scene.events(CREDITS.stream(scene.user.user)))
    captured = [(e.job_id, e.amount) for e in account if isinstance(e, CreditsCaptured)]
    prices = [(job, scene.state(job).asked.price) for job in scene.jobs]
    assert sorted(captured) == sorted(prices)
    shown = scene.user.get("/v1/credits")
    assert (shown["captured"], shown["reserved"]) == (sum(p for _, p in prices), 0)


def check_storage(scene: Scene) -> None:
    """Tidied as the sweeper does it: originals and what the jobs name, nothing else."""
    bucket = media_bucket(scene.application)
    for job in scene.jobs:
        meta = Meta(scene.application.ids.fresh("cmd"), "test")
        tidy(scene.application.context, bucket, job, meta)
        assert scene.state(job).tidied
    named = set().union(*(scene.state(job).named for job in scene.jobs))
    originals = {scene.state(job).asked.source_key for job in scene.jobs}
    mine = f"user_{scene.user.user}/"
    assert {each.key for each in bucket.objects(mine)} == named | originals
    assert list(bucket.uploads(mine)) == []


def check_lengths(scene: Scene, directory: Path) -> None:
    """Every file of every wish decodes to the song's length; the jobs' files are the same bytes."""
    firsts = {wanted: job for job, wanted in reversed(scene.jobs.items())}
    for wanted, job in firsts.items():
        for stem in scene.user.ended(job)["stems"]:
            path = directory / f"{wanted[1]}-{stem['name']}"
            path.write_bytes(scene.user.download(stem["url"]))
            audio = media.measure(path, max_seconds=60, timeout=30).audio
            asked = scene.state(job).asked
            assert (audio.samples, audio.rate) == (asked.samples, asked.rate)


def check_machine(scene: Scene) -> None:
    """No directory of a job, and no process that works in one."""
    work = Path(scene.stack.environment["SPLITSOUND_WORK_DIRECTORY"])
    assert [path.name for path in work.glob("splitsound-*")] == []
    mine = f"{work}/splitsound-".encode()
    lines = {path: line_of(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    assert [line for path, line in lines.items() if mine in line] == []


def line_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def check(scene: Scene, tmp_path: Path) -> Counter[str]:
    """Everything at once."""
    check_machine(scene)
    check_storage(scene)
    counted = check_jobs(scene)
    check_ledger(scene)
    check_lengths(scene, tmp_path)
    print(dict(counted))  # noqa: T201
    return counted

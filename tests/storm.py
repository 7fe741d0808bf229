"""A long history, and its messages lost, doubled and shuffled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

import msgspec

from domain.commit import Commit, Meta, Tip
from domain.credits import CreditsGranted
from domain.job import SeparationRequested, SeparationStarted, StageRecorded
from projections.doorbell import Doorbell, envelope, ring

START = 1_700_000_000_000


def history(commits: int, streams: int, chance: random.Random) -> list[Commit]:
    """Commits as commands make them, four of five on jobs; a millisecond apart."""
    tips: dict[str, Tip] = {}
    written = []
    for number in range(commits):
        job = chance.random() < 0.8
        name = chance.randrange(streams)
        stream = f"job-job_{name}" if job else f"credits-usr_{name}"
        tip = tips.get(stream) or Tip(stream)
        event = _job_event(tip, name) if job else CreditsGranted("u", f"g{number}", "signup", 1)
        meta = Meta(f"cmd_{number}", "storm")
        commit = Commit(
            stream=stream, first=tip.version + 1, last=tip.version + 1,
            types=(type(event).__name__,), events=msgspec.json.encode([event]).decode(),
            cmd=meta.cmd, t=START + number, actor=meta.actor, prev=tip.hash,
        ).sealed()  # fmt: skip
        tips[stream] = Tip(stream, commit.last, commit.hash, commit.t)
        written.append(commit)
    return written


def _job_event(tip: Tip, name: int) -> object:
    match tip.version:
        case 0:
            return SeparationRequested(
                f"usr_{name}", "ast", "key", "two", ("vocals",), "flac", 44100, 44100, 2, 1, "p"
            )
        case 1:
            return SeparationStarted(f"usr_{name}", 1, "worker")
        case _:
            return StageRecorded(f"usr_{name}", 1, "decode", tip.version)


def delivered(commits: list[Commit], chance: random.Random) -> list[Doorbell]:
    """1 % of the messages lost, 5 % doubled, all of them in any order."""
    bells = [ring(c) for c in commits if chance.random() > 0.01]
    bells += chance.choices(bells, k=len(bells) // 20)
    chance.shuffle(bells)
    return bells


def batches(bells: list[Doorbell]) -> Iterator[dict[str, object]]:
    """As a queue hands them out, ten at a time."""
    rest = iter(bells)
    while ten := list(islice(rest, 10)):
        records = [{"messageId": str(n), "body": envelope(bell)} for n, bell in enumerate(ten)]
        yield {"Records": records}

"""The commands of a user's life, as the API and a worker execute them; for benchmarks."""

from __future__ import annotations

from collections.abc import Iterator

from commands import (
    CompleteSeparation,
    CompleteUpload,
    Context,
    InitializeUpload,
    RecordProbe,
    RecordStage,
    RequestSeparation,
    SignUp,
    StartSeparation,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.job import STAGES
from domain.stems import StemFile

STEMS = ("vocals", "accompaniment")


def arrival(user: str, asset: str) -> Iterator[Command]:
    """A new user and ten seconds of audio, ready to be separated."""
    key = f"user_{user}/originals/{asset}/original"
    yield SignUp(user, "development", "bench@example.com")
    yield InitializeUpload(user, asset, "A song.mp3", "audio/mpeg", 10**6, 8 << 20, key, "upload")
    yield CompleteUpload(user, asset, 10**6, '"etag"')
    yield RecordProbe(asset, Audio(441_000, 44100, 2), "mp3", "mp3")


def separation(context: Context, user: str, asset: str, model: str) -> Iterator[Command]:
    """One job from request to completion: nine commands, eleven commits."""
    job = context.ids.fresh("job")
    yield RequestSeparation(user, job, asset, model, "flac")
    yield StartSeparation(job, "host:1234:abcdef")
    for stage in STAGES:
        yield RecordStage(job, 1, stage, 1234)
    output = f"user_{user}/jobs/{job}/output/1"
    stems = tuple(StemFile(s, f"{output}/{s}.flac", 9**8, "audio/flac") for s in STEMS)
    yield CompleteSeparation(job, 1, stems, 0.0)

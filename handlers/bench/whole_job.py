"""What a job takes besides its model: a full-size HTDemucs on a local stack, from claim to end."""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from handlers.bench import Figure
from handlers.bench.latency import has_status, until, uploaded
from handlers.bench.separation import RELEASED, STEMS, run
from handlers.cli.answers import Job
from handlers.cli.client import Api
from infra import demo_song

MODEL = "bench-htdemucs"
SECONDS = 180.0  # a song


def settings(directory: Path) -> dict[str, str]:
    """For the stack: a model store with an HTDemucs of the released size and random weights."""
    (directory / "options.json").write_text(json.dumps(RELEASED))
    run("weights", directory, 0, "cpu")
    weights = directory / "random.safetensors"
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    entry = {
        "name": MODEL,
        "architecture": "htdemucs",
        "stems": STEMS,
        "files": [{"name": weights.name, "sha256": digest, "bytes": weights.stat().st_size}],
    }
    (directory / "models.json").write_bytes(msgspec.json.encode([entry]))
    return {"models": str(directory), "signup_grant": "100000"}


def figures(api_url: str, seconds: float) -> list[Figure]:
    """Where the time of a job goes, in its stages and between them."""
    with tempfile.TemporaryDirectory() as name, Api(api_url, "bench@example.com") as api:
        path = Path(name) / "bench.wav"
        demo_song.write(path, seconds)
        wish = {"asset_id": uploaded(api, path), "model": MODEL, "reuse": False}
        for _ in range(2):  # the first one loads the model
            job = f"/v1/jobs/{api.post('/v1/jobs', wish, Job).job_id}"
            until(partial(has_status, api, job, "completed"), 3600, 0.5)
        done = api.get(job, dict[str, Any])
    stages = {each["stage"]: each["seconds"] for each in done["stages"]}
    wall = (_time(done["ended_at"]) - _time(done["started_at"])).total_seconds()
    besides = 100 * (wall - stages["separate"]) / wall
    spent = ", ".join(f"{stage} {took:.2f}" for stage, took in stages.items())
    return [
        Figure(f"HTDemucs job of {seconds:.0f} s of audio, claim to end", wall, "s", "", spent),
        Figure("of it everything but the model", besides, "%", "<= 10"),
    ]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""What a job takes besides its model: a full-size HTDemucs on a local stack, from claim to end."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import msgspec

from handlers.bench import Figure
from handlers.bench.latency import until, uploaded
from handlers.bench.separation import RELEASED, STEMS, run
from handlers.cli.reach import connect
from handlers.client.bodies import JobWish
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
    with tempfile.TemporaryDirectory() as name, connect(api_url, "bench@example.com") as api:
        path = Path(name) / "bench.wav"
        demo_song.write(path, seconds)
        wish = JobWish(asset_id=uploaded(api, path), model=MODEL, reuse=False)
        for _ in range(2):  # the first one loads the model
            job_id = api.create_job(wish).job_id
            until(lambda: api.get_job(job_id).status == "completed", 3600, 0.5)  # noqa: B023
        done = api.get_job(job_id)
    assert done.started_at is not None
    assert done.ended_at is not None
    stages = {each.stage: each.seconds for each in done.stages}
    wall = (done.ended_at - done.started_at).total_seconds()
    besides = 100 * (wall - stages["separate"]) / wall
    spent = ", ".join(f"{stage} {took:.2f}" for stage, took in stages.items())
    return [
        Figure(f"HTDemucs job of {seconds:.0f} s of audio, claim to end", wall, "s", "", spent),
        Figure("of it everything but the model", besides, "%", "<= 10"),
    ]

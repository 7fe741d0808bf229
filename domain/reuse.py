"""The same bytes, model and parameters of the same user: the stems that exist, at no cost."""

from __future__ import annotations

import hashlib

import msgspec

from domain.aggregate import Event
from domain.job import COMPLETED, JobState, SeparationCompleted, SeparationRequested, StemStored
from domain.removing import gone


def fingerprint(asked: SeparationRequested) -> str:
    """Equal for requests that the same stems answer; empty when the bytes are not known."""
    if not asked.digest:
        return ""
    parts = (
        asked.digest, asked.model, asked.model_version, asked.stems, asked.format,
        (asked.prompt or "").casefold(),
        asked.bundle,
    )  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def reuse(asked: SeparationRequested, job_id: str, earlier: JobState, now: int = 0) -> list[Event]:
    """The new job's whole history when an earlier one of the same user made the same stems.

    Nothing when it did not: other bytes, model or parameters, not completed, taken back,
    deleted or over its date. now: epoch ms.
    """
    made = earlier.request
    if made is None or earlier.status != COMPLETED or earlier.refunded or gone(earlier, now):
        return []
    if made.user_id != asked.user_id or not fingerprint(asked):
        return []
    if fingerprint(made) != fingerprint(asked):
        return []
    stored = list(earlier.stored.values())
    user_id, gain = asked.user_id, earlier.gain_db
    return [
        msgspec.structs.replace(asked, price=0),
        *(StemStored(user_id, 0, stem, gain, earlier.residual_db) for stem in stored),
        SeparationCompleted(
            user_id, 0, tuple(s.file for s in stored), gain, earlier.bundle,
            earlier.reused_from or job_id, earlier.expires,
        ),
    ]  # fmt: skip

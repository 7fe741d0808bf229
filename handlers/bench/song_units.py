"""What one song costs in DynamoDB's request units, from its upload to its stems, on the emulator.

Every command that the API and the worker execute for it, and every row that the projector writes
for those commits, by AWS's rules from item sizes. What runs by the second (the worker's sign of
life) or by the request (somebody who polls) is in ``handlers.operating.bill``.
"""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

import projections
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
    StoreStem,
    execute,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import Commit, Meta
from domain.job import STAGES
from domain.stems import StoredStem
from handlers.operating.rebuilding import paced, paced_store
from infra.bootstrap import Application
from infra.metering import Units
from infra.objects import original_key, stem_key
from infra.pacing import Pace
from projections.catch_up import catch_up
from projections.doorbell import ring
from projections.heads import Heads

MODEL = "spleeter-2stems"
_SIZE, _SECONDS = 9_600_000, 240


class SongUnits(Struct, frozen=True):
    """commits: so many doorbells ring. commands, rows: units of the events and of the rows."""

    commits: int
    commands: Units
    rows: Units


def song(application: Application) -> SongUnits:
    """One song of a user who has separated others: four minutes, two stems, FLAC."""
    user = application.ids.fresh("usr")
    _Journey(application, user).run(SignUp(user, "https://issuer.example", "someone@example.com"))
    for _ in range(3):
        _Journey(application, user).whole()
    journey = _Journey(application, user)
    journey.whole()
    return journey.units


class _Journey:
    """A user's song."""

    def __init__(self, application: Application, user: str) -> None:
        self._application, self._user = application, user
        self._pace, self._rows = Pace(), Pace()
        self._store = paced_store(application, self._pace)
        self._reading, self._heads = paced(application, self._rows), Heads()
        self._context: Context = replace(application.context, store=self._store, signup_grant=10**6)
        self._commits = 0

    @property
    def units(self) -> SongUnits:
        """Spent so far."""
        return SongUnits(self._commits, self._pace.spent, self._rows.spent)

    def whole(self) -> None:
        """Upload, probe, request, work, completion."""
        fresh = self._application.ids.fresh
        user, asset, job = self._user, fresh("ast"), fresh("job")
        upload = "a-multipart-upload-id-of-the-usual-length-" + "x" * 80
        self.run(
            InitializeUpload(
                user, asset, "A song.mp3", "audio/mpeg", _SIZE, 8 << 20,
                original_key(user, asset), upload,
            )
        )  # fmt: skip
        self.run(CompleteUpload(user, asset, _SIZE, '"0123456789abcdef0123456789abcdef-2"'))
        digest = sha256(asset.encode()).hexdigest()  # a song of its own: no other's stems will do
        self.run(RecordProbe(asset, Audio(44_100 * _SECONDS, 44_100, 2), "mp3", "mp3", digest))
        self.run(RequestSeparation(user, job, asset, MODEL, "flac"))
        self.run(StartSeparation(job, "ip-10-20-1-204:7:ab12cd"))
        stems = [self._stem(job, name) for name in ("vocals", "accompaniment")]
        for stage in STAGES:
            if stage == STAGES[-1]:
                for stem in stems:
                    self.run(StoreStem(job, 1, stem, -0.5, -120.0))
            self.run(RecordStage(job, 1, stage, 12_345))
        self.run(CompleteSeparation(job, 1, tuple(s.file for s in stems), -0.5))

    def _stem(self, job: str, name: str) -> StoredStem:
        key = stem_key(self._user, job, 1, name, "flac")
        frames = 44_100 * _SECONDS
        return StoredStem(name, key, 23_456_789, "audio/flac", 0.98765, frames, 7, 0.25, 7)

    def run(self, command: Command) -> None:
        """Execute it, and let the projector follow."""
        application = self._application
        meta = Meta(application.ids.fresh("cmd"), self._user, corr=application.ids.fresh("req"))
        for position in execute(self._context, command, meta):
            commit = next(iter(application.store.newest_first(position.stream)))
            if commit.cmd == meta.cmd:
                self._commits += 1
                self._project(commit)

    def _project(self, commit: Commit) -> None:
        bell = ring(commit)
        for projection in projections.ALL.values():
            if projection.covers(commit.stream) and projection.moves(bell.types):
                catch_up(projection, commit.stream, self._reading, [bell], heads=self._heads)

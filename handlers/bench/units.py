"""What commands cost in DynamoDB's request units, by AWS's rules, on the emulator."""

from __future__ import annotations

import msgspec

from commands import (
    CancelSeparation,
    CompleteSeparation,
    CompleteUpload,
    Context,
    InitializeUpload,
    RecordProbe,
    RecordStage,
    RequestSeparation,
    SignUp,
    StartSeparation,
    execute,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import Meta
from domain.stems import StemFile
from handlers.bench import Figure
from infra.bootstrap import Application
from infra.event_store.dynamodb import DynamoDBStore
from infra.metering import Meter


def figures(application: Application) -> list[Figure]:
    """Write and read units of one song's life, then of accounts with a long history."""
    meter = Meter(application.client("dynamodb"), snapshots=False)
    store = DynamoDBStore(meter, application.settings.events_table, application.clock)
    whole = application.context
    context = Context(
        store, whole.clock, whole.ids, whole.sealer, whole.catalog, signup_grant=1_000_000
    )
    session = _Session(context, meter)
    rows = session.one_song("first job of an account")
    for _ in range(100):
        session.one_song("")
    return rows + session.one_song("101st job of an account")


class _Session:
    """One user who separates songs."""

    def __init__(self, context: Context, meter: Meter) -> None:
        self._context, self._meter = context, meter
        self._user = context.ids.fresh("usr")
        self._rows: list[Figure] = []
        self._label = "first job of an account"
        self._do(SignUp(self._user, "development", "someone@example.com"), "2 streams")

    def one_song(self, label: str) -> list[Figure]:
        """Upload, probe, request, work, complete; and one job that is cancelled."""
        self._label, self._rows = label, self._rows if label.startswith("first") else []
        asset, job, other = (self._context.ids.fresh(p) for p in ("ast", "job", "job"))
        key, model = f"user_{self._user}/originals/{asset}/original", "spleeter-2stems"
        upload = "a-multipart-upload-id-of-the-usual-length-" + "x" * 80
        self._do(
            InitializeUpload(
                self._user, asset, "A song.mp3", "audio/mpeg", 9**7, 8 << 20, key, upload
            )
        )
        self._do(CompleteUpload(self._user, asset, 9**7, '"etag"'))
        self._do(RecordProbe(asset, Audio(9_000_000, 44100, 2), "mp3", "mp3"))
        self._do(RequestSeparation(self._user, job, asset, model, "flac"), "<= 4 write, 6 read")
        self._do(StartSeparation(job, "host:1234:abcdef"))
        for stage in ("download", "probe", "decode", "separate", "encode", "upload"):
            self._do(RecordStage(job, 1, stage, 1234))
        stems = tuple(
            StemFile(name, f"user_{self._user}/jobs/{job}/output/1/{name}.flac", 9**8, "audio/flac")
            for name in ("vocals", "accompaniment")
        )
        self._do(CompleteSeparation(job, 1, stems, 0.0))
        self._do(RequestSeparation(self._user, other, asset, model, "flac"))
        self._do(CancelSeparation(self._user, other))
        return self._rows

    def _do(self, command: Command, goal: str = "1 write, <= 3 read") -> None:
        self._meter.reset()
        execute(self._context, command, Meta(self._context.ids.fresh("cmd"), self._user))
        total = self._meter.totals()
        reads, writes = msgspec.structs.astuple(total)
        dollars = total.dollars * 1e6
        name = type(command).__name__
        if self._label and not any(name in row.what for row in self._rows):
            two = name in ("CompleteSeparation", "CancelSeparation", "SignUp")
            what = f"{name} ({self._label})"
            peer = f"{reads:g} read units; ${dollars:.2f} per million"
            self._rows.append(
                Figure(what, writes, "write units", "2 streams" if two else goal, peer)
            )

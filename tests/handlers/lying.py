"""Jobs whose attempts leave things in a real bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from commands import (
    CompleteSeparation,
    CompleteUpload,
    InitializeUpload,
    RecordProbe,
    RequestSeparation,
    SignUp,
    StartSeparation,
    StoreStem,
    execute,
)
from commands.dispatch import Command
from domain.audio import Audio
from domain.commit import Meta
from domain.stems import StemFile, StoredStem, preview_key, waveform_key
from infra.bootstrap import Application
from infra.objects import original_key, stem_key
from projections.leveling import level

USER = "usr_lying"
STEMS = ("vocals", "accompaniment")


class Floor:
    """One user's bucket and jobs; every attempt puts real objects."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.s3 = application.client("s3")
        self.bucket = application.settings.media_bucket
        self.do(SignUp(USER, "development", "lying@example.com"))

    def do(self, command: Command) -> None:
        """Give a command."""
        meta = Meta(self.application.ids.fresh("cmd"), "test")
        execute(self.application.context, command, meta)

    def level(self) -> None:
        """Bring all rows to their tips."""
        level(self.application.operating, self.application.clock.now)

    def song(self, asset: str = "ast_song") -> str:
        """A probed upload whose bytes stand in storage."""
        key = original_key(USER, asset)
        self.do(InitializeUpload(USER, asset, "a.mp3", "audio/mpeg", 4, 8 << 20, key, "up"))
        self.put(key, b"song")
        self.do(CompleteUpload(USER, asset, 4, "etag"))
        self.do(RecordProbe(asset, Audio(441000, 44100, 2), "mp3", "mp3", f"digest of {asset}"))
        return asset

    def ask(self, job: str, asset: str = "ast_song", **wish: Any) -> str:
        """A queued job."""
        self.do(RequestSeparation(USER, job, asset, **wish))
        return job

    def claim(self, job: str) -> None:
        """A worker has it."""
        self.do(StartSeparation(job, "w"))

    def put(self, key: str, body: bytes = b"flac") -> str:
        """An object."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def begin_upload(self, key: str) -> str:
        """An unfinished multipart upload with a part; its id."""
        made = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)
        upload_id = str(made["UploadId"])
        self.s3.upload_part(
            Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=b"part"
        )
        return upload_id

    def key(self, job: str, attempt: int, stem: str = "vocals") -> str:
        """Of a stem."""
        return stem_key(USER, job, attempt, stem, "flac")

    def leave(self, job: str, attempt: int, stems: Sequence[str] = STEMS) -> list[str]:
        """What an attempt that died left: stems, and an unfinished upload."""
        self.begin_upload(self.key(job, attempt, "unfinished"))
        return [self.put(self.key(job, attempt, stem)) for stem in stems]

    def finish(self, job: str, attempt: int) -> set[str]:
        """Store stems with their companions, and a zip; complete. The keys that count."""
        files, keys = [], set()
        for name in STEMS:
            key = self.put(self.key(job, attempt, name))
            keys |= {key, self.put(preview_key(key)), self.put(waveform_key(key))}
            stored = StoredStem(name, key, 4, "audio/flac", 0.5, 441000, 0, 0.1, 4)
            self.do(StoreStem(job, attempt, stored, 0.0, -120.0))
            files.append(stored.file)
        bundle = StemFile(
            "stems", self.put(stem_key(USER, job, attempt, "stems", "zip")), 4, "application/zip"
        )
        self.do(CompleteSeparation(job, attempt, tuple(files), 0.0, bundle))
        return keys | {bundle.key}

    @property
    def keys(self) -> set[str]:
        """Every object of the stems."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        found = {o["Key"] for page in pages for o in page.get("Contents", [])}
        return {key for key in found if "/jobs/" in key}

    @property
    def uploads(self) -> set[str]:
        """The keys of unfinished uploads."""
        listed = self.s3.list_multipart_uploads(Bucket=self.bucket)
        return {each["Key"] for each in listed.get("Uploads", [])}

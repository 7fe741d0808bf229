"""Where digests are kept: the audit bucket, and files that an auditor took along."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from domain.errors import AccessDenied, Conflict, HistoryBroken, Invalid, NotFound
from infra.digests.document import FOLDER, SUFFIX, heads_name
from infra.faults import unavailable

_ABSENT = {"NoSuchKey", "NotFound", "404"}
_CHUNK = 1 << 20


class Lock(Struct, frozen=True):
    """How an object is locked: GOVERNANCE or COMPLIANCE, and until when (RFC 3339)."""

    mode: str
    until: str


class Source(Protocol):
    """What has digests: envelopes and their heads files, by the digest's name."""

    def envelope(self, name: str) -> bytes:
        """The envelope file. Raises NotFound."""

    def head_lines(self, name: str) -> Iterable[bytes]:
        """The lines of its heads file, with their ends. Raises NotFound."""


class AuditBucket:
    """client: a boto3 S3 client. Every object is written once and never again."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def names(self) -> list[str]:
        """The digests there are, oldest first. Raises HistoryBroken where one was deleted."""
        found = []
        for page in self._versions():
            for each in page.get("DeleteMarkers", []):
                if each["IsLatest"]:
                    raise HistoryBroken(
                        f"{each['Key']} was deleted from the bucket {self._bucket}. Until its lock "
                        "ends it is still there: remove the delete marker, and ask who set it."
                    )
            found += [
                each["Key"]
                for each in page.get("Versions", [])
                if each["IsLatest"] and each["Key"].endswith(SUFFIX)
            ]
        return sorted(found)

    def _versions(self) -> Iterator[Any]:
        with self._asking():
            pages = self._client.get_paginator("list_object_versions")
            yield from pages.paginate(Bucket=self._bucket, Prefix=FOLDER)

    def envelope(self, name: str) -> bytes:
        """See Source."""
        with self._asking(name):
            found: bytes = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
            return found

    def head_lines(self, name: str) -> Iterator[bytes]:
        """See Source."""
        place = heads_name(name)
        with self._asking(place):
            body = self._client.get_object(Bucket=self._bucket, Key=place)["Body"]
            yield from body.iter_lines(_CHUNK, keepends=True)

    def put(self, name: str, envelope: bytes, heads: BinaryIO) -> None:
        """Write the heads, then the envelope: a digest that is there has its heads.

        Doing it again changes nothing. Raises Conflict where something else has that name.
        """
        self._put(heads_name(name), heads)
        self._put(name, io.BytesIO(envelope))

    def _put(self, key: str, body: BinaryIO) -> None:
        body.seek(0)
        try:
            with self._asking(key):
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",  # a bucket with locks insists on a checksum
                )  # fmt: skip
        except Conflict:
            # Perhaps our own, sent again because the answer was lost.
            if not self._has(key, body):
                raise

    def _has(self, key: str, body: BinaryIO) -> bool:
        body.seek(0)
        with self._asking(key):
            stored = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            theirs = hashlib.sha256()
            for chunk in stored.iter_chunks(_CHUNK):
                theirs.update(chunk)
        ours = hashlib.sha256()
        while chunk := body.read(_CHUNK):
            ours.update(chunk)
        return theirs.digest() == ours.digest()

    def lock(self, name: str) -> Lock | None:
        """How the digest is locked; None where it is not, or where we may not look."""
        try:
            with self._asking(name):
                head = self._client.head_object(Bucket=self._bucket, Key=name)
        except AccessDenied:
            return None
        until: datetime | None = head.get("ObjectLockRetainUntilDate")
        return Lock(head["ObjectLockMode"], until.isoformat()) if until else None

    @contextmanager
    def _asking(self, key: str = "") -> Iterator[None]:
        if not self._bucket:
            raise Invalid(
                "No bucket for digests is named: set SPLITSOUND_AUDIT_BUCKET to the stack's output "
                "AuditBucket; a local stack has one when it is started anew."
            )
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            told = error.response["Error"] if isinstance(error, ClientError) else {}
            code = told.get("Code")
            if code == "NoSuchBucket":
                raise NotFound(
                    f"There is no bucket {self._bucket} for digests; SPLITSOUND_AUDIT_BUCKET has "
                    "to name the stack's output AuditBucket."
                ) from error
            if code == "PreconditionFailed":
                raise Conflict(f"{key} is there already; run the command again.") from error
            if code in _ABSENT:
                raise NotFound(f"There is no {key} in the bucket {self._bucket}.") from error
            place = f"arn:aws:s3:::{self._bucket}{f'/{key}' if key else ''}"
            raise unavailable("S3", error, place) from error


class DigestFile:
    """An auditor's own copy: the envelope in one file, the heads beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def heads_path(self) -> Path:
        """``digest.json`` has its heads in ``digest.heads.jsonl``."""
        return Path(heads_name(str(self._path)))

    def envelope(self, name: str = "") -> bytes:  # noqa: ARG002 - there is one
        """See Source."""
        with _reading(self._path) as file:
            return file.read()

    def head_lines(self, name: str = "") -> Iterator[bytes]:  # noqa: ARG002 - there is one
        """See Source."""
        with _reading(self.heads_path) as file:
            yield from file

    def put(self, envelope: bytes, heads: BinaryIO) -> None:
        """Write both; what was there is replaced."""
        heads.seek(0)
        with self.heads_path.open("wb") as file:
            while chunk := heads.read(_CHUNK):
                file.write(chunk)
        self._path.write_bytes(envelope)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"There is no file {path}.") from error

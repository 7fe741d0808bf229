"""The media bucket as a whole: what lies in it, and how what nobody wants goes.

Beside ``infra.objects``, which serves single transfers: synchronous, for the sweeper and the
command line, and for many keys at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from domain.errors import NotFound, Unavailable, UploadExpired
from infra.objects import translated

MEDIA = "user_"
"""What the keys of all media begin with."""

# DeleteObjects takes so many keys.
_BATCH = 1000
_JOB = re.compile(r"user_(?P<user>[^/]+)/jobs/(?P<id>[^/]+)/(?:output/(?P<attempt>\d+)/)?.*")
_ORIGINAL = re.compile(r"user_(?P<user>[^/]+)/originals/(?P<id>[^/]+)/.*")


def user_prefix(user_id: str) -> str:
    """What the keys of all media of a person begin with."""
    return f"{MEDIA}{user_id}/"


class Lying(Struct, frozen=True):
    """An object, or with ``upload_id`` an unfinished multipart upload.

    size: bytes; 0 of an upload, whose parts no listing counts. time: of its last change, or of its
    beginning; epoch milliseconds by storage's clock. version: of an object that is to go in just
    that version, or a mark of deletion.
    """

    key: str
    size: int
    time: int
    upload_id: str = ""
    version: str = ""

    @property
    def stream(self) -> str:
        """The stream that could name it: ``job-<id>``, ``asset-<id>``; empty of a strange key."""
        if found := _JOB.fullmatch(self.key):
            return f"job-{found['id']}"
        found = _ORIGINAL.fullmatch(self.key)
        return f"asset-{found['id']}" if found else ""

    @property
    def user_id(self) -> str:
        """Whose key it is."""
        return self.key.partition("/")[0].removeprefix(MEDIA)

    @property
    def attempt(self) -> int:
        """The attempt of the job that put it; 0 where the key does not tell."""
        found = _JOB.fullmatch(self.key)
        return int(found["attempt"] or 0) if found else 0


class MediaBucket:
    """client: a boto3 S3 client. Raises Unavailable, and AccessDenied, throughout."""

    def __init__(self, client: Any, bucket: str, page: int = _BATCH) -> None:
        self._client, self._bucket, self._page = client, bucket, page

    def objects(self, prefix: str = MEDIA) -> Iterator[Lying]:
        """Every object under the prefix in the order of keys, page by page."""
        for page in self._pages("list_objects_v2", prefix):
            for each in page.get("Contents", []):
                yield Lying(each["Key"], each["Size"], _milliseconds(each["LastModified"]))

    def uploads(self, prefix: str = MEDIA) -> Iterator[Lying]:
        """Every unfinished multipart upload under the prefix, in the order of keys."""
        for page in self._pages("list_multipart_uploads", prefix):
            for each in page.get("Uploads", []):
                begun = _milliseconds(each["Initiated"])
                yield Lying(each["Key"], 0, begun, each["UploadId"])

    def everything(self, prefix: str) -> Iterator[Lying]:
        """All that lies under the prefix: each version of each object, and each upload."""
        for page in self._pages("list_object_versions", prefix):
            for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                time = _milliseconds(each["LastModified"])
                yield Lying(each["Key"], each.get("Size", 0), time, version=each["VersionId"])
        yield from self.uploads(prefix)

    def has(self, key: str) -> bool:
        """Whether that object is there."""
        try:
            with translated(self._bucket, key):
                self._client.head_object(Bucket=self._bucket, Key=key)
        except NotFound:
            return False
        return True

    def remove(self, found: Iterable[Lying]) -> int:
        """Delete objects, abort uploads; how many. What is gone already counts as removed.

        Raises Unavailable where storage refused one; the others of its thousand are gone.
        """
        whole = list(found)
        for each in whole:
            if each.upload_id:
                self._abort(each)
        objects = [each for each in whole if not each.upload_id]
        for start in range(0, len(objects), _BATCH):
            self._delete(objects[start : start + _BATCH])
        return len(whole)

    def _abort(self, upload: Lying) -> None:
        with suppress(UploadExpired), translated(self._bucket, upload.key):
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=upload.key, UploadId=upload.upload_id
            )

    def _delete(self, objects: Sequence[Lying]) -> None:
        wanted = {"Objects": [_named(each) for each in objects], "Quiet": True}
        with translated(self._bucket):
            answer = self._client.delete_objects(Bucket=self._bucket, Delete=wanted)
        for refused in answer.get("Errors", []):
            why = refused.get("Message") or refused.get("Code")
            raise Unavailable(f"Storage did not delete {refused.get('Key')}: {why}.")

    def _pages(self, operation: str, prefix: str) -> Iterator[Any]:
        size = {"PageSize": self._page}
        with translated(self._bucket, prefix):
            yield from self._client.get_paginator(operation).paginate(
                Bucket=self._bucket, Prefix=prefix, PaginationConfig=size
            )


def _named(found: Lying) -> dict[str, str]:
    return {"Key": found.key} | ({"VersionId": found.version} if found.version else {})


def _milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)

"""The media bucket: multipart uploads, presigned URLs, the worker's transfers.

Keys: ``user_{id}/originals/{asset}/{name}`` and
``user_{id}/jobs/{job}/output/{attempt}/{stem}.{ext}``. The attempt is in the key, so that
a stale worker cannot overwrite finished stems.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from domain.errors import NotFound, PartsMismatch, UploadExpired
from domain.parts import Part
from infra import transfers
from infra.faults import unavailable

# Checksums only where S3 demands them: a presigned part must accept a plain PUT.
S3_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    retries={"mode": "standard", "max_attempts": 4},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=64,
)
SIGNED = b"X-Amz-Signature="
"""What tells that a text has signed URLs in it."""
# HeadObject has no body, so its error code is the bare status.
_ABSENT = {"NoSuchKey", "NotFound", "404"}
_WRONG_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


class StoredObject(Struct, frozen=True):
    """What storage says of an object. size: bytes."""

    size: int
    etag: str


def original_key(user_id: str, asset_id: str) -> str:
    """Where an upload goes; its file name stays in the events."""
    return f"user_{user_id}/originals/{asset_id}/original"


def job_prefix(user_id: str, job_id: str) -> str:
    """What the keys of everything that a job's attempts put begin with."""
    return f"user_{user_id}/jobs/{job_id}/"


def stem_key(user_id: str, job_id: str, attempt: int, stem: str, extension: str) -> str:
    """Where an attempt puts a stem."""
    return f"{job_prefix(user_id, job_id)}output/{attempt}/{stem}.{extension}"


def bundle_key(user_id: str, job_id: str, attempt: int) -> str:
    """Where an attempt puts the zip of all stems."""
    return f"{job_prefix(user_id, job_id)}output/{attempt}/stems.zip"


class Objects:
    """session: an aioboto3 Session; signer: a boto3 S3 client that only signs.

    ``async with objects:`` opens the one client that all calls of this event loop share;
    making one takes longer than most calls. Signing needs no client.
    """

    def __init__(self, session: Any, signer: Any, bucket: str, presign_seconds: int) -> None:
        self._session = session
        self._signer = signer
        self.bucket = bucket
        self.presign_seconds = presign_seconds
        self._open: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncExitStack]] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if loop in self._open:
            raise RuntimeError("this event loop has opened the bucket already")
        async with AsyncExitStack() as stack:
            region = self._signer.meta.region_name
            client = await stack.enter_async_context(
                self._session.client("s3", region_name=region, config=S3_CONFIG)
            )
            self._open[loop] = client, stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        _client, stack = self._open.pop(asyncio.get_running_loop())
        await stack.aclose()

    @property
    def _s3(self) -> Any:
        try:
            return self._open[asyncio.get_running_loop()][0]
        except KeyError:
            raise RuntimeError("open the bucket first: `async with objects:`") from None

    async def check(self) -> None:
        """Raises Unavailable when the bucket does not answer."""
        with translated(self.bucket):
            await self._s3.head_bucket(Bucket=self.bucket)

    async def create_multipart(self, key: str, content_type: str) -> str:
        """Open a multipart upload; its id."""
        with translated(self.bucket, key):
            answer = await self._s3.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type
            )
        return str(answer["UploadId"])

    async def parts(self, key: str, upload_id: str) -> list[Part]:
        """The parts that storage has, all pages. Raises UploadExpired."""
        found: list[Part] = []
        with translated(self.bucket, key):
            pages = self._s3.get_paginator("list_parts").paginate(
                Bucket=self.bucket, Key=key, UploadId=upload_id
            )
            async for page in pages:
                found += [
                    Part(p["PartNumber"], p["ETag"], p["Size"]) for p in page.get("Parts", [])
                ]
        return found

    async def complete_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Join the parts. Raises PartsMismatch or UploadExpired."""
        named = [{"PartNumber": p.number, "ETag": p.etag} for p in parts]
        with translated(self.bucket, key):
            await self._s3.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": named}
            )

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop the parts; an upload that is gone already is fine."""
        try:
            with translated(self.bucket, key):
                await self._s3.abort_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload_id
                )
        except UploadExpired:
            pass

    async def head(self, key: str) -> StoredObject | None:
        """The object's size and ETag; None when there is none."""
        try:
            with translated(self.bucket, key):
                answer = await self._s3.head_object(Bucket=self.bucket, Key=key)
        except NotFound:
            return None
        return StoredObject(answer["ContentLength"], answer["ETag"])

    async def download(self, key: str, target: Path) -> None:
        """Fetch an object into a file. Raises NotFound."""
        with translated(self.bucket, key):
            await transfers.download(self._s3, self.bucket, key, target)

    async def upload(self, source: Path, key: str, media_type: str) -> None:
        """Put a file."""
        with translated(self.bucket, key):
            await transfers.upload(self._s3, source, self.bucket, key, media_type)

    def presign_part(self, key: str, upload_id: str, number: int, size: int) -> str:
        """A URL that takes a plain PUT of one part of exactly ``size`` bytes."""
        params = {
            "Bucket": self.bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size,
        }
        return str(
            self._signer.generate_presigned_url(
                "upload_part", params, ExpiresIn=self.presign_seconds
            )
        )

    def presign_get(self, key: str, filename: str, media_type: str) -> str:
        """A URL that names the file, supports Range and can be read across origins."""
        params = {
            "Bucket": self.bucket,
            "Key": key,
            "ResponseContentDisposition": _attachment(filename),
            "ResponseContentType": media_type,
        }
        return str(
            self._signer.generate_presigned_url(
                "get_object", params, ExpiresIn=self.presign_seconds
            )
        )


def _attachment(filename: str) -> str:
    """RFC 6266: an ASCII fallback and the true name in UTF-8."""
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in filename
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


@contextmanager
def translated(bucket: str, key: str = "") -> Iterator[None]:
    """Storage's errors as ours. S3 seldom says what it denied, so the request has to."""
    place = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    try:
        yield
    except ClientError as error:
        raise _meaning(error, place) from error
    except BotoCoreError as error:
        raise unavailable("Storage", error, place) from error


def _meaning(error: ClientError, place: str) -> Exception:
    code = error.response["Error"]["Code"]
    if code == "NoSuchUpload":
        return UploadExpired(
            "Storage no longer has this upload; its parts are gone. Start a new upload."
        )
    if code in _WRONG_PARTS:
        return PartsMismatch(
            f"Storage refused to join the parts ({code}): a part is missing, too small or has "
            "another ETag. List the parts, send the missing ones again, then complete."
        )
    if code in _ABSENT:
        return NotFound("Storage has no such object.")
    return unavailable("Storage", error, place)

"""Whole files between a disk and a bucket: in parts, some of them at once, in bounded memory.

S3's multipart upload and ranged reads. aioboto3 has transfers too, but they read a hundred parts
ahead into memory, go on behind a caller that was cancelled, and tell a refused read as a bare
``Exception``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ResponseStreamingError

PART_BYTES = 8 << 20
AT_ONCE = 4
_MOST_PARTS = 10_000
# What is not dropped in this time is dropped by the sweeper's tidying.
_ABORT_SECONDS = 0.5

Work = Callable[[int], Awaitable[None]]


async def download(client: Any, bucket: str, key: str, target: Path) -> None:
    """Fetch an object into a file. client: an aiobotocore S3 client, whose errors these are."""
    place = {"Bucket": bucket, "Key": key}
    head = await client.head_object(**place)
    size, same = head["ContentLength"], {"IfMatch": head["ETag"]}
    await asyncio.to_thread(target.write_bytes, b"")

    async def fetch(at: int) -> None:
        upto = min(at + PART_BYTES, size) - 1
        answer = await client.get_object(**place, **same, Range=f"bytes={at}-{upto}")
        data = await _read(answer["Body"])
        await asyncio.to_thread(_write, target, data, at)

    await _each(range(0, size, PART_BYTES), fetch)


async def upload(client: Any, source: Path, bucket: str, key: str, media_type: str) -> None:
    """Put a file. Where that fails or is cancelled, its parts are dropped."""
    place, size = {"Bucket": bucket, "Key": key}, (await asyncio.to_thread(source.stat)).st_size
    if size <= PART_BYTES:
        body = await asyncio.to_thread(source.read_bytes)
        await client.put_object(**place, Body=body, ContentType=media_type)
        return
    made = await client.create_multipart_upload(**place, ContentType=media_type)
    place["UploadId"] = made["UploadId"]
    try:
        parts = await _send_parts(client, source, size, place)
        await client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    except BaseException:
        with suppress(Exception):
            await asyncio.wait_for(client.abort_multipart_upload(**place), _ABORT_SECONDS)
        raise


async def _send_parts(
    client: Any, source: Path, size: int, place: dict[str, str]
) -> list[dict[str, Any]]:
    part_bytes = max(PART_BYTES, -(-size // _MOST_PARTS))
    sent: dict[int, str] = {}
    with source.open("rb") as file:

        async def send(at: int) -> None:
            body = await asyncio.to_thread(os.pread, file.fileno(), part_bytes, at)
            number = at // part_bytes + 1
            answer = await client.upload_part(**place, PartNumber=number, Body=body)
            sent[number] = answer["ETag"]

        await _each(range(0, size, part_bytes), send)
    return [{"PartNumber": number, "ETag": sent[number]} for number in sorted(sent)]


def _write(target: Path, data: bytes, at: int) -> None:
    """All of it, or OSError: ``os.pwrite`` stops in the middle where a disk is full.

    The file is opened anew: a cancelled transfer leaves its thread behind, and the number of a
    descriptor that was closed meanwhile may be another file's.
    """
    with target.open("r+b") as file:
        file.seek(at)
        file.write(data)


async def _each(starts: Iterable[int], work: Work) -> None:
    """AT_ONCE of them at a time; the first that fails ends the others."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(at: int) -> None:
        async with free:
            await work(at)

    try:
        async with asyncio.TaskGroup() as group:
            for at in starts:
                group.create_task(one(at))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _read(body: Any) -> bytes:
    """All of it. A connection that ends half-way has errors of its own in aiohttp."""
    from aiohttp import ClientError  # slow to load, and there once a client is

    try:
        async with body:
            data: bytes = await body.read()
            return data
    except ClientError as error:
        raise ResponseStreamingError(error=error) from error

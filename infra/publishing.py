"""A file of a job where a provider of hosted models can fetch it, for as long as it needs it."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from infra.faults import unavailable
from infra.logs import logger

PREFIX = "hosted/"
"""Where published files stand; the template lets none of them grow older than a day."""


class Publisher:
    """s3: a boto3 client. Presigned URLs live for ``seconds``."""

    def __init__(self, s3: Any, bucket: str, seconds: int) -> None:
        self._s3, self._bucket, self._seconds = s3, bucket, seconds

    @property
    def reachable(self) -> bool:
        """Whether anybody but this machine can fetch from the bucket."""
        host = urlsplit(self._s3.meta.endpoint_url).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost"

    @contextmanager
    def __call__(self, path: Path) -> Iterator[str]:
        """A URL of the file, which is gone afterwards. Raises Unavailable."""
        key = f"{PREFIX}{secrets.token_urlsafe(24)}{path.suffix}"
        place = {"Bucket": self._bucket, "Key": key}
        try:
            self._s3.upload_file(str(path), **place)
            url = self._s3.generate_presigned_url(
                "get_object", Params=place, ExpiresIn=self._seconds
            )
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            raise unavailable("Storage", error, f"arn:aws:s3:::{self._bucket}/{key}") from error
        try:
            yield url
        finally:
            self._remove(place)

    def _remove(self, place: dict[str, str]) -> None:
        """Raises nothing: what the provider made of the file counts, and the file expires."""
        try:
            self._s3.delete_object(**place)
        except (ClientError, BotoCoreError) as error:
            logger("publishing").warning("published file left", key=place["Key"], error=str(error))

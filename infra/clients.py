"""Low-level boto3 clients of one process, made by one session and safe to share between threads.

A session reads the descriptions of endpoints and services once, which takes ten times longer than
making a client from them.
"""

from __future__ import annotations

import gzip
import os
import threading
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import msgspec
from botocore.config import Config
from botocore.loaders import JSONFileLoader

_CONFIG = Config(
    # The service checks what it is sent; doing so here too costs a third of a call's CPU.
    parameter_validation=False,
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=32,
)
_MAKING = threading.Lock()


class AwsClients:
    """Each client is made when it is first asked for."""

    @cached_property
    def dynamodb(self) -> Any:
        """For all tables."""
        from infra.straight import StraightClient

        return StraightClient(self.client("dynamodb"))

    @cached_property
    def s3(self) -> Any:
        """For both buckets."""
        from infra.objects import S3_CONFIG

        return self.client("s3", S3_CONFIG)

    @cached_property
    def sqs(self) -> Any:
        """For all queues."""
        return self.client("sqs")

    @property
    def region(self) -> str:
        """The AWS region."""
        return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"

    def client(self, service: str, config: Config = _CONFIG) -> Any:
        """A client of its own."""
        with _MAKING:  # which is not thread-safe
            return self._session.client(service, config=config)

    @cached_property
    def _session(self) -> boto3.session.Session:
        session = botocore.session.get_session()
        loader = session.get_component("data_loader")
        loader.file_loader = _Descriptions()
        loader.list_available_services = partial(_described, loader)
        return boto3.session.Session(region_name=self.region, botocore_session=session)


def _described(loader: Any, _type: str) -> list[str]:
    """The services that botocore knows; it would look into each one's folder to say so."""
    places = (Path(place) for place in loader.search_paths)
    return [each.name for place in places if place.is_dir() for each in place.iterdir()]


class _Descriptions(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """Reads botocore's own files with msgspec, in a fifth of the time."""

    def load_file(self, file_path: str) -> Any:
        """The JSON document at that path without its ending; None where there is none."""
        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if plain.is_file():
            return msgspec.json.decode(plain.read_bytes())
        return (
            msgspec.json.decode(gzip.decompress(packed.read_bytes())) if packed.is_file() else None
        )

"""A file that a provider is to fetch: there while it is needed, and storage's faults as ours."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from domain.errors import Unavailable
from infra.publishing import PREFIX, Publisher
from tests.conftest import Cloud

BUCKET = "published"


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    """A client with a bucket of its own."""
    client = cloud.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def test_a_file_can_be_fetched_while_it_is_needed_and_is_gone_afterwards(
    s3: Any, tmp_path: Path
) -> None:
    song = tmp_path / "song.flac"
    song.write_bytes(b"sound")
    with Publisher(s3, BUCKET, 60)(song) as url:
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == b"sound"
        (lying,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert lying["Key"].startswith(PREFIX)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_file_that_cannot_be_removed_does_not_cost_the_song(s3: Any, tmp_path: Path) -> None:
    def silent(**_: object) -> None:
        raise ReadTimeoutError(endpoint_url="http://storage")

    s3.meta.events.register("before-call.s3.DeleteObject", silent)
    song = tmp_path / "song.flac"
    song.write_bytes(b"sound")
    publish = Publisher(s3, BUCKET, 60)
    with publish(song) as url:
        assert url
    with pytest.raises(ValueError, match="of the song's own"), publish(song):
        raise ValueError("of the song's own")


def test_a_file_that_cannot_be_put_may_be_tried_again(s3: Any, tmp_path: Path) -> None:
    song = tmp_path / "song.flac"
    song.write_bytes(b"sound")
    with pytest.raises(Unavailable, match="Storage"), Publisher(s3, "elsewhere", 60)(song):
        pass

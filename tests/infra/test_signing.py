"""URLs are signed by a role of their own, whose credentials outlive them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from domain.errors import Invalid
from infra.objects import S3_CONFIG
from infra.signing import MOST_URL_SECONDS, signer

ROLE = "arn:aws:iam::123456789012:role/splitsound-prod-signer"
PLACE = {"Bucket": "media", "Key": "user_1/originals/a/original"}


class CountingSts:
    """Moto's STS; credentials last as long as they are told to."""

    def __init__(self, client: Any) -> None:
        self._client, self.lasts = client, timedelta(hours=1)
        self.asked: list[dict[str, Any]] = []

    def assume_role(self, **asked: Any) -> Any:
        self.asked.append(asked)
        answer = self._client.assume_role(**asked)
        answer["Credentials"]["Expiration"] = datetime.now(UTC) + self.lasts
        return answer


@pytest.fixture
def sts() -> Iterator[CountingSts]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.session.Session("a", "b", region_name="us-east-1")
    yield CountingSts(session.client("sts", endpoint_url=f"http://{host}:{port}"))
    server.stop()


def signed(client: Any) -> dict[str, list[str]]:
    url = client.generate_presigned_url("get_object", PLACE, ExpiresIn=600)
    return parse_qs(urlsplit(url).query)


def test_urls_carry_the_roles_credentials(sts: CountingSts) -> None:
    client = signer(ROLE, "eu-central-1", S3_CONFIG, 600, sts)
    query = signed(client)
    assert query["X-Amz-Security-Token"]
    assert query["X-Amz-Credential"][0].startswith("ASIA")
    assert "/eu-central-1/s3/" in query["X-Amz-Credential"][0]
    assert (sts.asked[0]["RoleArn"], sts.asked[0]["DurationSeconds"]) == (ROLE, 3600)
    signed(client)
    assert len(sts.asked) == 1


def test_credentials_are_renewed_before_a_url_could_outlive_them(sts: CountingSts) -> None:
    sts.lasts = timedelta(seconds=630)  # a URL of ten minutes would die early
    client = signer(ROLE, "us-east-1", S3_CONFIG, 600, sts)
    sts.lasts = timedelta(hours=1)
    first, second = signed(client), signed(client)
    assert len(sts.asked) == 2
    assert first["X-Amz-Credential"] == second["X-Amz-Credential"]


def test_urls_that_could_not_live_for_their_time_are_refused(sts: CountingSts) -> None:
    with pytest.raises(Invalid, match="SPLITSOUND_PRESIGN_SECONDS is 3600"):
        signer(ROLE, "us-east-1", S3_CONFIG, 3600, sts)
    assert MOST_URL_SECONDS <= 1800

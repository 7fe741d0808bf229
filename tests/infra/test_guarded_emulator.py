"""What a web page in the developer's browser may not do to the local stack's files."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra.local.guarded_emulator import HEALTH, refusal
from infra.local.provision import provision
from tests.conftest import Cloud

EVIL = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
LOCAL = "http://localhost:*,http://127.0.0.1:*"


def scope(*hosts: str, path: str = "/", kind: str = "http") -> dict[str, Any]:
    return {"type": kind, "path": path, "headers": [(b"host", host.encode()) for host in hosts]}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:4566", "localhost:1", "LocalHost", "[::1]:8", "bucket.localhost:4566"],
)
def test_names_of_the_loopback_pass(host: str) -> None:
    assert not refusal(scope(host))
    assert not refusal(scope(host, path="/bucket/user_1/_ministack/reset"))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.evil.example",
        "evillocalhost", "evil.example@127.0.0.1", "127.0.0.1:4566, evil.example", "127.0.0.2",
        "0.0.0.0", "", "localhost:", "127.0.0.1\n",
    ],
)  # fmt: skip
def test_any_other_name_is_refused(host: str) -> None:
    assert refusal(scope(host))
    assert refusal(scope(host, path=HEALTH))
    assert refusal(scope(host, kind="websocket"))


def test_exactly_one_name_is_needed() -> None:
    assert refusal(scope())
    assert refusal(scope("localhost", "evil.example"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/reset?init=1"),
        ("POST", "/%5fministack/reset"),
        ("POST", "/_ministack/config"),
        ("OPTIONS", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages"),
        ("GET", "/_ministack/health/../reset"),
        ("GET", "/_localstack/state"),
    ],
)
def test_the_administration_is_closed(cloud: Cloud, method: str, path: str) -> None:
    url = httpx.URL(cloud.access.endpoint).copy_with(raw_path=path.encode())
    answer = httpx.request(method, url, headers=EVIL)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert cloud.client("s3").list_buckets()["Buckets"]


def test_a_rebound_name_reaches_nothing(cloud: Cloud) -> None:
    place = {"Bucket": cloud.resources.media_bucket, "Key": "user_1/a"}
    cloud.client("s3").put_object(**place, Body=b"song")
    url = cloud.client("s3").generate_presigned_url("get_object", place)
    assert httpx.get(url).content == b"song"
    health = cloud.access.endpoint + HEALTH
    assert httpx.get(health).status_code == 200
    for reached in (url, health):
        answer = httpx.get(reached, headers={"Host": "rebound.example:4566"})
        assert (answer.status_code, "loopback only" in answer.text) == (403, True)


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/", "Action=DeleteQueue&QueueUrl={queue}"),
        ("POST", "/", "Action=ListQueues"),
        ("POST", "/{bucket}?delete", "<Delete><Object><Key>user_1/a</Key></Object></Delete>"),
        ("POST", "/{bucket}", "key=user_1/a&file=mine"),
        ("DELETE", "/{bucket}/user_1/a", ""),
        ("PUT", "/{bucket}/user_1/a", "mine"),
        ("GET", "/{bucket}/user_1/a", ""),
    ],
)
def test_what_is_not_signed_is_refused(cloud: Cloud, method: str, path: str, content: str) -> None:
    place = {"Bucket": cloud.resources.media_bucket, "Key": "user_1/a"}
    cloud.client("s3").put_object(**place, Body=b"song")
    names = {"bucket": cloud.resources.media_bucket, "queue": cloud.resources.probe_queue}
    url = cloud.access.endpoint + path.format(**names)
    answer = httpx.request(method, url, content=content.format(**names), headers=EVIL)
    assert 400 <= answer.status_code < 500
    assert cloud.client("s3").get_object(**place)["Body"].read() == b"song"
    queue = cloud.resources.probe_queue
    assert cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:3000"])
def test_a_page_of_this_machine_may_use_presigned_urls_and_another_may_not(
    cloud: Cloud, origin: str
) -> None:
    provision(cloud.access, {"Stage": cloud.stage, "AllowedOrigins": LOCAL})
    place = {"Bucket": cloud.resources.media_bucket, "Key": "user_1/a"}
    url = cloud.client("s3").generate_presigned_url("put_object", place)
    asked = {"Access-Control-Request-Method": "PUT"}
    preflight = httpx.options(url, headers={**asked, "Origin": origin})
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    sent = httpx.put(url, content=b"song", headers={"Origin": origin})
    assert sent.headers["Access-Control-Allow-Origin"] == origin
    assert sent.headers["ETag"]
    for foreign in ("https://evil.example", "http://localhost.evil.example:80"):
        refused = httpx.options(url, headers={**asked, "Origin": foreign})
        assert "Access-Control-Allow-Origin" not in refused.headers
        answer = httpx.put(url, content=b"song", headers={"Origin": foreign})
        assert "Access-Control-Allow-Origin" not in answer.headers

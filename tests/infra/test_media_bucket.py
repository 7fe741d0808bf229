"""The bucket as a whole: whose a key is, pages, batches, and what storage refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber

from domain.errors import AccessDenied, Unavailable
from infra import media_bucket
from infra.bootstrap import Application
from infra.media_bucket import Lying, MediaBucket
from infra.objects import S3_CONFIG, bundle_key, original_key, stem_key


@pytest.mark.parametrize(
    ("key", "stream", "attempt"),
    [
        (stem_key("usr_a", "job_b", 12, "no_vocals", "flac"), "job-job_b", 12),
        (bundle_key("usr_a", "job_b", 3), "job-job_b", 3),
        ("user_usr_a/jobs/job_b/output/x/vocals.flac", "job-job_b", 0),
        ("user_usr_a/jobs/job_b/other", "job-job_b", 0),
        (original_key("usr_a", "ast_c"), "asset-ast_c", 0),
        ("user_usr_a/notes", "", 0),
        ("user_usr_a/jobs/", "", 0),
    ],
)
def test_whose_a_key_is(key: str, stream: str, attempt: int) -> None:
    found = Lying(key, 1, 2)
    assert (found.stream, found.attempt, found.user_id) == (stream, attempt, "usr_a")


@pytest.fixture
def client(application: Application) -> Any:
    return application.client("s3", S3_CONFIG)


def test_pages_batches_and_what_is_gone_already(
    application: Application, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = application.settings.media_bucket
    bucket = MediaBucket(client, name, page=2)
    for number in range(5):
        client.put_object(Bucket=name, Key=f"user_a/{number}", Body=b"x" * number)
    for key in ("user_a/up", "user_b/up"):
        client.create_multipart_upload(Bucket=name, Key=key)
    objects, uploads = list(bucket.objects("user_a/")), list(bucket.uploads("user_a/"))
    assert [(o.key, o.size) for o in objects] == [(f"user_a/{n}", n) for n in range(5)]
    assert [u.key for u in uploads] == ["user_a/up"]
    assert all(abs(each.time - application.clock.now()) < 60_000 for each in objects + uploads)
    assert (bucket.has("user_a/3"), bucket.has("user_a/none")) == (True, False)
    monkeypatch.setattr(media_bucket, "_BATCH", 2)
    for _ in range(2):  # the second time, all of it is gone already
        assert bucket.remove(objects + uploads) == 6
    assert list(bucket.objects("user_a/")) == list(bucket.uploads("user_a/")) == []
    assert [u.key for u in bucket.uploads()] == ["user_b/up"]


def test_what_storage_refuses_is_said(client: Any) -> None:
    answer = {"Errors": [{"Key": "user_a/1", "Code": "InternalError", "Message": "We failed."}]}
    with Stubber(client) as stub:
        stub.add_response("delete_objects", answer)
        with pytest.raises(Unavailable, match="did not delete user_a/1: We failed"):
            MediaBucket(client, "media").remove([Lying("user_a/1", 1, 2)])
        stub.add_client_error("list_multipart_uploads", "AccessDenied", http_status_code=403)
        with pytest.raises(AccessDenied, match="s3:ListBucketMultipartUploads"):
            list(MediaBucket(client, "media").uploads())

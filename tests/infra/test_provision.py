from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.errors import TemplateRefused
from infra.local.provision import TEMPLATE, provision
from tests.conftest import Cloud

ORIGIN = "https://app.example"


def snapshot(cloud: Cloud) -> dict[str, Any]:
    """Everything that provisioning decides, as the cloud tells it."""
    made = cloud.resources
    dynamodb, events = cloud.client("dynamodb"), cloud.client("events")
    sqs, s3 = cloud.client("sqs"), cloud.client("s3")
    tables = (made.events_table, made.read_models_table, made.operations_table)
    queues = (
        *(made.separation_queue, made.probe_queue, made.projections_queue),
        *(made.separation_long_queue, made.separation_gpu_queue, made.separation_gpu_long_queue),
        *(made.separation_dlq, made.probe_dlq, made.projections_dlq),
    )
    rules = events.list_rules(EventBusName=made.event_bus)["Rules"]
    return {
        "tables": [dynamodb.describe_table(TableName=name)["Table"] for name in tables],
        "expiry": dynamodb.describe_time_to_live(TableName=made.operations_table)[
            "TimeToLiveDescription"
        ],
        "rules": rules,
        "targets": [
            events.list_targets_by_rule(Rule=rule["Name"], EventBusName=made.event_bus)["Targets"]
            for rule in rules
        ],
        "queues": [
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            for url in queues
        ],
        "cors": s3.get_bucket_cors(Bucket=made.media_bucket)["CORSRules"],
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=made.media_bucket)["Rules"],
        "public": s3.get_public_access_block(Bucket=made.media_bucket)[
            "PublicAccessBlockConfiguration"
        ],
        "owner": s3.get_bucket_ownership_controls(Bucket=made.media_bucket)["OwnershipControls"],
        "encryption": s3.get_bucket_encryption(Bucket=made.media_bucket)[
            "ServerSideEncryptionConfiguration"
        ],
        "lock": s3.get_object_lock_configuration(Bucket=made.audit_bucket)[
            "ObjectLockConfiguration"
        ],
        "versioning": s3.get_bucket_versioning(Bucket=made.audit_bucket)["Status"],
    }


def publish(cloud: Cloud, **detail: Any) -> None:
    entry = {
        "EventBusName": cloud.resources.event_bus,
        "Source": "splitsound",
        "DetailType": "commit",
        "Detail": json.dumps(detail),
    }
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def received(cloud: Cloud, url: str, wait: int = 2) -> list[dict[str, Any]]:
    answer = cloud.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait, VisibilityTimeout=0
    )
    return [json.loads(message["Body"])["detail"] for message in answer.get("Messages", [])]


def presigned(cloud: Cloud, method: str, key: str) -> str:
    place = {"Bucket": cloud.resources.media_bucket, "Key": key}
    url: str = cloud.client("s3").generate_presigned_url(method, Params=place, ExpiresIn=60)
    return url


def test_the_second_time_changes_nothing(cloud: Cloud) -> None:
    before = snapshot(cloud)
    time.sleep(1.1)  # the queues' time of change counts whole seconds
    assert provision(cloud.access, {"Stage": cloud.stage}) == cloud.resources
    assert snapshot(cloud) == before


def test_tables_have_keys_indexes_stream_expiry_and_protection(cloud: Cloud) -> None:
    events, read_models, _ = snapshot(cloud)["tables"]
    keys = {key["AttributeName"]: key["KeyType"] for key in events["KeySchema"]}
    assert keys == {"stream_id": "HASH", "seq": "RANGE"}
    assert events["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert events["LatestStreamArn"] == cloud.resources.events_stream_arn
    assert events["DeletionProtectionEnabled"] is True
    indexes = {each["IndexName"]: each for each in read_models["GlobalSecondaryIndexes"]}
    assert indexes.keys() == {"by_owner", "by_status"}
    assert snapshot(cloud)["expiry"]["AttributeName"] == "expires"


def test_drift_is_put_right(cloud: Cloud) -> None:
    made, before = cloud.resources, snapshot(cloud)
    s3, sqs, events = cloud.client("s3"), cloud.client("sqs"), cloud.client("events")
    s3.delete_bucket_cors(Bucket=made.media_bucket)
    sqs.set_queue_attributes(
        QueueUrl=made.separation_queue,
        Attributes={"VisibilityTimeout": "7", "RedrivePolicy": "", "Policy": ""},
    )
    rule = {"Rule": f"splitsound-{cloud.stage}-separation", "EventBusName": made.event_bus}
    elsewhere = sqs.get_queue_attributes(QueueUrl=made.probe_queue, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    events.put_targets(**rule, Targets=[{"Id": "surplus", "Arn": elsewhere}])
    events.remove_targets(**rule, Ids=["separation"])
    cloud.client("dynamodb").update_table(
        TableName=made.read_models_table,
        GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_status"}}],
    )
    provision(cloud.access, {"Stage": cloud.stage})
    after = snapshot(cloud)
    assert _lasting(after["queues"]) == _lasting(before["queues"])
    assert _indexes(after) == _indexes(before)
    for part in ("cors", "rules", "targets"):
        assert after[part] == before[part]


def _lasting(queues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in each.items() if k != "LastModifiedTimestamp"} for each in queues]


def _indexes(seen: dict[str, Any]) -> dict[str, Any]:
    read_models = seen["tables"][1]
    return {each["IndexName"]: each["KeySchema"] for each in read_models["GlobalSecondaryIndexes"]}


def test_changed_parameters_reach_what_exists(cloud: Cloud) -> None:
    parameters = {"Stage": cloud.stage, "AllowedOrigins": ORIGIN, "ProbeVisibilitySeconds": "11"}
    provision(cloud.access, parameters)
    after = snapshot(cloud)
    assert after["cors"][0]["AllowedOrigins"] == [ORIGIN]
    assert after["queues"][1]["VisibilityTimeout"] == "11"


def test_what_is_written_to_the_audit_bucket_is_locked(cloud: Cloud) -> None:
    s3, bucket = cloud.client("s3"), cloud.resources.audit_bucket
    written = s3.put_object(Bucket=bucket, Key="digests/a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(s3.exceptions.ClientError, match="object lock"):
        s3.delete_object(Bucket=bucket, Key="digests/a", VersionId=written["VersionId"])
    head = s3.head_object(Bucket=bucket, Key="digests/a")
    assert head["ObjectLockMode"] == "GOVERNANCE"


def test_a_stage_from_before_there_were_digests_gets_their_bucket(cloud: Cloud) -> None:
    before, s3 = snapshot(cloud), cloud.client("s3")
    s3.delete_bucket(Bucket=cloud.resources.audit_bucket)
    assert provision(cloud.access, {"Stage": cloud.stage}) == cloud.resources
    assert snapshot(cloud)["lock"] == before["lock"]
    # And one that was made without a lock is locked from then on.
    s3.delete_bucket(Bucket=cloud.resources.audit_bucket)
    s3.create_bucket(Bucket=cloud.resources.audit_bucket)
    provision(cloud.access, {"Stage": cloud.stage})
    after = snapshot(cloud)
    assert (after["lock"], after["versioning"]) == (before["lock"], "Enabled")


def test_properties_that_it_cannot_provision_are_refused(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    text = TEMPLATE.read_text()
    path.write_text(text.replace("      SqsManagedSseEnabled: true", "      DelaySeconds: 3", 1))
    with pytest.raises(TemplateRefused, match="DelaySeconds"):
        provision(cloud.access, {"Stage": cloud.stage}, path)


def test_a_fresh_commit_wakes_work_and_an_imported_one_only_projections(cloud: Cloud) -> None:
    publish(cloud, types=["SeparationRequested"], stream="job-restored", origin="import:1")
    publish(cloud, types=["SeparationRequested", "Noted"], stream="job-fresh")
    publish(cloud, types=["UploadCompleted"], stream="asset-fresh")
    publish(cloud, types=["UploadCompleted"], stream="asset-restored", origin="import:1")
    made = cloud.resources
    assert [d["stream"] for d in received(cloud, made.separation_queue)] == ["job-fresh"]
    assert [d["stream"] for d in received(cloud, made.probe_queue)] == ["asset-fresh"]
    everything = {d["stream"] for d in received(cloud, made.projections_queue)}
    assert everything == {"job-fresh", "job-restored", "asset-fresh", "asset-restored"}


def test_a_separation_wakes_the_workers_of_its_lane_only(cloud: Cloud) -> None:
    made = cloud.resources
    queues = {
        "short": made.separation_queue,
        "long": made.separation_long_queue,
        "gpu-short": made.separation_gpu_queue,
        "gpu-long": made.separation_gpu_long_queue,
    }
    for lane in queues:
        publish(cloud, types=["SeparationRequeued"], stream=f"job-{lane}", lane=lane)
    publish(cloud, types=["SeparationRequested"], stream="job-from-before-lanes")
    for lane, url in queues.items():
        found = {d["stream"] for d in received(cloud, url)}
        older = {"job-from-before-lanes"} if lane == "short" else set()
        assert found == {f"job-{lane}"} | older


def test_a_message_that_nobody_manages_goes_to_the_dead_letters(cloud: Cloud) -> None:
    publish(cloud, types=["UploadCompleted"], stream="asset-poison")
    for _ in range(5):
        assert received(cloud, cloud.resources.probe_queue)
    assert not received(cloud, cloud.resources.probe_queue, wait=1)
    assert [d["stream"] for d in received(cloud, cloud.resources.probe_dlq)] == ["asset-poison"]


def test_a_browser_may_put_and_read_the_etag(cloud: Cloud) -> None:
    url = presigned(cloud, "put_object", "user_1/originals/a")
    preflight = httpx.options(
        url,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] in ("*", ORIGIN)
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    put = httpx.put(url, content=b"la la", headers={"Origin": ORIGIN, "Content-Type": "audio/wav"})
    assert put.status_code == 200
    exposed = {name.strip() for name in put.headers["access-control-expose-headers"].split(",")}
    assert exposed == {"ETag", "Content-Length", "Content-Range", "Accept-Ranges"}
    assert put.headers["etag"]


def test_a_browser_may_read_a_range(cloud: Cloud) -> None:
    key = "user_1/jobs/j/output/1/vocals.flac"
    cloud.client("s3").put_object(Bucket=cloud.resources.media_bucket, Key=key, Body=b"0123456789")
    url = presigned(cloud, "get_object", key)
    part = httpx.get(url, headers={"Origin": ORIGIN, "Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"


def test_nothing_is_public(cloud: Cloud) -> None:
    place = {"Bucket": cloud.resources.media_bucket, "Key": "user_1/originals/a"}
    cloud.client("s3").put_object(**place, Body=b"private")
    plain = f"{cloud.access.endpoint}/{place['Bucket']}/{place['Key']}"
    assert httpx.get(plain).status_code == 403
    assert httpx.put(plain, content=b"mine now").status_code == 403
    url = presigned(cloud, "get_object", place["Key"])
    assert httpx.get(url).content == b"private"
    assert httpx.get(re.sub(r"Signature=.", "Signature=0", url) + "0").status_code == 403
    public = snapshot(cloud)["public"]
    assert public
    assert all(public.values())

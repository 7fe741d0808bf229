from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.loaders import Loader

from infra.clients import AwsClients, _Descriptions


def test_botocores_own_files_say_the_same_read_either_way() -> None:
    theirs, ours = Loader(), Loader(file_loader=_Descriptions())
    for service in ("dynamodb", "s3", "sqs", "kms", "events"):
        assert ours.load_service_model(service, "service-2") == theirs.load_service_model(
            service, "service-2"
        )
    assert ours.load_data("endpoints") == theirs.load_data("endpoints")


def test_both_endings_are_found_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text('{"a": 1}')
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(b'{"b": 2}'))
    read = _Descriptions()
    assert read.load_file(str(tmp_path / "plain")) == {"a": 1}
    assert read.load_file(str(tmp_path / "packed")) == {"b": 2}
    assert read.load_file(str(tmp_path / "absent")) is None


def test_a_client_signs_and_asks_as_boto3s_own_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients = AwsClients()
    assert clients.dynamodb is clients.dynamodb
    plain = boto3.session.Session(region_name="eu-central-1").client("dynamodb")
    assert clients.dynamodb.meta.endpoint_url == plain.meta.endpoint_url
    assert clients.dynamodb.meta.region_name == "eu-central-1"
    known = clients.dynamodb.meta.service_model.operation_names
    assert known == plain.meta.service_model.operation_names


def test_logs_do_without_rich_and_leave_it_to_others() -> None:
    code = "import sys, infra.logs; assert 'rich' not in sys.modules; import rich.table"
    subprocess.run([sys.executable, "-c", code], check=True)

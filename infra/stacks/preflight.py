"""``python -m infra.stacks.preflight STAGE DOMAIN CERTIFICATE ACCOUNT``: what would fail half-way.

CloudFormation says it only when it comes to the part, and then takes minutes of work back.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.stacks import stack
from infra.stage import names

LONGEST_BUCKET = 63
"""What S3 allows."""


def complaints(stage: str, domain: str, certificate: str, account: str) -> Iterator[str]:
    """Each says what is wrong and what to do. Raises ClientError, BotoCoreError."""
    region = str(boto3.session.Session().region_name)
    named = names(stage, account, region)
    longest = max(named["media_bucket"], named["audit_bucket"], key=len)
    if len(longest) > LONGEST_BUCKET:
        over = len(longest) - LONGEST_BUCKET
        yield f"in {region} the stage's name is too long for a bucket's: take {over} off '{stage}'"
    yield from _certificate(certificate, domain, account, region)
    yield from _left(stage, named)


def _certificate(arn: str, domain: str, account: str, region: str) -> Iterator[str]:
    place = f"acm:{region}:{account}:certificate/"
    if not re.match(rf"arn:[a-z-]+:{place}", arn):
        yield f"the certificate has to be of this region and account, arn:aws:{place}..., not {arn}"
        return
    try:
        found = boto3.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    except ClientError as error:
        yield f"the certificate cannot be looked at: {error}"
        return
    api, covered = f"api.{domain}", {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    if not covered & {api, f"*.{domain}"}:
        yield f"the certificate is for {', '.join(sorted(covered))}, not for {api}"
    if found["Status"] != "ISSUED":
        yield f"the certificate is {found['Status']}: make its validation records in the domain"


def _left(stage: str, named: dict[str, str]) -> Iterator[str]:
    """What an earlier stage of that name left, which cannot be made again."""
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    secrets, secret = boto3.client("secretsmanager"), f"splitsound/{stage}/secrets"
    looks: dict[str, dict[str, Callable[[], object]]] = {
        "data": {
            named["events_table"]: lambda: dynamodb.describe_table(TableName=named["events_table"]),
            named["keys_table"]: lambda: dynamodb.describe_table(TableName=named["keys_table"]),
            named["media_bucket"]: lambda: s3.head_bucket(Bucket=named["media_bucket"]),
            named["audit_bucket"]: lambda: s3.head_bucket(Bucket=named["audit_bucket"]),
        },
        "access": {secret: lambda: secrets.describe_secret(SecretId=secret)},
    }
    for part, parts in looks.items():
        if stack.status(f"splitsound-{stage}-{part}") not in stack.GONE:
            continue
        there = [name for name, look in parts.items() if _is_there(look)]
        if there:
            yield (
                f"{', '.join(there)} of an earlier stage {stage} are kept and in the way: take "
                f"another name for the stage, or delete them, and what people own with them"
            )


def _is_there(look: Callable[[], object]) -> bool:
    try:
        look()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"ResourceNotFoundException", "404", "NoSuchBucket"}:
            return False
        raise
    return True


def main(stage: str, domain: str, certificate: str, account: str) -> int:
    """Say all of it; 1 when there is something."""
    try:
        found = list(complaints(stage, domain, certificate, account))
    except (ClientError, BotoCoreError) as error:
        found = [str(error)]
    sys.stderr.write("".join(f"deploy: {each}\n" for each in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

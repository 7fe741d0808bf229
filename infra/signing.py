"""Who signs presigned URLs: a role that can do nothing but what the URLs are for.

A presigned URL carries its signer's rights and dies with the signer's credentials. Those of a role
that another role assumed live for an hour at most (AWS: "Role chaining"), so they are renewed
while each URL that is signed with them still lives for its whole time.
"""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import RefreshableCredentials, create_assume_role_refresher
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from domain.errors import Invalid
from infra.faults import unavailable

SESSION_SECONDS = 3600
"""The most that AWS gives a chained role."""
MOST_URL_SECONDS = 1800
"""URLs that live longer would leave too little of the hour to sign in."""


def signer(role: str, region: str, config: Config, url_seconds: int, sts: Any) -> Any:
    """A boto3 S3 client that signs as that role (ARN). sts: a boto3 client of the caller's own.

    url_seconds: how long URLs live. Raises Invalid for more than MOST_URL_SECONDS, and Unavailable
    where the role cannot be assumed.
    """
    if url_seconds > MOST_URL_SECONDS:
        raise Invalid(
            f"SPLITSOUND_PRESIGN_SECONDS is {url_seconds}; with SPLITSOUND_SIGNER_ROLE at most "
            f"{MOST_URL_SECONDS}, because URLs die with the role's credentials, within the hour."
        )
    assumed = {
        "RoleArn": role,
        "RoleSessionName": "splitsound-signer",
        "DurationSeconds": SESSION_SECONDS,
    }
    refresh = create_assume_role_refresher(sts, assumed)
    session = get_session()
    # botocore has no public way in. They are renewed once a URL of that moment would outlive them.
    session._credentials = RefreshableCredentials.create_from_metadata(
        metadata=_first(refresh, role),
        refresh_using=refresh,
        method="sts-assume-role",
        mandatory_timeout=url_seconds + 60,
        advisory_timeout=url_seconds + 300,
    )
    made = boto3.session.Session(botocore_session=session, region_name=region)
    return made.client("s3", config=config)


def _first(refresh: Any, role: str) -> Any:
    try:
        return refresh()
    except (ClientError, BotoCoreError) as error:
        raise unavailable("STS", error, role) from error

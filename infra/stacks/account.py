"""``python -m infra.stacks.account``: the account that the credentials at hand belong to."""

from __future__ import annotations

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main() -> int:
    """Print it; 1 when AWS does not say."""
    try:
        sys.stdout.write(boto3.client("sts").get_caller_identity()["Account"] + "\n")
    except (ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

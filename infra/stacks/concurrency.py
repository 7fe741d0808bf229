"""``python -m infra.stacks.concurrency``: whether the account can set a run of functions aside."""

from __future__ import annotations

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

UNRESERVED = 100
"""Runs that Lambda keeps for functions without any of their own (AWS: "Reserved concurrency")."""


def main() -> int:
    """Print true or false; 1 when AWS does not say."""
    try:
        limit = boto3.client("lambda").get_account_settings()["AccountLimit"]
    except (ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    at_once = limit["ConcurrentExecutions"]
    if at_once <= UNRESERVED:
        sys.stderr.write(
            f"This account may run only {at_once} functions at once, too few under load: "
            "ask AWS for 1,000 (Service Quotas, Lambda, Concurrent executions).\n"
        )
    sys.stdout.write("true\n" if at_once > UNRESERVED else "false\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m infra.stacks.stack NAME [OUTPUT]``: how a stack stands, or one of its outputs."""

from __future__ import annotations

import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

GONE = frozenset({"", "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"})
"""Not there, or of no creation that came to its end: nothing is in such a stack."""


def described(name: str) -> dict[str, Any]:
    """What CloudFormation says of the stack; nothing where there is none."""
    try:
        [found] = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise
    told: dict[str, Any] = found
    return told


def status(name: str) -> str:
    """Its status, empty where there is no such stack."""
    return str(described(name).get("StackStatus", ""))


def output(name: str, key: str) -> str:
    """One of its outputs, empty where there is none of that name."""
    outputs = described(name).get("Outputs", [])
    return next((str(o["OutputValue"]) for o in outputs if o["OutputKey"] == key), "")


def main(name: str, key: str = "") -> int:
    """Print it; 1 when AWS does not say."""
    try:
        sys.stdout.write((output(name, key) if key else status(name)) + "\n")
    except (ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

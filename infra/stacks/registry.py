"""``python -m infra.stacks.registry ACCOUNT ENGINE``: sign the engine in to the account's ECR.

The password goes by standard input, so it stands in no list of processes.
"""

from __future__ import annotations

import base64
import subprocess
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main(account: str, engine: str) -> int:
    """Print the registry's host; 1 when it cannot be signed in to."""
    try:
        client = boto3.client("ecr")
        [found] = client.get_authorization_token(registryIds=[account])["authorizationData"]
    except (ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    host = found["proxyEndpoint"].removeprefix("https://")
    user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
    done = subprocess.run(
        [engine, "login", "--username", user, "--password-stdin", host],
        input=password.encode(), stdout=sys.stderr, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        sys.stdout.write(host + "\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

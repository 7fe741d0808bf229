"""How to reach the emulated cloud, for this process and for the components."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from msgspec import Struct

REGION = "us-east-1"
ACCOUNT = "000000000000"

# botocore reads these from the environment and from ~/.aws. A developer's profile must neither
# break the local stack nor leak into it, so we name no source at all.
_NO_AMBIENT_CONFIG: dict[str, tuple[Any, ...]] = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}

# Only the loopback is ever called, so long waits mean a dead emulator, not a slow network. The
# read timeout leaves room for a 20-second long poll.
_CONFIG = Config(
    signature_version="v4",
    connect_timeout=2,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 3},
    proxies={},
)
_S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "path"}))

_MAKING = threading.Lock()


class CloudAccess(Struct, frozen=True, dict=True):
    """Where the emulator listens and the keys that it believes."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = REGION
    account: str = ACCOUNT

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        """The boto3 client for ``service``, which no configuration of the machine can divert.

        Made once, because making one costs more than most calls; clients are thread-safe, making
        them is not.
        """
        with _MAKING:
            if service not in self._clients:
                config = _S3_CONFIG if service == "s3" else _CONFIG
                self._clients[service] = _session().client(
                    service,
                    endpoint_url=self.endpoint,
                    region_name=self.region,
                    aws_access_key_id=self.access_key,
                    aws_secret_access_key=self.secret_key,
                    config=config,
                )
            return self._clients[service]

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """``base`` (this process's environment by default) with AWS meaning the emulator.

        Every other ``AWS_*`` variable is dropped, so that no component can reach a real account
        by a profile or an endpoint that happened to be set in the developer's shell.
        """
        inherited = os.environ if base is None else base
        kept = {name: value for name, value in inherited.items() if not name.startswith("AWS_")}
        return kept | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": _with_loopback(kept.get("NO_PROXY", "")),
            "no_proxy": _with_loopback(kept.get("no_proxy", "")),
        }


@cache
def _session() -> Any:
    """One for all: it keeps the service descriptions, whose loading takes most of a second."""
    return boto3.Session(botocore_session=botocore.session.Session(_NO_AMBIENT_CONFIG))


def _with_loopback(no_proxy: str) -> str:
    """A proxy set in the shell must not carry what never leaves the machine."""
    return ",".join(filter(None, [no_proxy, "127.0.0.1", "localhost"]))

"""The provider as a part of the local stack: its port, its variables, its process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct

from infra.identity import DEVELOPMENT
from infra.local.oidc.grants import CLIENT_ID
from infra.local.oidc.secrets import client_secret
from infra.local.ports import HOST, kept_port
from infra.local.supervisor import Component

NAME = "identity"
HEALTH = "/healthz"
_DONE = "/done"


class LocalProvider(Struct, frozen=True):
    """One provider, for the stack on ``data``."""

    data: Path
    port: int

    @classmethod
    def on(cls, data: Path) -> Self:
        """Where it was the last time, so that sign-ins on their way arrive."""
        return cls(data, kept_port(data / "oidc" / "port"))

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://{HOST}:{self.port}"

    def settings(self) -> dict[str, str]:
        """What makes the API sign people in with it. Makes its secret where there is none.

        Users are kept under a name of their own: its address may change from start to start.
        """
        entry: dict[str, Any] = {
            "name": "local", "title": "this machine", "issuer": self.url, "client_id": CLIENT_ID,
            "client_secret": client_secret(self.data / "keys"), "admins": True,
            "users_as": DEVELOPMENT,
        }  # fmt: skip
        return {
            "SPLITSOUND_OIDC_PROVIDERS": msgspec.json.encode([entry]).decode(),
            "SPLITSOUND_SIGN_IN_RETURN_URL": self.url + _DONE,
        }

    def component(self, environment: Mapping[str, str]) -> Component:
        """The process."""
        options = {"--keys": str(self.data / "keys"), "--port": str(self.port)}
        argv = [sys.executable, "-P", "-m", "infra.local.oidc"]
        argv += [word for option in options.items() for word in option]
        return Component(NAME, argv, environment)

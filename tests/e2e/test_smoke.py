"""The smoke test of a deployed stage, against a stack that works and one that does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from infra.local.ports import free_port
from infra.local.stack import LocalStack
from tests.e2e.browser import Browser


def smoke(url: str, key: str = "") -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPLITSOUND_", "AWS_"))}
    told = {"SPLITSOUND_API_KEY": key} if key else {}
    return subprocess.run(
        [sys.executable, "-c", "from handlers.cli import main; main()", "smoke", url],
        env=kept | told, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


def test_a_stage_that_works(stack: LocalStack, sign_in: Callable[..., Browser]) -> None:
    ann = sign_in()
    key = ann.post("/v1/api-keys", {"name": "smoke", "scopes": ["read", "write"]})["key"]
    done = smoke(stack.api_url, key)
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("lives", "ready", "offers", "keys", "separates"):
        assert f"  {step}" in done.stdout
    assert "FAILED" not in done.stdout
    assert key not in done.stdout + done.stderr


def test_a_key_that_may_not_separate_is_told(
    stack: LocalStack, sign_in: Callable[..., Browser]
) -> None:
    key = sign_in().post("/v1/api-keys", {"name": "smoke", "scopes": ["read"]})["key"]
    done = smoke(stack.api_url, key)
    assert done.returncode == 1
    assert "separates   FAILED:" in done.stdout


def test_a_stage_that_is_not_there() -> None:
    done = smoke(f"http://127.0.0.1:{free_port(None)}")
    assert done.returncode == 1
    assert done.stdout.count("FAILED") == 4
    assert "No song was tried" in done.stdout

"""Imports point one way: handlers -> commands, projections -> domain. And what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"domain", "commands", "projections", "handlers", "infra"}
MAY_IMPORT = {
    "domain": {"domain"},
    "commands": {"commands", "domain"},
    "projections": {"projections", "domain"},
    # infra implements Protocols that commands and projections declare.
    "infra": {"infra", "domain", "commands", "projections"},
    "handlers": OURS,
}
# Pure: nothing that could do I/O, tell the time or be random.
IMPURE = {
    "asyncio", "boto3", "datetime", "http", "io", "os", "pathlib", "random", "secrets",
    "shutil", "socket", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", sorted(OURS))
def test_imports_point_one_way(package: str) -> None:
    for path in modules(package):
        for name in imports(path):
            top = name.partition(".")[0]
            assert top not in OURS or top in MAY_IMPORT[package], f"{path} imports {name}"
            assert top != "tests", f"{path} imports {name}"


def test_domain_is_pure() -> None:
    for path in modules("domain"):
        impure = {n.partition(".")[0] for n in imports(path)} & IMPURE
        assert not impure, f"{path} imports {impure}"


def test_only_the_bootstrap_composes() -> None:
    for path in modules("infra"):
        if path.name != "bootstrap.py" and "local" not in path.parts:
            assert "infra.bootstrap" not in imports(path), path


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("commands", {"boto3", "botocore", "torch", "numpy", "litestar", "pynamodb"}),
        ("projections", {"boto3", "botocore", "torch", "numpy", "litestar", "pynamodb"}),
        ("handlers.api", {"torch", "numpy", "ffmpeg", "stripe"}),
        ("handlers.relay", {"torch", "numpy", "ffmpeg", "litestar", "stripe"}),
        ("handlers.projector", {"torch", "numpy", "ffmpeg", "litestar", "stripe"}),
        ("handlers.worker", {"litestar", "stripe"}),
        ("handlers.cli", {"torch", "numpy", "boto3", "litestar", "stripe"}),
        ("handlers.client.uploads", {"torch", "numpy", "boto3", "litestar", "stripe"}),
        ("handlers.client.downloads", {"torch", "numpy", "boto3", "litestar", "stripe"}),
    ],
)
def test_imports_stay_light(module: str, forbidden: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & forbidden


# The tree of errors is one thing, and a newcomer finds every error in one place.
LONGER = {Path("domain/errors.py"): 480}
# Nobody reads them from start to end, and nobody edits them.
GENERATED = {Path("handlers/client/bodies.py"), Path("handlers/client/operations.py")}


def test_modules_stay_small() -> None:
    for package in sorted(OURS):
        for path in modules(package):
            if path.relative_to(ROOT) in GENERATED:
                continue
            lines = len(path.read_text().splitlines())
            most = LONGER.get(path.relative_to(ROOT), 350)
            assert lines <= most, f"{path} has {lines} lines: is it really one thing?"

"""The images, as far as they can be checked where no engine runs.

hadolint reads the Dockerfile; the API's installation is done in a clean directory by the very
packages that the image installs, and its entry points start there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.bootstrap import Application
from infra.local.ports import free_port
from infra.settings import to_environment
from tests.infra.stacks.policies import ROOT

DOCKERFILE = ROOT / "infra" / "images" / "Dockerfile"
PACKAGES = ("domain", "commands", "projections", "handlers", "infra")


def instructions() -> list[str]:
    """Each instruction on one line."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nobody_runs_as_root_and_bases_are_pinned() -> None:
    lines = instructions()
    [user] = [line for line in lines if line.startswith("USER")]
    assert user == "USER 10001:10001"
    [python] = [line for line in lines if line.startswith("ARG PYTHON=")]
    assert re.fullmatch(r"ARG PYTHON=python:3\.\d+\.\d+-slim-\w+", python)
    stages = {line.split()[3] for line in lines if line.startswith("FROM")}
    bases = {line.split()[1] for line in lines if line.startswith("FROM")}
    assert bases - stages == {"${PYTHON}"}
    assert {"api", "worker", "worker-cuda"} <= stages


def test_what_is_copied_is_there_and_goes_to_the_engine() -> None:
    let_through = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text()
    for line in instructions():
        if line.startswith("COPY") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}\n" in let_through


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as the stage ``api-packages`` makes it; its interpreter."""
    place = tmp_path_factory.mktemp("image")
    build, environment = place / "build", place / "venv"
    build.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, build)
    for package in PACKAGES:
        (build / package).mkdir()
        (build / package / "__init__.py").touch()
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", "--constraint", "constraints.txt", "."],
        cwd=build, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    subprocess.run([*pip, "uninstall", "--yes", "splitsound"], check=True)
    return python


def run(python: Path, *arguments: str, **told: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **told}
    return subprocess.run(
        [python, *arguments], env=environment, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("module", ["handlers.api", "handlers.deliverer", "handlers.cli"])
def test_entry_points_start_without_what_separates(installed: Path, module: str) -> None:
    code = f"import {module}.__main__" if module != "handlers.cli" else f"import {module}"
    done = run(installed, "-c", f"{code}\nimport sys; assert 'numpy' not in sys.modules")
    assert done.returncode == 0, done.stderr
    assert run(installed, "-c", "import torch").returncode == 1


@pytest.mark.long
def test_the_api_lives_and_says_so(installed: Path, application: Application) -> None:
    port = str(free_port(None))
    told = {**os.environ, **to_environment(application.settings), "PYTHONPATH": str(ROOT)}
    where = {"SPLITSOUND_API_PORT": port, "SPLITSOUND_API_HOST": "127.0.0.1"}
    assert run(installed, "-m", "handlers.api.alive", **where).returncode == 1
    with subprocess.Popen([installed, "-m", "handlers.api"], env=told | where) as process:
        try:
            deadline = time.monotonic() + 60
            while run(installed, "-m", "handlers.api.alive", **where).returncode:
                assert process.poll() is None, "the API ended"
                assert time.monotonic() < deadline, "the API did not come up"
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()

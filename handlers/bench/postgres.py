"""PostgreSQL as Debian installs it, for a peer: a cluster of its own in a temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.ports import HOST, free_port
from infra.local.process import last_lines, terminate

_INSTALLED = Path("/usr/lib/postgresql")
_READY_SECONDS = 60.0


def installed() -> Path | None:
    """Where ``initdb`` and ``postgres`` are; None where nobody installed them."""
    found = [path.parent for path in _INSTALLED.glob("*/bin/postgres")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """A server with the settings that it comes with, until the block ends; its SQLAlchemy URL."""
    with tempfile.TemporaryDirectory(prefix="splitsound-postgres-") as place:
        data, log = Path(place) / "data", Path(place) / "log"
        who = _unprivileged()
        if who:
            shutil.chown(place, who["user"], who["group"])
        port = free_port(None)
        make: list[str | Path] = [
            programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8",
        ]  # fmt: skip
        # Only what PostgreSQL needs: it need not learn the keys in our environment.
        env = {"PATH": os.defpath, "LC_ALL": "C"}
        subprocess.run(make, check=True, capture_output=True, env=env, cwd=place, **who)
        serve: list[str | Path] = [
            programs / "postgres", "-D", data, "-h", HOST, "-p", str(port), "-k", place,
        ]  # fmt: skip
        with log.open("wb") as out:
            server = subprocess.Popen(
                serve, stdout=out, stderr=out, env=env, cwd=place, start_new_session=True, **who
            )
        try:
            _await(programs, port, server, log)
            yield f"postgresql+psycopg://bench@{HOST}:{port}/postgres"
        finally:
            # A fast shutdown, by its word for it; a bench leaves nothing worth a slow one.
            server.send_signal(2)
            terminate(server, 10.0)


def _unprivileged() -> Mapping[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def _await(programs: Path, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    ask: list[str | Path] = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
    while subprocess.run(ask, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {last_lines(log)}")
        time.sleep(0.05)

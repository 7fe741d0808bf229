"""The embedded cloud: ministack as a child process on the loopback."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import socket
import string
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from infra.local.access import ACCOUNT, REGION, CloudAccess
from infra.local.errors import DiskFull, EmulatorFailed, NotInstalled, PortInUse
from infra.local.guarded_emulator import HEALTH
from infra.local.process import exited, how_it_ended, last_lines, spawn, terminate
from infra.local.saved_state import SavedState
from infra.local.supervisor import to_stderr

_ROOT = Path(__file__).resolve().parents[2]
_GUARDED = Path(__file__).with_name("guarded_emulator.py")
_HOST = "127.0.0.1"
# Below this an upload or a save would soon fail half-way, where it is far harder to explain.
_MIN_FREE_BYTES = 256 * 1024 * 1024


class Keys(msgspec.Struct, frozen=True):
    """The emulator's root key pair, generated once for a data directory.

    It signs presigned URLs, which ministack checks. It does not check the headers that a root key
    signs, so the loopback, and not this secret, is what keeps strangers out; web pages, which
    get there through a browser, are kept out by ``guarded_emulator``.
    """

    access_key: str
    secret_key: str


class Emulator:
    """One ministack on ``data_dir``; ``port`` None picks a free one.

    ``environment`` is the virtual environment that ``make install`` builds for it. It ends with
    the thread that starts it (see ``process.leashed``), at the latest with this process.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        environment: Path = _ROOT / ".venv-emulator",
        report: Callable[[str], None] = to_stderr,
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir / "logs" / "emulator.log"
        self._dir = data_dir / "emulator"
        self._port = port
        self._python = environment / "bin" / "python"
        self._report = report
        self._state = SavedState(self._dir / "state")
        self._process: subprocess.Popen[bytes] | None = None
        self._access: CloudAccess | None = None

    @property
    def access(self) -> CloudAccess:
        """Endpoint and keys of the running emulator."""
        if self._access is None:
            raise RuntimeError("the emulator has not been started")
        return self._access

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self.running() else None

    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and not exited(self._process)

    def start(self, timeout: float = 30.0) -> CloudAccess:
        """Start it and wait until it answers, at most ``timeout`` seconds.

        Raises NotInstalled, DiskFull, PortInUse or EmulatorFailed, each saying what to do.
        """
        self._check_ground()
        port = _claimable(self._port)
        keys = _keys(self._dir / "keys.json")
        if self._state.prepare():
            self._report(
                "The emulator was not stopped cleanly; starting it empty "
                f"(its last state is in {self._state.aside})."
            )
        # -P: what lies beside that file must not stand in for a module of ministack's.
        program = [str(self._python), "-P", str(_GUARDED)]
        self._process = spawn(program, self._env(port, keys), self.log)
        self._await_health(port, timeout)
        self._state.taken()
        self._access = CloudAccess(f"http://{_HOST}:{port}", keys.access_key, keys.secret_key)
        return self._access

    def stop(self, timeout: float = 30.0, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Stop it, giving it ``timeout`` seconds to save; whether its state was saved.

        Stop the components first: they hold connections that it waits for.
        """
        if self._process is None:
            return False
        # By itself is not enough: it may have been killed a moment ago and be still on its way out.
        saved = terminate(self._process, timeout, hurry) and self._process.returncode == 0
        self._process = self._access = None
        if saved:
            try:
                self._state.complete()
            except OSError as error:
                # Nothing is lost: the next start finds no manifest and begins empty.
                self._report(f"The emulator's state could not be kept: {error}")
                return False
        return saved

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _check_ground(self) -> None:
        if not self._python.exists():
            raise NotInstalled(f"{self._python.parents[1]} is missing: run `make install`.")
        # tmp too, or ministack would leave its files in the machine's.
        (self._dir / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self._dir).free
        if free < _MIN_FREE_BYTES:
            raise DiskFull(
                f"Only {free // 2**20} MB are free under {self.data_dir}; "
                f"at least {_MIN_FREE_BYTES // 2**20} MB are needed."
            )

    def _env(self, port: int, keys: Keys) -> dict[str, str]:
        """A whole environment, not an addition: ministack reads many variables."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._dir / "tmp"),
            "TMPDIR": str(self._dir / "tmp"),
            "BIND_HOST": _HOST,
            "GATEWAY_PORT": str(port),
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._state.path),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self._dir / "s3"),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            # It would look for containers of its own to remove on the developer's docker.
            "DOCKER_HOST": "unix:///nonexistent",
        }

    def _await_health(self, port: int, timeout: float) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + timeout
        while not exited(process):
            health = _health(port)
            if health is not None:
                if health.get("auth") != "enabled":
                    terminate(process, 1.0)
                    raise EmulatorFailed(
                        "The emulator does not check signatures, so this is not the pinned "
                        "ministack: remove .venv-emulator and run `make install`."
                    )
                return
            if time.monotonic() >= deadline:
                terminate(process, 1.0)
                raise EmulatorFailed(
                    f"The emulator did not answer within {timeout:g} s; see {self.log}."
                )
            time.sleep(0.02)
        raise EmulatorFailed(
            f"The emulator ended at once ({how_it_ended(process.returncode)}); see {self.log}:\n"
            f"{last_lines(self.log)}"
        )


def _health(port: int) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(_HOST, port, timeout=2)
    try:
        connection.request("GET", HEALTH)
        return msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()


def _claimable(port: int | None) -> int:
    """``port`` if nobody listens there, or a free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server does, else connections still closing would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port or 0))
        except OSError as error:
            raise PortInUse(
                f"Port {port} on {_HOST} cannot be used ({error.strerror}): "
                "stop what listens there, or choose another port."
            ) from error
        chosen: int = probe.getsockname()[1]
        return chosen


def _keys(path: Path) -> Keys:
    """The key pair of this data directory, made at its first start."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Keys)
    except (FileNotFoundError, msgspec.DecodeError):
        # A damaged file is replaced: the keys protect the loopback and sign nothing lasting.
        pass
    letters = string.ascii_uppercase + string.digits
    keys = Keys(
        access_key="AKIA" + "".join(secrets.choice(letters) for _ in range(16)),
        secret_key=secrets.token_urlsafe(30),
    )
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(keys))
    draft.replace(path)
    return keys

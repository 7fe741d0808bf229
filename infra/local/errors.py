"""What can go wrong while the local stack starts or stops.

    SplitSoundError
    └── LocalStackError      local_stack_failed
        ├── NotInstalled     not_installed       an environment is missing
        ├── PortInUse        port_in_use
        ├── DiskFull         disk_full
        ├── EmulatorFailed   emulator_failed     it started and then died or stayed silent
        ├── AlreadyRunning   already_running     another process holds the data directory
        └── TemplateRefused  template_refused    template.yaml asks for what we cannot provision

None is retryable as it stands: each message says what to do first.
"""

from __future__ import annotations

from domain.errors import SplitSoundError


class LocalStackError(SplitSoundError):
    """The local stack cannot start, run or stop."""

    code = "local_stack_failed"


class NotInstalled(LocalStackError):
    """A virtual environment that ``make install`` builds is not there."""

    code = "not_installed"


class PortInUse(LocalStackError):
    """Something else listens where we were told to."""

    code = "port_in_use"


class DiskFull(LocalStackError):
    """Too little room is left to keep what users are told is kept."""

    code = "disk_full"


class EmulatorFailed(LocalStackError):
    """The emulator died, or did not answer in time; its log says why."""

    code = "emulator_failed"


class AlreadyRunning(LocalStackError):
    """Another process holds the data directory. Carries ``pid`` and ``url`` (or None)."""

    code = "already_running"

    def __init__(self, pid: int | None, url: str | None) -> None:
        who = f"already running (pid {pid})" if pid else "already running"
        super().__init__(f"{who} at {url}" if url else who, pid=pid, url=url)
        self.pid = pid
        self.url = url


class TemplateRefused(LocalStackError):
    """The template holds a resource, function or parameter that is not known here."""

    code = "template_refused"

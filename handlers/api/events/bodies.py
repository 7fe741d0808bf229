"""What the events say. ``job`` on a job's own stream is the job itself, see ``Job``."""

from __future__ import annotations

from msgspec import Struct

from handlers.api.job_renderings import Job, JobStatus
from handlers.api.renderings import Moment


class JobProgress(Struct, frozen=True, kw_only=True):
    """What changes of an open job while its version does not; each as in ``Job``."""

    job_id: str
    version: int
    status: JobStatus
    attempt: int
    stage: str | None
    progress: float
    queue_position: int | None
    estimated_end_at: Moment | None


class JobEnd(Struct, frozen=True):
    """Nothing more is to come of the job."""

    job_id: str
    status: JobStatus
    version: int


class JobChange(Struct, frozen=True):
    """A job of the user's that changed; the version orders what is said of it."""

    job_id: str
    version: int
    status: JobStatus
    job: Job


class Ready(Struct, frozen=True):
    """All that had changed was told; from here on changes come as they happen. open: jobs that
    have not ended.
    """

    open: int


class SignInAgain(Struct, frozen=True):
    """Why the stream ends: the token does not hold any more. code, detail: as in a problem."""

    code: str
    detail: str

"""What the API refuses, as exceptions; each carries the members of its problem document.

Unreachable: nothing that speaks like the API answers at the address. Problem: a problem document
(RFC 9457), by its status one of BadRequest (400, 413, 415, 422), SignInNeeded (401), PaymentNeeded
(402), NotAllowed (403), Absent (404), NotNow (409), Gone (410), TooMany (429) and ServerTrouble
(5xx).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from domain.errors import SplitSoundError

if TYPE_CHECKING:
    import httpx


class Unreachable(SplitSoundError):
    """Nothing answers at the API's address, or something else does."""

    code = "api_unreachable"
    status = 503
    retryable = True


class Problem(SplitSoundError):
    """A problem document of the API. ``http_status`` is its status; ``extra`` its other members.

    may_repeat: whether the same request may succeed later; retry_after: in how many seconds.
    """

    def __init__(self, code: str, detail: str, http_status: int, **extra: Any) -> None:
        super().__init__(detail, status=http_status, **extra)
        self.code = code
        self.http_status = http_status
        self.may_repeat = bool(extra.get("retryable", False))
        self.request_id = str(extra.get("request_id", ""))
        self.errors: list[dict[str, Any]] = extra.get("errors") or []
        self.retry_after: float | None = None

    @property
    def of_input(self) -> bool:
        """Whether the same request would be refused for ever."""
        return self.http_status in (400, 404, 413, 422)


class BadRequest(Problem):
    """The request breaks a rule; ``errors`` names the places."""


class SignInNeeded(Problem):
    """No token, or one that does not hold any more."""


class PaymentNeeded(Problem):
    """Credits are missing: ``extra`` has required, available and missing."""


class NotAllowed(Problem):
    """Signed in, without the right to this."""


class Absent(Problem):
    """There is no such thing, or it is somebody else's."""


class NotNow(Problem):
    """The state of things forbids it; may_repeat says whether waiting helps."""


class Gone(Problem):
    """It was there once."""


class TooMany(Problem):
    """Too many requests or streams; retry_after says when to come back."""


class ServerTrouble(Problem):
    """The API, or something that it needs, is in trouble."""


_KINDS: dict[int, type[Problem]] = {
    400: BadRequest,
    401: SignInNeeded,
    402: PaymentNeeded,
    403: NotAllowed,
    404: Absent,
    409: NotNow,
    410: Gone,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
    429: TooMany,
}


def as_problem(answer: httpx.Response) -> Problem:
    """The problem document in an answer, or one that says what came instead."""
    try:
        document = msgspec.json.decode(answer.content, type=dict[str, Any])
        code, detail = str(document["code"]), str(document["detail"])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        code, document = "http_error", {}
        detail = f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}."
    told = ("type", "title", "status", "detail", "code", "instance")
    extra = {name: value for name, value in document.items() if name not in told}
    kind = _KINDS.get(answer.status_code, ServerTrouble if answer.is_server_error else Problem)
    problem = kind(code, detail, answer.status_code, **extra)
    wait = answer.headers.get("Retry-After", "")
    problem.retry_after = float(wait) if wait.isdigit() else None
    return problem

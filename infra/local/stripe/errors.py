"""What Stripe answers when it refuses: one exception in the shape of its error object."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

INVALID_REQUEST = "invalid_request_error"
IDEMPOTENCY = "idempotency_error"


class ErrorBody(Struct, frozen=True, omit_defaults=True):
    """Stripe's ``error`` object; what does not apply is left out, as there."""

    type: str
    message: str
    code: str | None = None
    param: str | None = None


class Refused(Exception):
    """An answer other than 200.

    executed: the request was well-formed and failed on the state of things; only such an answer
    is kept for its idempotency key.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        error_type: str = INVALID_REQUEST,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.body = ErrorBody(error_type, message, code, param)

    def answer(self) -> dict[str, Any]:
        """The JSON document that Stripe would send."""
        return {"error": self.body}


def missing(kind: str, identifier: str, param: str = "id") -> Refused:
    """Stripe's 404 for an object that does not exist."""
    return Refused(
        f"No such {kind}: '{identifier}'", status=404, code="resource_missing", param=param
    )


def conflict(message: str, code: str | None = None) -> Refused:
    """A well-formed request that the state of things does not allow."""
    return Refused(message, code=code, executed=True)

"""``Idempotency-Key``: a POST sent again is answered as it was the first time.

After the IETF's draft of that name: another request under the same key is 422, the same one while
the first still runs is 409. ``recall`` stands before the route handlers of whoever is signed in,
``Remembering`` around the application. Requests without the header never come near a table.

Kept are answers that are final. Those that say "come again" are not (5xx, 429, whatever is
retryable, and 402, after which one buys credits and sends the same request): nothing was done.
An answer with signed URLs, which go stale, or one too long to keep is made anew: the request is
carried out again, and deterministic ids see to it that it does nothing twice.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import Invalid, KeyReused, NotFound, Unavailable
from handlers.api import log
from handlers.api.requests import KEY_PATTERN, MOST_KEY
from handlers.api.service import Service
from infra.objects import SIGNED
from infra.operations.answers import MOST_BYTES, Claim

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
_KEPT = ("content-type", "location", "etag", "link")
# Nothing was done; the same request may do something later.
_UNDECIDED = frozenset({401, 402, 403, 429})


async def recall(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """The answer that was given, or None: then the route handler gives one.

    Raises KeyReused, KeyInUse, or Unavailable when the table does not answer.
    """
    if request.method != "POST" or (key := request.headers.get(HEADER)) is None:
        return None
    if not 1 <= len(key) <= MOST_KEY or not re.fullmatch(KEY_PATTERN, key):
        wrong = f"Expected 1 to {MOST_KEY} visible ASCII characters."
        raise Invalid(
            "The Idempotency-Key is not valid.", errors=[{"header": HEADER, "detail": wrong}]
        )
    service: Service = request.app.state.service
    route = f"POST {request.scope['path'].rstrip('/')}"
    told = request.scope["query_string"] + b"\x00" + _canonical(await request.body())
    answers = service.application.answers
    found = await service.run(answers.claim, request.user, route, key, told)
    state = request.scope["state"]
    if isinstance(found, Claim):
        state["claim"] = found
        return None
    if found.body is None:
        state["replayed"] = True
        return None
    state["kept"] = True
    kept = dict(found.headers)
    media_type = kept.pop("content-type", None)
    return Response(found.body, status_code=found.status, headers=kept, media_type=media_type)


def _canonical(body: bytes) -> bytes:
    """Equal for bodies that say the same: spaces and the order of members do not matter."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body


class Remembering:
    """Keeps the answer to a request that ``recall`` claimed, before the client has it."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        held: list[Any] = []

        async def answering(message: Message) -> None:
            state: dict[str, Any] = scope["state"]
            if message["type"] == "http.response.start":
                again = state.pop("replayed", False) and message["status"] < 400
                if again or state.pop("kept", False):
                    MutableScopeHeaders.from_message(message)[REPLAYED] = "true"
            if "claim" not in state:
                await send(message)
                return
            held.append(message)
            if message.get("more_body") and _size(held) <= MOST_BYTES:
                return
            if message["type"] == "http.response.start":
                return
            claim = state.pop("claim")
            await self._service.run(self._settle, claim, held, state.get("problem"))
            for each in held:
                await send(each)

        try:
            await self._app(scope, receive, answering)
        finally:
            if claim := scope["state"].pop("claim", None):
                await self._service.run(self._release, claim)

    def _settle(self, claim: Claim, answer: list[Any], problem: tuple[str, bool] | None) -> None:
        start = answer[0]
        status = start["status"]
        code, retryable = problem or ("", False)
        if status >= 500 or status in _UNDECIDED or retryable or code == KeyReused.code:
            self._release(claim)
            return
        body = b"".join(m.get("body", b"") for m in answer[1:])
        whole = not answer[-1].get("more_body") and len(body) <= MOST_BYTES
        sent = Headers.from_scope({"type": "http", "headers": start["headers"]})  # type: ignore[arg-type]
        headers = tuple((name, sent[name]) for name in _KEPT if name in sent)
        kept = body if whole and SIGNED not in body else None
        try:
            self._service.application.answers.keep(claim, status, headers, kept)
        except NotFound:
            pass  # the person was erased meanwhile: nothing of theirs is kept
        except Unavailable as error:
            # The claim ends by itself; then the same request is carried out again.
            log.warning("answer not kept", error=error.detail)

    def _release(self, claim: Claim) -> None:
        try:
            self._service.application.answers.release(claim)
        except Unavailable as error:
            log.warning("claim not released", error=error.detail)


def _size(messages: list[Any]) -> int:
    return sum(len(message.get("body", b"")) for message in messages)

"""The calls that this process makes to AWS, botocore's and those that go straight."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from infra.exchange import Answer, Exchange


def counted(patch: pytest.MonkeyPatch) -> list[str]:
    """One more member for each call from now on."""
    calls: list[str] = []
    send, post = URLLib3Session.send, Exchange.post

    def sending(session: URLLib3Session, request: Any) -> Any:
        calls.append(request.url)
        return send(session, request)

    def posting(exchange: Exchange, headers: dict[str, str], body: bytes) -> Answer:
        calls.append(headers["x-amz-target"])
        return post(exchange, headers, body)

    patch.setattr(URLLib3Session, "send", sending)
    patch.setattr(Exchange, "post", posting)
    return calls

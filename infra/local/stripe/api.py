"""Stripe's API: the routes below ``/v1`` that a purchase needs."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody

from infra.local.stripe import paying, reversing
from infra.local.stripe.answering import Asked, TheCounter, line_items
from infra.local.stripe.errors import Refused
from infra.local.stripe.objects import (
    KINDS,
    Cause,
    CheckoutSession,
    Stored,
)
from infra.local.stripe.parameters import Listing, NewRefund, NewSession, Query
from infra.local.stripe.store import Transaction

SESSIONS = "/checkout/sessions"
_READABLE = {
    SESSIONS: "checkout.session",
    "/payment_intents": "payment_intent",
    "/charges": "charge",
    "/refunds": "refund",
    "/disputes": "dispute",
    "/events": "event",
}


@post(SESSIONS, status_code=200, sync_to_thread=True)
def create_session(request: Asked, counter: TheCounter, body: RawBody) -> Response[bytes]:
    """Make a session, whose page is at its ``url``."""

    def act(tx: Transaction, asked: NewSession, cause: Cause) -> Stored:
        return counter.desk.open(tx, asked, cause)

    return counter.write(request, body, NewSession, act)


@post(SESSIONS + "/{session:str}/expire", status_code=200, sync_to_thread=True)
def expire_session(
    request: Asked, counter: TheCounter, body: RawBody, session: FromPath[str]
) -> Response[bytes]:
    """Close a session that nobody has paid."""

    def act(tx: Transaction, _: Query, cause: Cause) -> Stored:
        counter.found(tx, session, CheckoutSession)
        return counter.desk.change(tx, session, paying.expire, cause)

    return counter.write(request, body, Query, act)


@get(SESSIONS + "/{session:str}/line_items", sync_to_thread=True)
def session_line_items(request: Asked, counter: TheCounter, session: FromPath[str]) -> Any:
    """What is bought."""
    return counter.read(request, Listing, lambda tx, _: line_items(tx, session))


@post("/refunds", status_code=200, sync_to_thread=True)
def create_refund(request: Asked, counter: TheCounter, body: RawBody) -> Response[bytes]:
    """Give money back."""

    def act(tx: Transaction, asked: NewRefund, cause: Cause) -> Stored:
        of, param = asked.charge or asked.payment_intent, "payment_intent"
        if of is None:
            raise Refused(
                "One of the following params should be provided for this request: "
                "payment_intent or charge.",
                param=param,
            )
        param = "charge" if asked.charge else param
        counter.found(tx, of, KINDS[param], param)
        at = counter.desk.moment()
        return counter.desk.change(
            tx,
            of,
            lambda p: reversing.refund(p, asked.amount, asked.reason, asked.metadata, at),
            cause,
        )

    return counter.write(request, body, NewRefund, act)


def _one(path: str, kind: str) -> HTTPRouteHandler:
    @get(path + "/{identifier:str}", name=f"one {kind}", sync_to_thread=True)
    def retrieve(request: Asked, counter: TheCounter, identifier: FromPath[str]) -> Any:
        return counter.read(
            request, Query, lambda tx, _: counter.found(tx, identifier, KINDS[kind])
        )

    return retrieve


def _many(path: str, kind: str) -> HTTPRouteHandler:
    @get(path, name=f"many {kind}", sync_to_thread=True)
    def listing(request: Asked, counter: TheCounter) -> Any:
        return counter.read(
            request, Listing, lambda tx, query: counter.listed(tx, kind, query, "/v1" + path)
        )

    return listing


def router() -> Router:
    """All of it. Handlers ask for the ``counter`` that serves them."""
    reading = [make(path, kind) for path, kind in _READABLE.items() for make in (_one, _many)]
    writing = [create_session, expire_session, session_line_items, create_refund]
    return Router("/v1", route_handlers=[*writing, *reading])

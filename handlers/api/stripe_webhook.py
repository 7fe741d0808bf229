"""``POST /v1/webhooks/stripe``: what Stripe tells. Its signature is all the access that it has.

Any answer but 200 has Stripe send it again, for three days. So what is not ours or not of interest
is a 200, and what we could not write or do not know (yet) is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from litestar import post
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from msgspec import Struct

from commands.dispatch import Command
from domain.errors import Invalid, NothingForSale, PurchaseUnknown, WebhookRefused
from handlers.api import log
from handlers.api.openapi import problems
from handlers.api.requests import ApiRequest
from handlers.api.service import Api, Service
from handlers.paying import notices
from handlers.paying.buying import shop
from infra.payments.objects import Event
from projections import PURCHASES_VIEW

BODY_BYTES = 256 * 1024
SIGNATURE = "Stripe-Signature"


class Received(Struct, frozen=True):
    """Stripe need not send it again."""

    received: bool = True


@dataclass
class _RawBody(Operation):
    """The body is not read as JSON before its signature is verified, so it is declared here; and
    so is the signature, without which the answer is a 400 and no 422.
    """

    def __post_init__(self) -> None:
        """Litestar says None, since the route handler takes neither."""
        self.parameters = [
            Parameter(
                name=SIGNATURE,
                param_in="header",
                required=True,
                schema=Schema(type=OpenAPIType.STRING),
                description="When Stripe sent it, and that it was Stripe.",
            )
        ]
        self.request_body = RequestBody(
            {"application/json": OpenAPIMediaType(Schema(title="A Stripe event"))},
            description="An event, byte by byte as Stripe signed it.",
            required=True,
        )


@post(
    "/webhooks/stripe",
    status_code=200,
    responses=problems(409, 413, WebhookRefused, NothingForSale, PurchaseUnknown),
    summary="Hear from Stripe",
    operation_id="receiveStripeEvent",
    operation_class=_RawBody,
    request_max_body_size=BODY_BYTES,
    response_description="Taken, or none of our business.",
    opt={"rate": None},
    tags=["payments"],
)
async def receive(request: ApiRequest, service: Api) -> Received:
    """For Stripe alone: signed with the endpoint's secret, at most five minutes old. Sending it
    again, late or in any order changes nothing.
    """
    payments = shop(service.application)
    event = payments.event(await request.body(), request.headers.get(SIGNATURE))
    command = await _meant(service, event, payments)
    if command is not None:
        position = await service.execute(command, notices.meta(event, request.request_id))
        service.project(PURCHASES_VIEW, position.stream)
    what = type(command).__name__ if command else "nothing"
    log.info("webhook", event_id=event.id, type=event.name, command=what,
             request_id=request.request_id)  # fmt: skip
    return Received()


async def _meant(service: Service, event: Event, payments: notices.Payments) -> Command | None:
    """Some events say whom they are about only when Stripe is asked."""
    try:
        return await service.pay(notices.command, event, payments)
    except Invalid as error:
        raise WebhookRefused(f"The signature is valid, but: {error.detail}") from error

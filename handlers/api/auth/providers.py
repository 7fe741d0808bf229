"""``GET /v1/auth/providers``: who signs people in here."""

from __future__ import annotations

from litestar import get
from msgspec import Struct

from handlers.api.service import Api


class ProviderBody(Struct, frozen=True):
    """name: in the path; title: what a button says; login: the path to send the browser to."""

    name: str
    title: str
    login: str


class ProviderList(Struct, frozen=True):
    """items: as configured; empty where nobody can sign in."""

    items: list[ProviderBody]


@get(
    "/providers",
    summary="Who signs people in",
    operation_id="listProviders",
    response_description="OpenID providers.",
)
async def list_providers(service: Api) -> ProviderList:
    """One button for each. Needs no token."""
    known = [each.provider for each in service.application.openid.values()]
    return ProviderList([ProviderBody(p.name, p.label, f"/v1/auth/{p.name}/login") for p in known])

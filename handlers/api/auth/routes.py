"""The routes below ``/v1/auth``. None takes an API key."""

from __future__ import annotations

from litestar import Router

from handlers.api import limits
from handlers.api.auth.login import begin, finish
from handlers.api.auth.providers import list_providers
from handlers.api.auth.sessions import log_out, log_out_everywhere, refresh

AUTH = Router(
    "/auth",
    route_handlers=[list_providers, begin, finish, refresh, log_out, log_out_everywhere],
    opt={"rate": limits.AUTH},
    tags=["session"],
)

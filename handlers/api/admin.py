"""``/v1/admin``: what operators may do by HTTP. Each request passes the rule in ``requests``."""

from __future__ import annotations

from litestar import Router

from handlers.api.requests import administrator
from handlers.api.streams import show_stream

ADMIN = Router("/admin", route_handlers=[show_stream], guards=[administrator], tags=["admin"])

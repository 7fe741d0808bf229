"""``/v1/admin``: what operators may do by HTTP. Each request passes the rule in ``requests``."""

from __future__ import annotations

from litestar import Router

from handlers.api.admin.controls import pause, resume, show_controls
from handlers.api.admin.credits import adjust, show_account
from handlers.api.admin.dead_letters import list_dead_letters, redrive, show_dead_letter
from handlers.api.admin.health import roll_back, show_operations, show_projections
from handlers.api.admin.jobs import fail, refund, requeue, show_any_job
from handlers.api.admin.usage import day_usage, user_usage
from handlers.api.admin.users import erase_user
from handlers.api.requests import administrator
from handlers.api.streams import show_stream

ADMIN = Router(
    "/admin",
    route_handlers=[
        show_operations,
        show_projections,
        roll_back,
        list_dead_letters,
        show_dead_letter,
        redrive,
        show_any_job,
        requeue,
        fail,
        refund,
        show_controls,
        pause,
        resume,
        day_usage,
        user_usage,
        show_account,
        adjust,
        erase_user,
        show_stream,
    ],
    guards=[administrator],
    opt={"scope": None},
    tags=["admin"],
)

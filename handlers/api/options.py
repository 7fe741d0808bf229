"""What OPTIONS answers outside of a preflight: ``Allow`` with every method of the path."""

from __future__ import annotations

import inspect

from litestar import Litestar
from litestar.routes import HTTPRoute


def tell_all_methods(app: Litestar) -> None:
    """Litestar's own OPTIONS handler knows the methods of the handler that came first at its path;
    those that came later made another route of it, which it has not heard of.
    """
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.http_methods == {"OPTIONS"}:
                made_for = inspect.getclosurevars(handler.fn).nonlocals["self"]
                made_for.methods = route.methods

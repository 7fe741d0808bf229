"""The HTTP API: parse, call, render. Media never passes through it, only presigned URLs.

``create_app`` gives the Litestar application; ``python -m handlers.api`` serves it.
"""

from __future__ import annotations

from handlers.api.app import create_app

__all__ = ["create_app"]

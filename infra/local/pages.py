"""Pages of the stand-ins: a shell with its style inside, and the headers that protect it."""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property
from html import escape
from importlib.resources import files
from string import Template

from litestar import Response

BRAND = """<div class="brand"><svg viewBox="0 0 28 28" aria-hidden="true">
<rect width="28" height="28" rx="8" fill="#5546e0"/>
<g stroke="#fff" stroke-width="2.4" stroke-linecap="round"><path d="M7 12v4M11.7 8v12M16.3 10.5v7M21
 12.5v3"/></g></svg><span>SplitSound</span></div>"""


class Shell:
    """``shell.html`` of a package, with places for ``head``, ``title`` and ``body``."""

    def __init__(self, package: str) -> None:
        self._package = package

    @cached_property
    def _template(self) -> Template:
        return Template(files(self._package).joinpath("shell.html").read_text())

    @cached_property
    def _policy(self) -> str:
        """Nothing may be loaded or run, and nobody may frame it; only its own style applies."""
        text = self._template.template
        style = text[text.index("<style>") + len("<style>") : text.index("</style>")]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        # No form-action: browsers hold the redirect to the next page against it.
        return (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
            "frame-ancestors 'none'"
        )

    def page(self, title: str, body: str, *, status: int = 200, reload: int = 0) -> Response[str]:
        """``body`` is HTML, ``title`` is text. reload: seconds after which it loads again."""
        head = f'<meta http-equiv="refresh" content="{reload}">\n' if reload else ""
        return Response(
            self._template.substitute(title=escape(title), body=body, head=head),
            status_code=status,
            media_type="text/html",
            headers={
                "Content-Security-Policy": self._policy,
                # Not no-referrer: then a browser's own forms would come from nowhere.
                "Referrer-Policy": "same-origin",
                "X-Frame-Options": "DENY",
            },
        )

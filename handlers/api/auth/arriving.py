"""Where requests of browsers arrive, from which page, and where they may be sent."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from domain.errors import ForeignOrigin, Invalid
from handlers.api.auth.origins import Origins, is_loopback
from handlers.api.requests import ApiRequest
from infra.settings import Settings

HEADER = "X-Requested-With"
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


def base_of(request: ApiRequest, settings: Settings) -> str:
    """Where the browser reaches us: the public URL.

    On the loopback it may call us by another name or by way of a development server, and cookies
    stay with the name that it used; no other machine can be meant.
    """
    host = request.headers.get("host", "")
    if is_loopback(settings.public_url) and _LOOPBACK_HOST.fullmatch(host):
        return f"http://{host.lower()}"
    return settings.public_url


def destination(asked: str | None, origins: Origins, settings: Settings) -> str:
    """The page that a sign-in leads back to. Raises Invalid for one that is none of ours."""
    url = asked or settings.sign_in_return_url
    if not url:
        raise _bad("Name the page to come back to.", "Required here.")
    if not origins.leads_home(url):
        raise _bad(
            "The sign-in may not lead back there: it is no page of an allowed origin "
            "(SPLITSOUND_ALLOWED_ORIGINS).",
            "Expected the whole URL of a page of yours.",
        )
    return url


def _bad(detail: str, expected: str) -> Invalid:
    return Invalid(detail, errors=[{"parameter": "return_to", "detail": expected}])


def require_own_page(request: ApiRequest, origins: Origins, base: str) -> None:
    """Against requests that another site's page makes a browser send (CSRF).

    Browsers say the page's origin with every POST. What says none is no page's doing, or an old
    browser's; a header that no form can send settles it. Raises ForeignOrigin.
    """
    said = request.headers.getall("origin", [])
    if not said:
        if HEADER in request.headers:
            return
        raise ForeignOrigin(
            f"Send an Origin, as browsers do, or any {HEADER} header.", missing=["origin"]
        )
    if len(said) > 1 or not (said[0] == base or origins.trusts(said[0])):
        raise ForeignOrigin(
            "Pages of this origin may not do that (SPLITSOUND_ALLOWED_ORIGINS).",
            missing=["origin"],
        )


def takes_pages(request: ApiRequest) -> bool:
    """Whether somebody looks at the answer in a browser, who cannot use a problem document."""
    return "text/html" in request.headers.get("accept", "")


def with_error(url: str, code: str) -> str:
    """The page, told what went wrong: ``?error=<code>``."""
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return parts._replace(query=f"{query}error={code}").geturl()

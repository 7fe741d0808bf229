"""Nobody but administrators reaches any route of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute

from handlers.api.admin import ADMIN
from infra.bootstrap import Application
from infra.settings import Settings
from tests.handlers.api.conftest import ADMIN as ADDRESS
from tests.handlers.api.conftest import serving
from tests.handlers.api.documented import Document
from tests.handlers.api.people import Person, assert_problem, client

ROUTES = sorted(
    (method, "/v1" + route.path_format)
    for route in ADMIN.routes
    if isinstance(route, HTTPRoute)
    for method in route.methods - {"OPTIONS"}
)
SCRAPE = "a-scrape-token"


def send(http: httpx.Client, method: str, path: str) -> httpx.Response:
    path = path.replace("{", "").replace("}", "")
    body = {"reason": "none of my business"} if method == "POST" else None
    return http.request(method, path, json=body)


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/metrics")])
def test_only_administrators(
    method: str,
    path: str,
    anyone: httpx.Client,
    person: Person,
    new_person: Callable[..., Person],
) -> None:
    assert_problem(send(anyone, method, path), 401, "unauthenticated")
    assert_problem(send(person.http, method, path), 403, "not_an_admin")
    unasked = new_person(ADDRESS).http
    assert_problem(send(unasked, method, path), 403, "admin_claim_missing")


def test_the_document_has_these_routes_and_no_others(anyone: httpx.Client) -> None:
    paths = Document(anyone).text["paths"]
    told = {(m.upper(), p) for p in paths if "/admin/" in p for m in paths[p]}
    assert told == {(m, p.replace(":str", "")) for m, p in ROUTES}
    for method, path in told:
        assert {"401", "403"} <= paths[path][method.lower()]["responses"].keys()


# --- the scrape token ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scraped(settings: Settings) -> Iterator[str]:
    """The address of an API that has a scrape token."""
    with serving(Application(msgspec.structs.replace(settings, metrics_token=SCRAPE))) as running:
        yield running.url


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"Bearer {SCRAPE}", 200),
        (f"bearer  {SCRAPE}", 200),
        (f"Basic {SCRAPE}", 401),
        (f"Bearer {SCRAPE}x", 401),
        ("Bearer é", 401),
        ("Bearer", 401),
        ("", 401),
    ],
)
def test_a_scrape_token_opens_metrics_and_nothing_else(
    scraped: str, sent: str, status: int
) -> None:
    with client(scraped) as http:
        headers = [("Authorization", sent.encode())]
        assert http.get("/metrics", headers=headers).status_code == status  # type: ignore[arg-type]
        if status == 200:
            admin = http.get("/v1/admin/projections", headers={"Authorization": f"Bearer {SCRAPE}"})
            assert_problem(admin, 401, "unauthenticated")


def test_without_a_scrape_token_none_is_taken(anyone: httpx.Client) -> None:
    for sent in ("Bearer", f"Bearer {SCRAPE}"):
        answer = anyone.get("/metrics", headers={"Authorization": sent})
        assert_problem(answer, 401, "unauthenticated")

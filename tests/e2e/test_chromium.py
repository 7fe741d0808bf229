"""A real browser on a real page, at another origin than the API's: what HTTP clients cannot show.

Whether the cookie is kept and sent, whether CORS lets the page read what it needs, whether modules
of the TypeScript client run where they are meant to, and whether a browser can play the stems.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright import sync_api

from infra.local.stack import LocalStack
from tests.handlers.client.test_typescript import PACKAGE, TOOLS

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FRONT_END = Path(__file__).with_name("front_end")
LIBRARY = PACKAGE / "node_modules" / "openapi-fetch" / "dist"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        not (TOOLS / "tsc").exists(),
        reason="the client's npm packages are missing: make typescript",
    ),
]


class _Pages(SimpleHTTPRequestHandler):
    """The page, the client and what that is made of."""

    def __init__(self, client: Path, *args: object) -> None:
        self._places = {"/client/": client, "/openapi-fetch/": LIBRARY, "/": FRONT_END}
        super().__init__(*args)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        plain = path.partition("?")[0]
        prefix = next(each for each in self._places if plain.startswith(each))
        return str(self._places[prefix] / (plain.removeprefix(prefix) or "index.html"))

    def guess_type(self, path: object) -> str:
        """The client's modules have names of two kinds."""
        return "text/javascript" if str(path).endswith("js") else "text/html"

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the front end, which is another origin than the API's."""
    built = tmp_path_factory.mktemp("client")
    subprocess.run([TOOLS / "tsc", "--outDir", built], cwd=PACKAGE, check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, built / "src")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: sync_api.Browser) -> Iterator[sync_api.Page]:
    """A browser that was never here, with what it complains of held against the test."""
    context = chromium.new_context()
    shown, said = context.new_page(), list[str]()
    shown.on("pageerror", lambda error: said.append(str(error)))
    yield shown
    context.close()
    assert said == []


def open_page(page: sync_api.Page, front_end: str, stack: LocalStack) -> None:
    page.goto(f"{front_end}?api={stack.api_url}")
    page.wait_for_selector("body[data-ready]")


def sign_in(page: sync_api.Page, email: str) -> None:
    page.click("#sign-in")
    page.fill("input[name=email]", email)
    page.click("button[value=sign-in]")
    page.wait_for_selector("body[data-ready]")


def test_a_person_signs_in_stays_and_leaves(
    page: sync_api.Page, front_end: str, stack: LocalStack
) -> None:
    open_page(page, front_end, stack)
    assert page.inner_text("#who") == "Nobody is signed in."
    sign_in(page, "chrome@example.com")
    assert page.inner_text("#who") == "Signed in as chrome@example.com."
    assert page.url.startswith(front_end), page.url
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.inner_text("#who") == "Signed in as chrome@example.com."
    cookies = [c for c in page.context.cookies() if c["httpOnly"] and c["sameSite"] == "Strict"]
    assert cookies
    assert page.evaluate("document.cookie") == ""
    page.click("#sign-out")
    page.wait_for_selector("#sign-in:visible")
    page.reload()
    page.wait_for_selector("#sign-in:visible")


def test_who_says_no_comes_back_with_the_reason(
    page: sync_api.Page, front_end: str, stack: LocalStack
) -> None:
    open_page(page, front_end, stack)
    page.click("#sign-in")
    page.click("button[value=cancel]")
    page.wait_for_url(lambda url: url.startswith(front_end) and "error=sign_in_refused" in url)


def test_a_song_becomes_stems_that_the_browser_plays(
    page: sync_api.Page, front_end: str, stack: LocalStack, song: bytes
) -> None:
    open_page(page, front_end, stack)
    sign_in(page, "player@example.com")
    page.set_input_files("#song", {"name": "My song.wav", "mimeType": "audio/wav", "buffer": song})
    page.wait_for_selector("form[data-done], #problem:not(:empty)", timeout=90_000)
    assert page.inner_text("#problem") == ""
    assert page.inner_text("#status") == "completed"
    assert page.get_attribute("#sent", "value") == "1"
    assert sorted(page.locator("#stems li").all_inner_texts()) == [
        "accompaniment 6.0 s", "vocals 6.0 s",
    ]  # fmt: skip

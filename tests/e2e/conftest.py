"""One local stack for the tests that need a whole one; and the demo song."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import pytest

from infra import demo_song
from infra.local.stack import LocalStack
from tests.e2e.browser import Browser

# Quick enough for tests; the defaults are for networks and long songs.
IMPATIENT = {
    "visibility_seconds": "4",
    "stale_seconds": "3",
    "sweep_seconds": "3",
    "poll_seconds": "1",
    "drain_seconds": "1",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A whole stack, API to worker."""
    with LocalStack(tmp_path_factory.mktemp("stack"), settings=IMPATIENT) as running:
        yield running


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six seconds of the demo song, WAV."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    demo_song.write(path, 6.0)
    return path.read_bytes()


@pytest.fixture
def sign_in(stack: LocalStack, request: pytest.FixtureRequest) -> Callable[..., Browser]:
    """Sign a user in; each test has users of its own."""

    def browser(name: str = "ann") -> Browser:
        test = zlib.crc32(request.node.nodeid.encode())
        return Browser(stack.api_url, f"{name}.{test}@example.com")

    return browser

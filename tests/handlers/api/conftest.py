"""The API behind a real HTTP server, on the emulator; no worker, relay or projector runs."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import msgspec
import pytest
import uvicorn

from domain.errors import AccessDenied
from handlers.api import create_app, wire
from handlers.api.events.hub import Hub
from handlers.api.serving import Server
from infra.bootstrap import Application
from infra.local.emulator import Emulator
from infra.local.provision import provision
from infra.operations import Pulse
from infra.operations.pulses import PROJECTOR
from infra.settings import Settings
from projections.leveling import level
from tests.handlers.api.issuers import LocalIssuer, vouching
from tests.handlers.api.listening import QUICK, Moved
from tests.handlers.api.people import Person, Worker, client, sign_in
from tests.handlers.api.till import Till, standing_in

ORIGIN = "https://app.example"
ADMIN = "admin@example.org"
# All tests come from one address; those of limits set their own.
PLENTY = ",".join(f"{k}=1000000/60" for k in ("reads", "writes", "uploads", "auth", "anonymous"))


class Served(msgspec.Struct, frozen=True):
    """A running API, the application behind it, and who listens to its events."""

    url: str
    application: Application
    listeners: Hub


def note_projector(application: Application) -> None:
    """A pulse as a living projector leaves it; for an hour, in which no test waits for another."""
    later = application.clock.now() + 3_600_000
    with suppress(AccessDenied):  # some tests serve without rights
        application.pulses.note(PROJECTOR, Pulse("test", later, later))


@contextmanager
def serving(application: Application, port: int = 0) -> Iterator[Served]:
    """Serve it on a free port, or that one, until the block ends."""
    app = create_app(application)
    config = uvicorn.Config(
        app, port=port, lifespan="on", access_log=False, log_config=None, **wire.OPTIONS
    )
    server = Server(config)
    note_projector(application)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the API did not start"
        assert time.monotonic() < deadline, "the API did not start in time"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"http://127.0.0.1:{port}", application, app.state.listeners)
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="package")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    """The stand-in for Stripe, which posts nothing itself: tests do, in any order."""
    with standing_in(tmp_path_factory.mktemp("stripe")) as running:
        yield running


@pytest.fixture(scope="package")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIssuer]:
    """The local stack's OpenID provider."""
    with vouching(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture(scope="package")
def settings(
    emulator: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
    till: Till,
    issuer: LocalIssuer,
) -> Iterator[Settings]:
    """Settings of a stage of its own; this process's AWS is the emulator meanwhile."""
    resources = provision(
        emulator.access, {"Stage": f"t{uuid.uuid4().hex[:12]}", "AllowedOrigins": ORIGIN}
    )
    names = msgspec.structs.asdict(resources)
    del names["events_stream_arn"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.access.environment().items():
            patch.setenv(name, value)
        keys = tmp_path_factory.mktemp("keys")
        yield Settings(
            **(names | till.settings() | issuer.settings()), keys=keys, allowed_origins=ORIGIN,
            signup_grant=100, admin_emails_csv=ADMIN, rate_limits=PLENTY,
        )  # fmt: skip


@pytest.fixture(scope="package")
def served(settings: Settings) -> Iterator[Served]:
    """The API, one for all tests here; each test signs up users of its own."""
    application = Application(settings)
    # As ``up`` does, before anybody is served: a test that levels later builds nothing anew then,
    # while the API goes for two seconds by the generation before.
    level(application.operating, application.clock.now)
    with serving(application) as running:
        yield running


@pytest.fixture(scope="module")
def quick(settings: Settings) -> Iterator[Served]:
    """Another process of the API, which looks more often for those who listen."""
    with serving(Application(msgspec.structs.replace(settings, **QUICK))) as running:
        yield running


@pytest.fixture
def moved(person: Person) -> Moved:
    """A job of the person's."""
    return Moved(person)


@pytest.fixture
def anyone(served: Served) -> Iterator[httpx.Client]:
    """A client without a token."""
    with client(served.url) as http:
        yield http


@pytest.fixture
def worker(served: Served) -> Worker:
    """See Worker."""
    return Worker(served.application)


@pytest.fixture
def new_person(served: Served, worker: Worker) -> Iterator[Callable[[], Person]]:
    """Each call signs up another user."""
    with ExitStack() as stack:

        def sign_up(email: str = "", admin: bool = False) -> Person:
            email = email or f"{uuid.uuid4().hex}@example.org"
            token, user_id = sign_in(served.application, email, admin=admin)
            http = stack.enter_context(client(served.url, Authorization=f"Bearer {token}"))
            return Person(http, worker, user_id)

        yield sign_up


@pytest.fixture
def admin(new_person: Callable[..., Person]) -> Person:
    """An administrator, signed in as one."""
    return new_person(ADMIN, admin=True)


@pytest.fixture
def person(new_person: Callable[[], Person]) -> Person:
    """A user with 100 credits."""
    return new_person()

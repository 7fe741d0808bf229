"""Fetching files: from outside only, from whom we checked, and the token stays at home."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import ModelError, StorageFull
from infra.separators.replicate.api import Token
from infra.separators.replicate.downloads import Downloads
from infra.separators.replicate.timing import Patience
from tests.infra.replicate.conftest import Clock
from tests.infra.replicate.provider import TOKEN

NAME = "files.delivery.example"


class Seen:
    """What a server was asked for, and where it sends people."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.to: list[str] = []


def serve(seen: Seen) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {k.lower(): v for k, v in self.headers.items()}
            seen.requests.append({**headers, "path": self.path})
            self.send_response(302 if seen.to else 200)
            if seen.to:
                self.send_header("Location", seen.to.pop(0))
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"sound")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def server(seen: Seen) -> Iterator[ThreadingHTTPServer]:
    server = serve(seen)
    yield server
    server.shutdown()
    server.server_close()


def downloads(base: str = "https://api.replicate.example", **options: object) -> Downloads:
    clock = Clock()
    patience = Patience(download=20)
    return Downloads(httpx.URL(base), Token(TOKEN), clock.timing, patience, **options)  # type: ignore[arg-type]


def fetch(chosen: Downloads, address: str, target: Path) -> bytes:
    chosen.fetch(address, target, 1000, lambda: False)
    return target.read_bytes()


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["10.1.2.3"], ["192.168.0.1"], ["169.254.169.254"], ["0.0.0.0"], ["::1"],
        ["100.64.0.1"], ["fd00::1"], ["fe80::1%eth0"], ["::ffff:10.0.0.1"], ["224.0.0.1"],
        ["93.184.216.34", "10.0.0.1"],
    ],
)  # fmt: skip
def test_nothing_inside_is_connected_to(tmp_path: Path, addresses: list[str]) -> None:
    chosen = downloads(resolve=lambda *_: addresses)
    with pytest.raises(ModelError, match="not public"):
        fetch(chosen, f"https://{NAME}/x", tmp_path / "x")


@pytest.mark.parametrize("address", ["http://93.184.216.34/x", "https://127.0.0.1/x", "//x", "x"])
def test_neither_without_tls_nor_by_number(tmp_path: Path, address: str) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(downloads(), address, tmp_path / "x")
    assert caught.value.code == "provider_failed"


def test_a_name_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    def lost(*_: object) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(ModelError, match="no such host") as caught:
        fetch(downloads(resolve=lost), f"https://{NAME}/x", tmp_path / "x")
    assert caught.value.transient


def test_redirects_are_checked_and_the_token_is_left_behind(
    tmp_path: Path, server: ThreadingHTTPServer, seen: Seen
) -> None:
    base = f"http://127.0.0.1:{server.server_port}"
    other = serve(elsewhere := Seen())
    seen.to = [f"http://127.0.0.1:{other.server_port}/there"]
    assert fetch(downloads(base), f"{base}/here?signature=1", tmp_path / "x") == b"sound"
    assert seen.requests[0]["authorization"] == f"Bearer {TOKEN}"
    assert seen.requests[0]["path"] == "/here?signature=1"
    assert "authorization" not in elsewhere.requests[0]
    seen.to = ["file:///etc/passwd"]
    with pytest.raises(ModelError, match="no https:// address"):
        fetch(downloads(base), f"{base}/here", tmp_path / "x")
    seen.to = ["/here"] * 10
    with pytest.raises(ModelError, match="in circles"):
        fetch(downloads(base), f"{base}/here", tmp_path / "x")
    other.shutdown()
    other.server_close()


def certified(directory: Path, name: str) -> Path:
    """A key and a certificate of its own for that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    day = timedelta(days=1)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, form, plain) + certificate.public_bytes(pem))
    return path


@pytest.mark.parametrize("name", [NAME, "another.example"])
def test_the_connection_goes_to_the_checked_address_and_the_name_is_verified(
    tmp_path: Path, server: ThreadingHTTPServer, seen: Seen, name: str
) -> None:
    pem = certified(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    trusting = ssl.create_default_context(cafile=str(pem))
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    # A base on this machine allows addresses on this machine; the rest is as in production.
    chosen = downloads("http://127.0.0.1:9", resolve=resolve, tls=trusting)
    address = f"https://{NAME}:{server.server_port}/x"
    if name == NAME:
        assert fetch(chosen, address, tmp_path / "x") == b"sound"
        assert seen.requests[0]["host"] == f"{NAME}:{server.server_port}"
        assert asked == [(NAME, server.server_port)]
    else:
        with pytest.raises(ModelError, match="ConnectError"):
            fetch(chosen, address, tmp_path / "x")
        assert seen.requests == []


def test_a_full_disk_is_said_to_be_one(
    tmp_path: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no device that is always full")
    # Its name is taken away before the first attempt, which a device must not suffer.
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    base = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(StorageFull):
        downloads(base).fetch(f"{base}/x", full, 1000, lambda: False)

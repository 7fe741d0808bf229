"""Events come through a real nginx at once, although it buffers and compresses all that it can."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from infra.local.ports import free_port
from tests.handlers.api.conftest import Served
from tests.handlers.api.listening import Moved

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
CONFIGURATION = """
daemon off; pid {place}/pid; error_log {place}/errors;
events {{}}
http {{
  access_log off; gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any;
  client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};
  uwsgi_temp_path {place}; scgi_temp_path {place};
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {api}; proxy_http_version 1.1; }} }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture
def proxy(quick: Served, tmp_path: Path) -> Iterator[str]:
    """Its address; but for gzip everything is as nginx has it when it is told nothing."""
    port = free_port(None)
    wanted = tmp_path / "nginx.conf"
    wanted.write_text(CONFIGURATION.format(place=tmp_path, port=port, api=quick.url))
    assert NGINX
    with subprocess.Popen([NGINX, "-c", wanted, "-e", tmp_path / "errors"]) as running:
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz")
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            assert httpx.get(url).is_success
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_each_event_arrives_when_it_is_sent(proxy: str, moved: Moved) -> None:
    connection = http.client.HTTPConnection(urlsplit(proxy).netloc, timeout=10)
    headers = {"Authorization": moved.person.http.headers["Authorization"]}
    connection.request("GET", moved.path, headers={**headers, "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert answer.headers["Content-Encoding"] == "gzip"  # no-transform or not
    unpacked, text = zlib.decompressobj(31), b""

    def until(wanted: bytes) -> None:
        """Read on; the socket's time-out fails what is held back."""
        nonlocal text
        while wanted not in text:
            text += unpacked.decompress(answer.read1(65536))

    until(b'"status":"queued"')
    moved.start()
    until(b'"status":"running"')
    moved.report("separate", 0.5)
    until(b"event: progress")
    moved.cancel()
    until(b"event: end")
    connection.close()

"""The running stack: its API, and storage as a browser on another origin meets it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.cli.checks import Ailing, Check, examined, payments, signing_in
from handlers.cli.reach import application, is_starting, other_data
from handlers.cli.words import command_line, named

if TYPE_CHECKING:
    import httpx

    from infra.bootstrap import Application

_ORIGIN = "https://app.example.com"
_KEY = "doctor/round-trip-"


def examine(data: Path) -> Iterator[Check]:
    """Nothing but one line when no stack is running."""
    from infra.local.lock import running

    state = running(data)
    if state is None:
        start = command_line("up", data=other_data(data))
        yield Check("stack", "skipped", f"none is running on {named(data)} (`{start}` starts one)")
        return
    if state.url is None:
        yield Check("stack", "skipped", is_starting(data, state.pid))
        return
    url = state.url
    yield examined("API", lambda: _ready(url, data))
    yield from _storage(data)
    yield from payments.examine(url, data)
    yield from signing_in.examine(application(data))


def _ready(url: str, data: Path) -> str:
    from handlers.client.exchange import http_for

    with http_for(url) as http:
        answer = http.get(f"{url}/readyz")
    if not answer.is_success:
        stop, start = (command_line(each, data=other_data(data)) for each in ("down", "up"))
        raise Ailing(
            f"{url} is not ready: {answer.text[:200]}",
            f"Look at the logs in {named(data)}; `{stop}`, then `{start}` starts it anew.",
        )
    return f"ready at {url}"


def _storage(data: Path) -> Iterator[Check]:
    from handlers.client.exchange import http_for
    from infra.objects import S3_CONFIG

    parts = application(data)
    s3 = parts.client("s3", S3_CONFIG)
    trip = _RoundTrip(parts, s3)
    with http_for(s3.meta.endpoint_url) as http:
        try:
            yield examined("CORS preflight", lambda: trip.preflight(http))
            yield examined("presigned PUT", lambda: trip.put(http))
            yield examined("presigned GET", lambda: trip.get(http))
        finally:
            trip.clean()


class _RoundTrip:
    """A one-part upload by presigned URLs, as a browser makes it."""

    def __init__(self, parts: Application, s3: Any) -> None:
        self._s3 = s3
        self._objects = parts.objects
        self._bucket = parts.settings.media_bucket
        self._origins = parts.settings.allowed_origins
        self._key = _KEY + secrets.token_hex(8)
        self._body = secrets.token_bytes(1000)
        self._upload = s3.create_multipart_upload(Bucket=self._bucket, Key=self._key)["UploadId"]
        self._url = self._objects.presign_part(self._key, self._upload, 1, len(self._body))
        self._etag = ""

    @property
    def _origin(self) -> str:
        return _ORIGIN if self._origins == "*" else self._origins.split(",")[0].strip()

    def preflight(self, http: httpx.Client) -> str:
        """May a page of that origin PUT a part?"""
        headers = {
            "Origin": self._origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = http.options(self._url, headers=headers)
        allowed = answer.headers.get("Access-Control-Allow-Origin")
        if not answer.is_success or allowed not in ("*", self._origin):
            raise Ailing(
                f"storage refuses a PUT from {self._origin} (status {answer.status_code})",
                "Check the bucket's CORS rules in template.yaml and AllowedOrigins.",
            )
        return f"a page of {self._origin} may send parts"

    def put(self, http: httpx.Client) -> str:
        """Send the part; a page must be able to read its ETag."""
        answer = http.put(self._url, content=self._body, headers={"Origin": self._origin})
        self._etag = answer.headers.get("ETag", "")
        if not answer.is_success or not self._etag:
            raise Ailing(
                f"the part was refused (status {answer.status_code})",
                "Signatures depend on the clock: check this machine's time, then the keys.",
            )
        exposed = answer.headers.get("Access-Control-Expose-Headers", "").lower()
        if "etag" not in exposed:
            raise Ailing(
                "storage hides the ETag from pages",
                "Add ETag to ExposedHeaders in the bucket's CORS rules in template.yaml.",
            )
        return "the part arrived and its ETag is readable by a page"

    def get(self, http: httpx.Client) -> str:
        """Complete the upload and read a range of it back."""
        if not self._etag:
            raise Ailing("nothing was stored", "Repair the presigned PUT first.")
        parts = {"Parts": [{"PartNumber": 1, "ETag": self._etag}]}
        self._s3.complete_multipart_upload(
            Bucket=self._bucket, Key=self._key, UploadId=self._upload, MultipartUpload=parts
        )
        url = self._objects.presign_get(self._key, "doctor.bin", "application/octet-stream")
        answer = http.get(url, headers={"Origin": self._origin, "Range": "bytes=10-19"})
        if answer.status_code != 206 or answer.content != self._body[10:20]:
            raise Ailing(
                f"a range of the object did not come back (status {answer.status_code})",
                "Look at the emulator's log in the data directory.",
            )
        return "the object came back, by range"

    def clean(self) -> None:
        """Leave nothing behind."""
        self._s3.delete_object(Bucket=self._bucket, Key=self._key)
        if not self._etag:
            self._s3.abort_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload
            )

"""What a browser does, by plain HTTP: nothing of ours is imported here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 90.0
Json = dict[str, Any]


@dataclass
class Browser:
    """One signed-in user. api: the stack's address."""

    api: str
    email: str

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.api, timeout=30)
        self.storage = httpx.Client(timeout=60)  # no token goes to storage
        page = self.http.get("/v1/auth/local/login").headers["Location"]
        back = self.storage.post(page, data={"email": self.email}).headers["Location"]
        assert self.http.get(back).status_code == 303
        answer = self.http.post("/v1/auth/refresh", headers={"X-Requested-With": "e2e"})
        answer.raise_for_status()
        self.user: str = answer.json()["user_id"]
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **query: Any) -> Json:
        """A read that must succeed."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def post(self, path: str, body: Any = None, key: str | None = None) -> Json:
        """A command that must succeed."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201, 202), answer.text
        return dict(answer.json())

    def upload(self, data: bytes, filename: str = "song.wav", key: str | None = None) -> str:
        """Open, put every part, complete; the asset's id."""
        opened = self.post("/v1/uploads", {"filename": filename, "size": len(data)}, key)
        for part in opened["missing"]:
            start = (part["number"] - 1) * opened["part_size"]
            self.put(part["url"], data[start : start + part["size"]])
        self.post(f"/v1/uploads/{opened['asset_id']}/complete", {})
        return str(opened["asset_id"])

    def put(self, url: str, data: bytes) -> str:
        """One part to storage; its ETag."""
        answer = self.storage.put(url, content=data)
        assert answer.status_code == 200, answer.text
        return answer.headers["ETag"]

    def probed(self, asset: str) -> Json:
        """The asset once it is ready or rejected."""
        return self._until(f"/v1/library/{asset}", {"ready", "rejected", "aborted"})

    def separate(self, asset: str, key: str | None = None, **wish: Any) -> str:
        """Request a separation, anew unless reuse is wished for; the job's id."""
        body = {"asset_id": asset, "reuse": False, **wish}
        return str(self.post("/v1/jobs", body, key)["job_id"])

    def ended(self, job: str) -> Json:
        """The job once it has ended."""
        return self._until(f"/v1/jobs/{job}", {"completed", "failed", "cancelled"})

    def download(self, url: str) -> bytes:
        """An object by its presigned URL."""
        answer = self.storage.get(url)
        assert answer.status_code == 200, answer.text
        return answer.content

    def _until(self, path: str, wanted: set[str]) -> Json:
        give_up = time.monotonic() + PATIENCE
        while True:
            seen = self.get(path)
            if seen["status"] in wanted:
                return seen
            assert time.monotonic() < give_up, f"still {seen}"
            time.sleep(0.1)

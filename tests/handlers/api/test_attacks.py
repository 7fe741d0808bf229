"""What a stranger or a careless client tried once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.handlers.api.people import S3, Person

FAR = 2**53


def test_a_foreign_id_is_not_revealed_by_a_version(new_person: Callable[[], Person]) -> None:
    ann, eve = new_person(), new_person()
    job = ann.job()
    absent = "job_" + "0" * 26
    for path in (
        f"/v1/jobs/{job['job_id']}?min_version={FAR}",
        f"/v1/jobs/{absent}?min_version={FAR}",
        f"/v1/library/{job['asset_id']}?min_version={FAR}",
        f"/v1/jobs?stream=job-{job['job_id']}&min_version={FAR}",
    ):
        assert eve.http.get(path).status_code == 404, path
    assert ann.http.get(f"/v1/jobs/{job['job_id']}?min_version={FAR}").status_code == 422


def test_a_part_takes_its_declared_size_and_no_more(person: Person) -> None:
    session = person.begin(size=1).json()
    url = session["missing"][0]["url"]
    assert "content-length" in url
    assert S3.put(url, content=b"x" * 4096).status_code == 403
    assert S3.put(url, content=b"x").status_code == 200


@pytest.mark.parametrize("content_type", ["audio/mpeg\n", "audio/mpeg\r\nx: y", "\naudio/mpeg"])
def test_a_content_type_is_one_line(person: Person, content_type: str) -> None:
    assert person.begin(content_type=content_type).status_code == 422

from __future__ import annotations

import pytest

from handlers.bench import imports

# Of a function that only publishes, or only folds: whoever needs these loads them.
HEAVY = {"commands.separations", "jwt", "cryptography", "infra.separators", "rich", "litestar"}


def loaded(name: str) -> set[str]:
    code = f"import sys, handlers.{name}.function; print(*sys.modules)"
    return set(imports._output(code).split())


def test_every_function_is_measured() -> None:
    assert set(imports.functions()) >= {"relay", "projector", "sweeper", "janitor"}


def test_the_clients_of_a_function_are_those_that_it_makes() -> None:
    assert imports.clients_of("relay") == ["events"]
    assert imports.clients_of("projector") == ["dynamodb"]


@pytest.mark.parametrize("name", ["relay", "projector"])
def test_the_functions_that_everybody_waits_for_load_no_more_than_they_need(name: str) -> None:
    assert not loaded(name) & HEAVY


@pytest.mark.parametrize("name", ["sweeper", "janitor"])
def test_no_function_loads_what_draws_for_people_or_serves(name: str) -> None:
    assert not loaded(name) & {"rich", "litestar", "uvicorn", "torch", "numpy", "stripe"}


def test_a_line_says_how_many_times_boto3s_it_is() -> None:
    row = imports.function("relay", runs=1)
    assert row.value > 0
    assert row.peer.endswith("times")
    assert "clients of events" in row.peer

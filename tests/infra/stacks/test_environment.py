"""What tasks and functions are told is what settings know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.infra.stacks.policies import ROOT, STACKS

FILES = [*sorted(STACKS.glob("*.yaml")), ROOT / "template.yaml", ROOT / "infra/images/Dockerfile"]
# Of ``infra.stage``, and of the API's own command line.
OTHERS = {"ACCOUNT", "API_HOST", "API_PORT"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    known = {name.upper() for name in Settings.__struct_fields__} | OTHERS
    assert set(re.findall(r"SPLITSOUND_([A-Z_]+)", path.read_text())) <= known

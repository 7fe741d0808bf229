"""Writes what is missing; see the package. Run: .venv/bin/python -m tests.domain.golden.record"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import projections
from infra.event_store.transfer import export_events
from tests.domain.golden import schemas
from tests.domain.golden.chapters import CHAPTERS
from tests.domain.golden.history import HERE, ROWS, SCHEMAS, rows, streams


def write_chapters() -> None:
    """The chapters that have no file yet."""
    for name, tell in CHAPTERS.items():
        path = HERE / f"{name}.jsonl"
        if not path.exists():
            store = tell().store
            with path.open("xb") as out:
                export_events(store, out)


def current_rows() -> dict[str, Any]:
    """What every projection makes of the recorded history, with its version."""
    history = streams()
    return {
        name: {"version": projection.version, "rows": rows(projection, history)}
        for name, projection in sorted(projections.ALL.items())
    }


def main() -> None:
    """Ends with a complaint when stored events would not survive a change of an event."""
    write_chapters()
    _write(ROWS, current_rows())
    current = schemas.current()
    recorded = json.loads(SCHEMAS.read_text()) if SCHEMAS.exists() else {}
    if broken := schemas.incompatibilities(recorded, current):
        sys.exit("\n".join(broken))
    _write(SCHEMAS, current)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

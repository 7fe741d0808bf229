"""How long the pure part takes to import, in a fresh interpreter, bytecode compiled."""

from __future__ import annotations

import statistics
import subprocess
import sys

from handlers.bench import Figure

_CODE = """
import sys, time
before = set(sys.modules)
begun = time.perf_counter()
import {modules}
took = time.perf_counter() - begun
assert "boto3" not in sys.modules
print(took)
"""


def figures() -> list[Figure]:
    """Milliseconds, the median of nine interpreters."""
    return [
        Figure("import domain and commands", _median("domain, commands"), "ms", "<= 60, no boto3"),
        Figure("import boto3, for comparison", _median("boto3"), "ms"),
    ]


def _median(modules: str) -> float:
    code = _CODE.format(modules=modules)
    if modules == "boto3":
        code = code.replace('assert "boto3" not in sys.modules\n', "")
    runs = [_run(code) for _ in range(10)][1:]  # the first one may compile
    return 1000 * statistics.median(runs)


def _run(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)

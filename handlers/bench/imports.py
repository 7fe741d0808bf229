"""How long imports take in a fresh interpreter, bytecode compiled: the pure part's, and those of
the functions in Lambda, which wait for them at every cold start.

A function makes its AWS clients while it is imported; beside it stands who only imports boto3 and
makes the same ones. What counts for these is CPU, of the quickest run: noise only ever adds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from handlers.bench import Figure

RUNS = 9
GOAL = 1.5
_HANDLERS = Path(__file__).resolve().parents[1]
_CODE = """
import sys, time
before = set(sys.modules)
begun = time.perf_counter()
import {modules}
took = time.perf_counter() - begun
assert "boto3" not in sys.modules
print(took)
"""
_FUNCTION = """
import time
begun = time.process_time()
import handlers.{name}.function
print(time.process_time() - begun)
"""
_CLIENTS = """
import time
begun = time.process_time()
import boto3
session = boto3.session.Session()
for service in {services}:
    session.client(service)
print(time.process_time() - begun)
"""
_MADE = """
import botocore.session
make, made = botocore.session.Session.create_client, []
def noting(self, service_name, *given, **named):
    made.append(service_name)
    return make(self, service_name, *given, **named)
botocore.session.Session.create_client = noting
import handlers.{name}.function
print(*made)
"""
# Nobody is called, and nothing of this machine's own account is read.
_LAMBDA = {
    "SPLITSOUND_STAGE": "dev", "SPLITSOUND_ACCOUNT": "123456789012", "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}  # fmt: skip


def figures() -> list[Figure]:
    """Milliseconds; of the pure part and boto3 the median of nine interpreters."""
    return [
        Figure("import domain and commands", _median("domain, commands"), "ms", "<= 60, no boto3"),
        Figure("import boto3, for comparison", _median("boto3"), "ms"),
        *(function(name) for name in functions()),
    ]


def functions() -> list[str]:
    """The packages that have a function for Lambda."""
    return sorted(path.parent.name for path in _HANDLERS.glob("*/function.py"))


def function(name: str, runs: int = RUNS) -> Figure:
    """CPU of one function's cold import, and how many times that of boto3 with its clients."""
    services = clients_of(name)
    alone = _CLIENTS.format(services=services)
    # In turns, so that a busy machine is busy for both; the first one may compile.
    pairs = [(_run(_FUNCTION.format(name=name)), _run(alone)) for _ in range(runs + 1)][1:]
    ours, theirs = (1000 * min(side) for side in zip(*pairs, strict=True))
    spread = f"{1000 * min(p[0] for p in pairs):.0f} to {1000 * max(p[0] for p in pairs):.0f}"
    beside = (
        f"boto3 and clients of {', '.join(services)}: {theirs:.0f} ms; {ours / theirs:.2f} times"
    )
    what = f"cold import of the {name}'s function, CPU ({spread})"
    return Figure(what, ours, "ms", f"<= {GOAL} times boto3's", beside)


def clients_of(name: str) -> list[str]:
    """The services that a function makes clients of while it is imported."""
    return list(dict.fromkeys(_output(_MADE.format(name=name)).split()))


def _median(modules: str) -> float:
    code = _CODE.format(modules=modules)
    if modules == "boto3":
        code = code.replace('assert "boto3" not in sys.modules\n', "")
    runs = [_run(code) for _ in range(10)][1:]  # the first one may compile
    return 1000 * statistics.median(runs)


def _run(code: str) -> float:
    return float(_output(code))


def _output(code: str) -> str:
    env = os.environ | _LAMBDA
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=env).stdout

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.logs import _SECRETS, _TELLING, struck

# One of each alternative of the expression, each with what has to go.
SECRETS = {
    "GET /x?X-Amz-Signature=0badc0de&y=1": "0badc0de",
    "x-amz-credential=AKID%2F2026": "AKID%2F2026",
    "X-Amz-Security-Token=IQoJb3": "IQoJb3",
    "Bearer abcdefgh.ijk": "abcdefgh.ijk",
    "basic dXNlcjpwYXNz": "dXNlcjpwYXNz",
    "DPoP abcdefghijk": "abcdefghijk",
    "authorization: letmein": "letmein",
    '{"Cookie": "a=b"}': "a=b",
    "set-cookie=refresh": "refresh",
    "Stripe-Signature: t=1,v1=ab": "v1=ab",
    "webhook-signature: v1,ab": "v1,ab",
    "eyJhbGciOi.eyJzdWIi.c2ln": "eyJzdWIi",
    "sk_live_abc": "abc",
    "RK_TEST_abc": "abc",
    "pk_live_abc": "abc",
    "whsec_abc": "abc",
    "ssk_0123456789abcdef": "0123456789abcdef",
    "r8_0123456789abcdef": "0123456789abcdef",
    "AKIAABCDEFGHIJKLMNOP": "ABCDEFGHIJKLMNOP",
    "asiaabcdefghijklmnop": "abcdefghijklmnop",
    "ada@example.org": "ada",
}


@pytest.mark.parametrize("line", SECRETS)
@pytest.mark.parametrize("turn", [str, str.upper, str.lower, str.swapcase])
def test_secrets_are_struck_out_however_they_are_written(line: str, turn: type[str]) -> None:
    line, secret = turn(f"before {line}"), turn(SECRETS[line])
    # The quick look finds no less than the expression.
    found = _SECRETS.search(line)
    assert struck(line) == line if not found else secret not in struck(line)
    assert not found or any(mark in line.lower() for mark in _TELLING)


def test_each_secret_is_found_as_it_is_usually_written() -> None:
    for line, secret in SECRETS.items():
        assert secret not in struck(f'{{"event": "{line}"}}')


def test_letters_that_only_look_alike_hide_nothing() -> None:
    # The Kelvin sign is a k, and the long s an s, to an expression that ignores case.
    assert "abc" not in struck("s\u212a_live_abc")
    assert "abc" not in struck("wh\u017fec_abc")


def test_other_lines_stay_as_they_are() -> None:
    line = '{"event":"request","path":"/v1/jobs","user_id":"usr_01","request_id":"req_01"}'
    assert struck(line) is line


def test_logs_take_neither_rich_nor_asyncio_to_load_and_leave_them_to_others() -> None:
    code = (
        "import sys, infra.logs, structlog\n"
        "assert not {'rich', 'asyncio', 'greenlet'} & set(sys.modules)\n"
        "import asyncio, rich.table\n"
        "structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(20))\n"
        "asyncio.run(structlog.get_logger().ainfo('said'))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "said" in done.stdout

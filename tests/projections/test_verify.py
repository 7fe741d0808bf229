from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from domain.credits import CreditsGranted
from projections.credits import CREDITS_VIEW
from projections.folding import Folded, Piece, fold
from projections.ports import HEAD, Row
from projections.verify import Difference, compare

STREAM = "credits-usr_1"


def folded(events: int = 2) -> Folded:
    grants = [CreditsGranted("usr_1", f"grt_{n}", "signup", 10 * n) for n in range(1, events + 1)]
    pieces = [
        Piece(STREAM, n, n, msgspec.json.encode([g]), n * 1000, "usr_1")
        for n, g in enumerate(grants, 1)
    ]
    return fold(CREDITS_VIEW, "credits@1", STREAM, pieces)


def found(rows: Folded) -> tuple[Row, list[Row]]:
    assert rows.head is not None
    return rows.head, list(rows.lines)


def places(differences: Sequence[Difference]) -> list[tuple[str, str]]:
    return [(d.key, d.field) for d in differences]


def test_rows_that_say_what_the_events_say_do_not_differ() -> None:
    head, lines = found(folded())
    assert len(lines) == 2
    assert compare(folded(), head, list(reversed(lines))) == []


def test_the_order_of_members_in_a_body_is_no_difference() -> None:
    head, lines = found(folded())
    body = msgspec.json.decode(head.body)
    turned = msgspec.json.encode(dict(reversed(body.items()))).decode()
    assert compare(folded(), msgspec.structs.replace(head, body=turned), lines) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"owner": "usr_2"}, "owner"), ({"status": "open"}, "status"), ({"sort": "x"}, "sort")],
)
def test_a_wrong_index_is_a_difference(change: dict[str, str], field: str) -> None:
    head, lines = found(folded())
    wrong = msgspec.structs.replace(head, **change)
    assert places(compare(folded(), wrong, lines)) == [(HEAD, field)]


def test_a_wrong_body_is_named_by_its_member() -> None:
    head, lines = found(folded())
    body = lines[1].body.replace('"balance":30', '"balance":31')
    wrong = msgspec.structs.replace(lines[1], body=body)
    (difference,) = compare(folded(), head, [lines[0], wrong])
    assert (difference.key, difference.field) == (lines[1].key, "body.balance")
    assert (difference.expected, difference.found) == (30, 31)


def test_missing_and_surplus_rows_are_differences() -> None:
    head, lines = found(folded())
    assert places(compare(folded(), None, [])) == [
        (HEAD, "row"), (lines[0].key, "row"), (lines[1].key, "row"),
    ]  # fmt: skip
    assert places(compare(folded(1), head, lines))[-1] == (lines[1].key, "row")
    assert places(compare(folded(1), found(folded(1))[0], lines)) == []  # its head is on its way
    nothing = fold(CREDITS_VIEW, "credits@1", STREAM, [])
    assert places(compare(nothing, head, [])) == [(HEAD, "row")]


def test_a_row_that_lags_says_so_by_its_version() -> None:
    head, lines = found(folded(1))
    differences = compare(folded(2), head, lines)
    assert (HEAD, "version") in places(differences)
    assert ("line#000000000002", "row") in places(differences)


def test_a_body_that_is_no_json_is_a_difference_and_no_crash() -> None:
    head, lines = found(folded())
    assert compare(folded(), msgspec.structs.replace(head, body="{"), lines) != []

"""Heads of histories in memory: what a scan that comes late says, and what is really broken."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commit import GENESIS, Commit
from domain.errors import AccessDenied, HistoryBroken
from infra.digests.checking import heads_of
from infra.digests.document import Digest, Head, HeadsFile, KeyName, heads_name, name_of
from infra.digests.scanning import CUT, GONE, REWRITTEN, Finding, scan_heads
from infra.event_store.memory import MemoryStore
from tests.world import StillClock


def commits(stream: str, sizes: list[int], mark: str = "") -> list[Commit]:
    """A stream whose commits have so many events each."""
    made: list[Commit] = []
    last, prev = 0, GENESIS
    for size in sizes:
        draft = Commit(
            stream=stream, first=last + 1, last=last + size, types=("Noted",),
            events=f'[{mark}{",".join(["{}"] * size)}]', cmd=f"{stream}-{last}", t=last, prev=prev,
        )  # fmt: skip
        made.append(draft.sealed())
        last, prev = made[-1].last, made[-1].hash
    return made


def store(*streams: list[Commit]) -> MemoryStore:
    filled = MemoryStore(StillClock())
    for stream in streams:
        for commit in stream:
            filled.put([commit])
    return filled


def heads(history: MemoryStore) -> dict[str, Head]:
    return {head.stream: head for head in scan_heads(history, {}).heads}


class Late(MemoryStore):
    """Its scans don't see yet what was written last; reads do."""

    unseen: str = ""

    def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
        for commit in super().scan(segment, segments):
            tip = max(each.last for each in self.read(commit.stream))
            if commit.last < tip and commit.stream != self.unseen:
                yield commit


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1),
        st.lists(st.integers(1, 3), min_size=1, max_size=4),
        max_size=8,
    ),
    st.integers(1, 5),
)
def test_heads_are_the_tips_in_order(streams: dict[str, list[int]], segments: int) -> None:
    filled = store(*(commits(name, sizes) for name, sizes in streams.items()))
    found = scan_heads(filled, {}, segments=segments, workers=2)
    assert [(h.stream, h.version) for h in found.heads] == sorted(
        (name, sum(sizes)) for name, sizes in streams.items()
    )
    assert found.events == sum(map(sum, streams.values()))
    assert found.commits == sum(map(len, streams.values()))
    assert found.findings == []


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.data())
def test_every_prefix_that_was_signed_must_stand(sizes: list[int], data: st.DataObject) -> None:
    whole = commits("a", sizes)
    signed = data.draw(st.integers(1, len(sizes)))
    now = data.draw(st.integers(0, len(sizes)))
    forged = data.draw(st.booleans())
    expected = heads(store(whole[:signed]))
    present = commits("a", sizes[:now], " ") if forged else whole[:now]
    findings = scan_heads(store(present), expected, segments=2).findings
    version = expected["a"].version
    if now == 0:
        assert findings == [Finding("a", version, GONE)]
    elif now < signed:
        assert findings == [Finding("a", present[-1].last + 1, CUT)]
    else:
        assert findings == ([Finding("a", version, REWRITTEN)] if forged else [])


def test_a_digest_may_not_end_inside_a_commit() -> None:
    expected = heads(store(commits("a", [1, 1])))
    merged = store(commits("a", [1, 2]))
    assert scan_heads(merged, expected).findings == [Finding("a", 2, REWRITTEN)]


def test_a_late_scan_is_no_finding() -> None:
    late = Late(StillClock())
    for name in ("a", "b", "c"):
        for commit in commits(name, [1, 1, 1]):
            late.put([commit])
    late.unseen = "c"
    expected = {
        h.stream: Head(h.stream, 3, h.hash) for h in heads(store(*map(_three, "abc"))).values()
    }
    found = scan_heads(late, expected)
    assert found.findings == []
    assert [(h.stream, h.version) for h in found.heads] == [("a", 3), ("b", 3), ("c", 3)]
    assert found.events == 9


def _three(name: str) -> list[Commit]:
    return commits(name, [1, 1, 1])


def test_all_that_is_broken_is_named_at_once() -> None:
    whole = {name: _three(name) for name in "abcd"}
    expected = heads(store(*whole.values()))
    broken = msgspec.structs.replace(whole["b"][1], events="[1]")
    present = store(
        whole["a"][:2], [whole["b"][0], broken, whole["b"][2]], whole["c"], _three("new")
    )
    assert scan_heads(present, expected).findings == [
        Finding("a", 3, CUT),
        Finding("b", 2, "its content was changed after it was written"),
        Finding("d", 3, GONE),
    ]


def test_a_denied_scan_ends_at_once() -> None:
    class Denied(MemoryStore):
        def scan(self, segment: int = 0, segments: int = 1) -> Iterator[Commit]:
            raise AccessDenied("AWS denied dynamodb:Scan.")

    with pytest.raises(AccessDenied):
        scan_heads(Denied(StillClock()), {})


def test_heads_that_are_none_are_named() -> None:
    digest = Digest(
        format="", deployment="", day="", taken_at="", streams=2, events=0, root="",
        heads=HeadsFile("", 0), previous=None, key=KeyName("", ""),
    )  # fmt: skip
    with pytest.raises(HistoryBroken, match="damaged"):
        heads_of("x", digest, [b'["a",1]\n'])


def test_names_sort_by_time() -> None:
    times = [0, 1, 999, 1000, 86_400_000, 1_795_450_000_123]
    names = [name_of(time, "ab" * 32) for time in times]
    assert names == sorted(names)
    assert names[-1] == "digests/2026/11/23T160640.123Z-abababab.json"
    assert heads_name(names[-1]) == "digests/2026/11/23T160640.123Z-abababab.heads.jsonl"

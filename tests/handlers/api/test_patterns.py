"""The patterns of the document say what the commands say."""

from __future__ import annotations

import re

import pytest

from domain import filenames
from domain.errors import Invalid
from domain.tags import normalised
from handlers.api.patterns import FILENAME, NOT_BLANK, VISIBLE

EVERY = [chr(n) for n in range(0x10000) if not 0xD800 <= n < 0xE000]


def test_blank_is_what_is_stripped() -> None:
    wrong = [c for c in EVERY if bool(c.strip()) != bool(re.search(NOT_BLANK, c))]
    assert not wrong


def is_tag(text: str) -> bool:
    try:
        return bool(normalised([text]))
    except Invalid:
        return False


def test_a_tag_has_something_to_see() -> None:
    assert not [c for c in EVERY if is_tag(c) != bool(re.search(VISIBLE, c))]


def is_name(text: str) -> bool:
    try:
        return bool(filenames.clean(text))
    except Invalid:
        return False


def test_every_character_as_a_name() -> None:
    assert not [c for c in EVERY if is_name(c) != bool(re.search(FILENAME, c))]


@pytest.mark.parametrize(
    "text",
    ["a", "a/", "/a", "a\\", "..", "...", ". .", ".\t.", ".\x00.", ". ", "..a", "a/..", "a/...",
     "../..", "a/. .", "/ /", "a/\u200b", "\u200b..", "..\u200b.", " .", "ein Lied.mp3",
     "x" * 255, "x" * 256, "x" * 300 + "/y", "x/" + "y" * 256],
)  # fmt: skip
def test_names(text: str) -> None:
    assert is_name(text) == bool(re.search(FILENAME, text))

"""The seccomp filter, interpreted: it says the same on machines that are not here."""

from __future__ import annotations

import os
import struct

import pytest

from infra.media import confined

PROGRAM = 0x7F12_3456_9ABC  # where the launcher keeps the program's name
ALLOWED, REFUSED, UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026
NATIVE, FOREIGN = {0: 0xC000003E, 1: 0xC00000B7}, 0x40000003  # i386: the numbers mean other calls


def verdict(column: int, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Runs the filter over a struct seccomp_data."""
    values = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, architecture or NATIVE[column], 0, *values)
    code = confined.bpf(column, NATIVE[column], PROGRAM)
    instructions = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at = word = 0
    while True:
        operation, yes, no, value = instructions[at]
        if operation == confined.RETURN:
            return int(value)
        if operation == confined.LOAD:
            (word,) = struct.unpack_from("=I", data, value)
            at += 1
            continue
        held = {
            confined.EQUAL: word == value,
            confined.AT_LEAST: word >= value,
            confined.ANY_BIT: bool(word & value),
        }
        at += 1 + (yes if held[operation] else no)


@pytest.mark.parametrize("column", [0, 1])
def test_what_the_filter_says(column: int) -> None:
    call = {
        "read": (0, 63), "futex": (202, 98), "mmap": (9, 222), "openat": (257, 56),
    }  # fmt: skip
    for numbers in call.values():
        assert verdict(column, numbers[column]) == ALLOWED
    for numbers in confined.REFUSED.values():
        if numbers[column] >= 0:
            assert verdict(column, numbers[column]) == REFUSED
    assert verdict(column, confined.CLONE3) == UNKNOWN
    assert verdict(column, confined.CLONE[column], 0x3D0F00) == ALLOWED  # a thread's flags
    assert verdict(column, confined.CLONE[column], 0x4111) == REFUSED  # vfork's
    assert verdict(column, confined.EXECVE[column], PROGRAM) == ALLOWED
    for other in (PROGRAM + 1, PROGRAM & 0xFFFFFFFF, PROGRAM + (1 << 40)):
        assert verdict(column, confined.EXECVE[column], other) == REFUSED
    assert verdict(column, confined.PRLIMIT[column], 0, 7, 0) == ALLOWED
    assert verdict(column, confined.PRLIMIT[column], 0, 7, 1 << 33) == REFUSED
    for signals in (confined.KILL, confined.TGKILL):
        assert verdict(column, signals[column], os.getpid(), 9) == ALLOWED
        assert verdict(column, signals[column], os.getppid(), 9) == REFUSED


def test_calls_of_another_architecture_are_refused() -> None:
    assert verdict(0, 11, architecture=FOREIGN) == 0x80000000  # the process is killed
    assert verdict(0, 0x40000000 + 41) == REFUSED  # x32's socket

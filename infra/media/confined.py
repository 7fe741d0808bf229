"""Become another program, confined.

Run as ``python -I -S confined.py PARENT_PID -- PROGRAM [ARGUMENT...]``.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Tie this process to its parent, then exec the program."""
    parent, program = int(argv[1]), argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent process is gone")
    os.execvp(program[0], program)  # noqa: S606 - a list that our parent wrote


if __name__ == "__main__":
    main(sys.argv)

"""Become another program that the kernel kills when our parent dies.

Run as ``python -I -S leash.py PARENT_PID PROGRAM [ARGUMENT...]``; see ``process.leashed``. It is
a program and not a ``preexec_fn``, because Python code between fork and exec may deadlock when
the parent has threads. The setting survives the exec.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Tie this process to its parent, then exec the program."""
    parent, program = int(argv[1]), argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        # It died before the leash was on, so no signal will ever come.
        sys.exit("the parent process is gone")
    try:
        os.execvp(program[0], program)
    except OSError as error:
        # 127 is what a shell answers for a program that it cannot start.
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv)

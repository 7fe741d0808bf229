"""Become another program that can do little more than compute.

Run as ``python -I -S confined.py [KEY=VALUE...] -- PROGRAM [ARGUMENT...]``; see ``sandbox``.
It is a program and not a ``preexec_fn``, because Python code between fork and exec may deadlock
when the parent has threads. It uses the standard library alone and takes 15 ms.

    parent=PID      the kernel kills us when the thread that started us ends
    cpu=SECONDS     of processor time; memory=BYTES of private memory; file=BYTES per file written
    read=PATH       a file, or a directory with all below it; the program needs to be among them
    write=PATH      a file that exists: to be written, read and truncated

Nothing else can be opened, made, renamed or removed (Landlock), no TCP port be bound or
connected to, no other process be signalled (Landlock 4 and 6); no socket, child process,
tracing, mount, namespace, change of owner or mode, or higher limit be had (seccomp); no
capability is kept. Layers that the kernel lacks are left out: without a program, the launcher
confines itself and prints which ones hold.

https://docs.kernel.org/userspace-api/landlock.html and .../seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys

ADDRESS_SPACE_FACTOR = 6  # stacks, arenas and libraries reserve far more than they use
OPEN_FILES = 64

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
ENOSYS, EPERM = 38, 1
SIGKILL = 9  # the signal module takes longer to import than all else together

# Landlock: syscalls, and rights by the version that brought them.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: TRUNCATE, 5: 1 << 15}
TCP_BIND_AND_CONNECT, SCOPE_SOCKETS_AND_SIGNALS = 3, 3

# name: (x86_64, aarch64); -1 where the machine has no such call. Later ones have one number.
REFUSED = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "fork": (57, -1),
    "vfork": (58, -1), "execveat": (322, 281), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "acct": (163, 89), "quotactl": (179, 60), "iopl": (172, -1), "ioperm": (173, -1),
    "syslog": (103, 116), "setrlimit": (160, 164), "setuid": (105, 146), "setgid": (106, 144),
    "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147),
    "setresgid": (119, 149), "setfsuid": (122, 151), "setfsgid": (123, 152),
    "setgroups": (116, 159), "capset": (126, 91), "chmod": (90, -1), "fchmod": (91, 52),
    "fchmodat": (268, 53), "chown": (92, -1), "fchown": (93, 55), "lchown": (94, -1),
    "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88),
    "open_by_handle_at": (304, 265), "personality": (135, 92), "mknod": (133, -1),
    "mknodat": (259, 33), "fanotify_init": (300, 262), "modify_ldt": (154, -1),
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180), "pidfd_send_signal": (424, 424), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "mount_setattr": (442, 442),
    "fchmodat2": (452, 452), "setxattrat": (463, 463), "removexattrat": (466, 466),
}  # fmt: skip
EXECVE, CLONE, KILL, TGKILL, PRLIMIT = (59, 221), (56, 220), (62, 129), (234, 131), (302, 261)
CLONE3, CLONE_THREAD = 435, 0x10000
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_...
X32_CALLS = 0x40000000

# BPF: instructions, return values, and where seccomp_data holds what.
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def limit(cpu: int, memory: int, file: int) -> None:
    """Resource limits; ffmpeg answers SIGXCPU politely, so the hard limit is the soft one."""
    for what, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_AS, memory * ADDRESS_SPACE_FACTOR),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(what, (most, most))
        except (OSError, ValueError):  # systems differ in what they can limit
            continue


def landlock_version() -> int:
    """0 where the kernel has none, or it is switched off."""
    return max(0, call(CREATE_RULESET, None, 0, 1))


def restrict_files(version: int, read: list[str], write: list[str]) -> bool:
    """Landlock: nothing but these, and no TCP where the version knows it."""
    rights = sum(bits for since, bits in FILE_RIGHTS.items() if version >= since)
    attributes = struct.pack("=Q", rights)
    if version >= 4:
        attributes += struct.pack("=Q", TCP_BIND_AND_CONNECT)
    if version >= 6:
        attributes += struct.pack("=Q", SCOPE_SOCKETS_AND_SIGNALS)
    ruleset = call(CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    for path in read:
        allow(ruleset, path, rights & (EXECUTE | READ_FILE | READ_DIR))
    for path in write:
        allow(ruleset, path, rights & (WRITE_FILE | READ_FILE | TRUNCATE))
    done = call(RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done


def allow(ruleset: int, path: str, rights: int) -> None:
    """What cannot be opened here stays forbidden."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib takes 5 ms to import
        rights &= ~READ_DIR
    if call(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, fd), 0) != 0:
        sys.exit(f"confined: landlock on {path}: {os.strerror(ctypes.get_errno())}")
    os.close(fd)


def drop_capabilities() -> None:
    """Root becomes an ordinary owner of its files; no_new_privs keeps it so across the exec."""
    libc.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24))


def restrict_calls(program: int) -> bool:
    """seccomp: refuse REFUSED, and execve of anything but the string at that address."""
    column, architecture = MACHINES.get(os.uname().machine, (0, 0))
    if not architecture or sys.byteorder != "little":
        return False
    code = bpf(column, architecture, program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, padding, a pointer to them
    filters = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    return bool(libc.prctl(PR_SET_SECCOMP, 2, filters, 0, 0) == 0)


def bpf(column: int, architecture: int, program: int) -> bytes:
    """The filter. After the number is loaded, each rule is a comparison that skips its body."""
    refuse, none = [(RETURN, 0, 0, REFUSE | EPERM)], [(RETURN, 0, 0, REFUSE | ENOSYS)]
    own = [*argument_is(0, os.getpid(), wide=False), *refuse]
    thread = [(LOAD, 0, 0, ARGUMENT), (ANY_BIT, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW)]
    rules = [
        (EXECVE[column], [*argument_is(0, program), *refuse]),
        (PRLIMIT[column], [*argument_is(2, 0), *refuse]),  # reading limits sets none
        (KILL[column], own),
        (TGKILL[column], own),
        (CLONE[column], [*thread, *refuse]),
        (CLONE3, none),  # its flags lie in memory; the C library falls back to clone
        *((numbers[column], refuse) for numbers in REFUSED.values() if numbers[column] >= 0),
    ]
    code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL_PROCESS)]
    code += [(LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32_CALLS), *refuse]
    for number, body in rules:
        code += [(EQUAL, 0, len(body), number), *body]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def argument_is(index: int, value: int, *, wide: bool = True) -> list[tuple[int, int, int, int]]:
    """Allows when the argument has that value, else goes on behind; wide: all 64 bits."""
    at = ARGUMENT + 8 * index
    low = [(LOAD, 0, 0, at), (EQUAL, 0, 3 if wide else 1, value & 0xFFFFFFFF)]
    high = [(LOAD, 0, 0, at + 4), (EQUAL, 0, 1, value >> 32)] if wide else []
    return [*low, *high, (RETURN, 0, 0, ALLOW)]


def call(number: int, *arguments: object) -> int:
    """A raw system call; -1 and errno where it fails."""
    return int(libc.syscall(ctypes.c_long(number), *arguments))


def tie_to(parent: int) -> None:
    """Be killed with the thread that started us."""
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It died before the tie was on, so no signal will ever come.
        sys.exit("confined: the parent process is gone")


def confine(options: list[tuple[str, str]], program: int) -> str:
    """All layers, in the order in which each still may; which of them hold."""
    single = dict(options)
    limit(int(single["cpu"]), int(single["memory"]), int(single["file"]))
    if sys.platform != "linux":
        return "landlock=0 seccomp=0"
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    read, write = ([v for k, v in options if k == wanted] for wanted in ("read", "write"))
    version = landlock_version()
    if version and not restrict_files(version, read, write):
        version = 0
    drop_capabilities()
    tie_to(int(single["parent"]))
    return f"landlock={version} seccomp={int(restrict_calls(program))}"


def main(argv: list[str]) -> None:
    """Confine this process, then exec the program, or print which layers hold."""
    at = argv.index("--")
    given = [os.fsencode(word) for word in argv[at + 1 :]]
    words = (ctypes.c_char_p * (len(given) + 1))(*given, None)
    settings = [k + b"=" + v for k, v in os.environb.items()]
    environment = (ctypes.c_char_p * (len(settings) + 1))(*settings, None)
    path = ctypes.create_string_buffer(given[0] if given else b"")
    held = confine([pair_of(word) for word in argv[1:at]], ctypes.addressof(path))
    if not given:
        sys.stdout.write(held + "\n")
        return
    libc.execve(path, words, environment)
    sys.exit(f"confined: {os.fsdecode(given[0])}: {os.strerror(ctypes.get_errno())}")


def pair_of(word: str) -> tuple[str, str]:
    """KEY=VALUE, split."""
    key, _, value = word.partition("=")
    return key, value


if __name__ == "__main__":
    main(sys.argv)

"""The system call filter of every sandbox, as the BPF program that bubblewrap's --seccomp reads.

Namespaces and the lost privileges already forbid what these calls do. The filter takes them away once more, so that a
hole in one of those corners of the kernel is out of a job's reach. Its bytes depend on the machine only.
"""

import errno
import platform
import struct

from services.runtimes.base import PlatformError

# Name of the call: its number on x86_64, on aarch64 (None: the machine has no such call).
FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
CLONE = (56, 220)
CLONE3 = (435, 435)
SOCKET = (41, 198)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*
X32_BIT = 0x40000000  # the same machine, other numbers: not ours

CLONE_NEWUSER = 0x10000000
# Local, IPv4, IPv6 and netlink (which lists interfaces). Not vsock, which no network namespace holds, nor kernel
# crypto, packets, bluetooth…
SOCKET_FAMILIES = (1, 2, 10, 16)

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half on little endian
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000


def program(machine: str | None = None) -> bytes:
    """The filter for ``machine`` (default: this one). Raises PlatformError for one that it does not know."""
    machine = machine or platform.machine()
    try:
        column, architecture = ARCHITECTURES[machine]
    except KeyError:
        raise PlatformError(
            f"Jobs cannot run on {machine}: the system call filter knows {' and '.join(ARCHITECTURES)} only."
        ) from None
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(JUMP_EQUAL, architecture, yes=1),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER),
    ]
    if machine == "x86_64":
        code += [_step(JUMP_AT_LEAST, X32_BIT, no=1), _step(RETURN, KILL)]
    for numbers in FORBIDDEN.values():
        if (number := numbers[column]) is not None:
            code += _when(number, [_step(RETURN, ERRNO | errno.EPERM)])
    # Its flags lie in memory, where a filter cannot look; libc then falls back to clone.
    code += _when(CLONE3[column], [_step(RETURN, ERRNO | errno.ENOSYS)])
    code += _when(
        CLONE[column],
        [
            _step(LOAD, FIRST_ARGUMENT),
            _step(JUMP_ANY_BIT, CLONE_NEWUSER, no=1),
            _step(RETURN, ERRNO | errno.EPERM),
            _step(RETURN, ALLOW),
        ],
    )
    families = [
        _step(JUMP_EQUAL, family, yes=len(SOCKET_FAMILIES) - index) for index, family in enumerate(SOCKET_FAMILIES)
    ]
    code += _when(
        SOCKET[column],
        [
            _step(LOAD, FIRST_ARGUMENT),
            *families,
            _step(RETURN, ERRNO | errno.EAFNOSUPPORT),
            _step(RETURN, ALLOW),
        ],
    )
    code.append(_step(RETURN, ALLOW))
    return b"".join(code)


def _when(number: int, steps: list[bytes]) -> list[bytes]:
    return [_step(JUMP_EQUAL, number, no=len(steps)), *steps]


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter; ``yes`` and ``no`` say how many steps a jump leaves out."""
    return struct.pack("<HBBI", code, yes, no, value)

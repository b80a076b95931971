"""The filter, decided by a small machine of our own, for the architectures too that this host is not."""

import pytest

from services.runtimes.base import PlatformError
from services.runtimes.sandbox import seccomp


def decide(program: bytes, *, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel would answer."""
    words = {0: number, 4: architecture, 16: argument}
    steps = [(int.from_bytes(program[i : i + 2], "little"), *program[i + 2 : i + 4],
              int.from_bytes(program[i + 4 : i + 8], "little")) for i in range(0, len(program), 8)]  # fmt: skip
    at = accumulator = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == seccomp.LOAD:
            accumulator = words[value]
        elif code == seccomp.RETURN:
            return value
        else:
            holds = {
                seccomp.JUMP_EQUAL: accumulator == value,
                seccomp.JUMP_AT_LEAST: accumulator >= value,
                seccomp.JUMP_ANY_BIT: bool(accumulator & value),
            }[code]
            at += yes if holds else no


@pytest.mark.parametrize("machine", sorted(seccomp.ARCHITECTURES))
def test_the_filter_decides(machine: str) -> None:
    column, architecture = seccomp.ARCHITECTURES[machine]
    program = seccomp.program(machine)

    def answer(number: int, argument: int = 0, on: int = architecture) -> int:
        return decide(program, architecture=on, number=number, argument=argument)

    for name, numbers in seccomp.FORBIDDEN.items():
        if (number := numbers[column]) is not None:
            assert answer(number) == seccomp.ERRNO | 1, name
    assert answer(seccomp.CLONE3[column]) == seccomp.ERRNO | 38
    assert answer(seccomp.CLONE[column], 0x01200011) == seccomp.ALLOW
    assert answer(seccomp.CLONE[column], seccomp.CLONE_NEWUSER | 17) == seccomp.ERRNO | 1
    for family in (1, 2, 10, 16):
        assert answer(seccomp.SOCKET[column], family) == seccomp.ALLOW
    for family in (0, 3, 17, 38, 40, 44):
        assert answer(seccomp.SOCKET[column], family) == seccomp.ERRNO | 97
    assert answer(64 if machine == "aarch64" else 1) == seccomp.ALLOW  # write
    assert answer(1, on=0x40000003) == seccomp.KILL  # 32 bits
    if machine == "x86_64":
        assert answer(seccomp.X32_BIT | 1) == seccomp.KILL
    assert len(program) // 8 < 4096


def test_the_filter_knows_its_machines() -> None:
    with pytest.raises(PlatformError, match="riscv64"):
        seccomp.program("riscv64")

"""Attacks on the sandbox, each a program that a provider could upload, held against what the tier of the host promises.

After every attack the host is asked whether it still works.
"""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from services.runtimes import environments, home, sandbox, slots
from services.runtimes.home import is_root
from services.runtimes.python import REPORT, PythonRuntime
from services.runtimes.slots import Slot
from tests.services.runtimes.conftest import LIMITS, MIB, finish, processes_of, read, wait_for_output
from tests.settings import TESTS_HOME
from tests.waiting import wait_for

HEAD = """
import ctypes, errno, json, os, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action, *arguments):
    try:
        answer = action(*arguments)
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)
    return "done: " + repr(answer)[:2000]
def syscall(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        code = ctypes.get_errno()
        raise OSError(code, errno.errorcode[code])
    return "allowed"
"""
X86_64 = os.uname().machine == "x86_64"


@pytest.fixture(autouse=True)
def _host_still_works(slot: Slot) -> Iterator[None]:
    """The cast of every scene: a host with free memory, room on its disk, and processes to spare."""
    before = shutil.disk_usage(home.jobs_home()).free
    yield
    assert subprocess.run(["/bin/true"], check=False).returncode == 0
    after = shutil.disk_usage(home.jobs_home()).free
    assert before - after < 2 << 30
    wait_for(lambda: not processes_of(slot), what="the end of every process of the slot")


@pytest.fixture
def attack(run):
    """Runs a program with the head above; returns what it returned."""

    def attack_it(body: str, *, data: object = None, **options: object) -> object:
        ran = run(HEAD + body, data=data, **options)
        assert ran.outcome.reason == "", (ran.outcome, ran.err[-2000:])
        return ran.result

    return attack_it


def refused(answer: object) -> bool:
    return not str(answer).startswith("done")


# Files of the host


def test_files_of_the_host_are_not_there(attack, slot: Slot, tmp_path: Path) -> None:
    database = TESTS_HOME / "home" / "mercato.sqlite3"
    database.touch()
    secret = settings.MERCATO_HOME / "secret_key"
    secret.touch()
    paths = [
        str(path)
        for path in (database, secret, settings.BASE_DIR / "manage.py", slot.folder, home.jobs_home(), tmp_path,
                     "/etc/shadow", "/root", "/home", "/run", "/sys", "/boot", "/var/lib", "/var/log", "/mnt", "/srv")
    ]  # fmt: skip
    answers = attack("def run(data):\n    return [os.path.exists(path) for path in data]", data=paths)
    # /run holds the folder of our own report and nothing else
    assert dict(zip(paths, answers, strict=True)) == dict.fromkeys(paths, False) | {"/run": True}
    assert attack("def run():\n    return sorted(os.walk('/run'))[1:]") == [["/run/mercato", [], ["report"]]]


def test_the_root_holds_only_what_a_job_needs(attack) -> None:
    found = attack(
        "def run():\n    return [os.listdir('/'), os.listdir('/var'), os.listdir('/opt'), os.listdir('/etc')]"
    )
    root, var, opt, etc = (set(names) for names in found)
    assert root <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "run", "sbin", "tmp", "usr",
                    "var"}  # fmt: skip
    assert var == {"input", "runtime", "tmp"}
    assert opt == {"environment", "mercato", "service"}
    assert "shadow" not in etc


def test_users_of_the_host_have_no_names(attack) -> None:
    found = str(attack("import getpass, pwd\ndef run():\n    return [open('/etc/passwd').read(), getpass.getuser()]"))
    assert "job" in found
    assert len(found.splitlines()) <= 3
    assert not any(user in found for user in ("daemon", "www-data", "nobody"))


def test_another_slot_is_out_of_reach(attack, slot: Slot) -> None:
    other = wait_for(lambda: slots.acquire("job"), what="a second slot")
    command = sandbox.Command(
        argv=["/bin/sh", "-c", "echo secret >/var/runtime/output/x; echo up; sleep 60"],
        limits=LIMITS, inputs={"data.json": b'"their input"'}, output=True,
    )  # fmt: skip
    running = sandbox.start(slot=other, command=command)
    wait_for_output(running, b"up")  # type: ignore[arg-type]
    found = attack(
        """
def run(data):
    hits = []
    for top, folders, files in os.walk("/"):
        if top.startswith(("/proc", "/usr", "/opt/environment")):
            folders.clear()
        paths = [os.path.join(top, name) for name in files if name in ("data.json", "x")]
        hits += [path for path in paths if not os.path.islink(path)]  # older templates look elsewhere
    return [hits, open("/var/runtime/input/data.json").read(), attempt(os.listdir, data)]
""",
        data=str(other.folder),
    )
    assert found == [["/var/runtime/input/data.json"], json.dumps(str(other.folder)), found[2]]  # type: ignore[index]
    assert refused(found[2])  # type: ignore[index]
    if is_root():  # and were it there: its user may not enter
        for path in (other.folder, running.folder, running.output):
            as_ours = [*home.as_user(slot.uid), "/bin/sh", "-c", 'cd "$0"', str(path)]
            assert subprocess.run(as_ours, capture_output=True, check=False).returncode != 0
    running.discard()
    other.release()


@pytest.mark.skipif(not is_root(), reason="needs users of their own")
def test_what_the_host_keeps_in_a_slot_is_closed_to_its_user_too(start, slot: Slot) -> None:
    execution = start("import time\ndef run():\n    print('up')\n    time.sleep(60)", variables={"TOKEN": "x"})
    wait_for_output(execution, b"up")
    for path in slot.runs()[0].iterdir():
        owner, mode = path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o007 == 0, path
        if path.name in ("record.json", "status", "exit", "killed"):
            assert (owner, mode) == (0, 0o600), path
    execution.discard()


def test_nothing_that_is_given_can_be_written(attack, environment: str) -> None:
    paths = [
        "/opt/environment/bin/evil", "/opt/environment/lib/evil.pth", "/opt/service/src/evil.py", "/opt/mercato/evil",
        "/opt/mercato/mercato_runner/main.py", "/var/runtime/input/data.json", "/var/runtime/input/evil", "/evil",
        "/etc/passwd", "/etc/evil", "/usr/bin/evil", "/usr/local/evil", "/dev/evil", "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/var/evil", "/opt/evil", "/run/evil", "/run/mercato/evil",
    ]  # fmt: skip
    program = """
def write(path):
    with open(path, "r+" if os.path.exists(path) else "w") as file:
        file.write("evil")
def run(data):
    return [attempt(write, path) for path in data]
"""
    answers = attack(program, data=paths)
    assert [path for path, answer in zip(paths, answers, strict=True) if not refused(answer)] == []
    assert not (environments.path(environment) / "bin" / "evil").exists()


def test_given_files_cannot_be_replaced_or_given_rights(attack) -> None:
    program = """
def run(data):
    return [
        attempt(os.rename, "/opt/service/src", "/tmp/src"),
        attempt(os.unlink, "/var/runtime/input/data.json"),
        attempt(os.chmod, "/opt/service/src/program.py", 0o777),
        attempt(os.chown, "/opt/environment/bin", 1000, 1000),
        attempt(os.link, "/usr/bin/python3", "/var/runtime/output/python"),
        attempt(os.unlink, data), attempt(os.rename, "/tmp", "/tmp2"), attempt(os.symlink, "/etc", data + ".new"),
        attempt(os.rmdir, "/var/runtime/output"), attempt(os.rmdir, "/var/runtime/input"),
    ]
"""
    answers = attack(program, data=REPORT)
    assert [answer for answer in answers if not refused(answer)] == []


def test_links_in_the_output_lead_nowhere(start) -> None:
    program = """
import os
def run():
    os.symlink("/etc/shadow", "/var/runtime/output/shadow")
    os.symlink("/", "/var/runtime/output/root")
    os.mkfifo("/var/runtime/output/fifo")
    os.symlink("/etc/passwd", "/var/runtime/output/output.json.tmp")
    return {"done": True}
"""
    execution = start(program)
    finish(execution)
    assert execution.outcome().reason == ""
    assert (execution.output / "shadow").is_symlink()  # they are left for the collector to refuse
    execution.discard()
    assert Path("/etc/shadow").exists()


def test_an_output_json_that_is_a_link_is_written_inside_only(start) -> None:
    program = """
import os
def run():
    os.symlink("/etc/passwd", "/var/runtime/output/output.json")
    return {"done": True}
"""
    before = Path("/etc/passwd").read_bytes()
    execution = start(program)
    finish(execution)
    assert execution.outcome().reason == "error"
    assert Path("/etc/passwd").read_bytes() == before
    execution.discard()


# Processes of the host


def test_processes_of_the_host_are_invisible_and_cannot_be_signalled(attack) -> None:
    victim = subprocess.Popen(["/bin/sleep", "600"])
    program = """
def run(data):
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    lines = [open(f"/proc/{pid}/cmdline").read() for pid in pids]
    return [len(pids), lines, attempt(os.kill, data, 9), attempt(os.killpg, data, 9), os.getppid()]
"""
    count, lines, kill, killpg, parent = attack(program, data=victim.pid)  # type: ignore[misc]
    assert count == 2  # the init and itself
    assert not any("pytest" in line or "sleep" in line for line in lines)
    assert refused(kill)
    assert refused(killpg)
    assert parent == 1
    assert victim.poll() is None
    victim.kill()
    victim.wait()


def test_killing_everybody_kills_nobody_else(run) -> None:
    body = "def run():\n    attempt(os.kill, -1, signal.SIGKILL)\n    os.kill(1, signal.SIGKILL)\n    return 'alive'"
    ran = run(HEAD + body)
    assert ran.result == "alive"  # the init of the sandbox cannot be killed from inside, and we spare ourselves


def test_variables_of_the_worker_stay_there(attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_SECRET", "of-the-worker")
    monkeypatch.setenv("DATABASE_URL", "of-the-worker")
    program = """
def run():
    texts = [repr(dict(os.environ))]
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            texts += [open(f"/proc/{pid}/{name}", errors="replace").read() for name in ("environ", "cmdline")]
    return texts
"""
    texts = attack(program)
    assert "of-the-worker" not in str(texts)
    assert "SECRET_KEY" not in str(texts)


def test_no_descriptor_leaks_in(attack) -> None:
    opened = attack("def run():\n    return sorted(int(fd) for fd in os.listdir('/proc/self/fd'))")
    assert opened == [0, 1, 2, 3]  # 3 is the listing itself
    assert attack("def run():\n    return os.readlink('/proc/self/fd/0')") == "/dev/null"
    others = attack("def run():\n    return sorted(int(fd) for fd in os.listdir('/proc/1/fd'))")
    assert set(others) <= {0, 1, 2, 10, 255}  # type: ignore[call-overload]


def test_the_init_is_behind_the_filter_too(attack) -> None:
    status = attack("def run():\n    return [open(f'/proc/{who}/status').read() for who in ('self', '1')]")
    for text in status:  # type: ignore[attr-defined]
        fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        assert fields["Seccomp"] == "2"
        assert fields["NoNewPrivs"] == "1"
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == int(fields["CapAmb"], 16) == 0
        assert int(fields["CapInh"], 16) == int(fields["CapBnd"], 16) == 0


def test_writing_into_the_init_gains_nothing(run) -> None:
    """It is the job's own user's process. Whoever takes it over ends the sandbox with it."""
    program = """
def run():
    lines = open("/proc/1/maps").read().splitlines()
    start = next(line for line in lines if "r-xp" in line).split("-")[0]
    memory = attempt(open, "/proc/1/mem", "r+b")
    if memory.startswith("done"):
        with open("/proc/1/mem", "r+b", buffering=0) as file:
            file.seek(int(start, 16))
            attempt(file.write, b"\\xcc" * 65536)
    return "over"
"""
    ran = run(HEAD + program)
    assert ran.outcome.reason in ("", "error", "lost")


# Ways out of the sandbox


SYSCALLS = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "ptrace": 101,
    "bpf": 321, "keyctl": 250, "add_key": 248, "request_key": 249, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "userfaultfd": 323, "perf_event_open": 298, "kexec_load": 246, "kexec_file_load": 320,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "open_by_handle_at": 304, "name_to_handle_at": 303,
    "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438, "fsopen": 430, "fsmount": 432,
    "move_mount": 429, "open_tree": 428, "mount_setattr": 442, "swapon": 167, "reboot": 169, "sethostname": 170,
    "settimeofday": 164, "clock_settime": 227, "acct": 163, "quotactl": 179, "syslog": 103, "iopl": 172, "ioperm": 173,
    "kcmp": 312, "fanotify_init": 300, "lookup_dcookie": 212, "modify_ldt": 154,
}  # fmt: skip


@pytest.mark.skipif(not X86_64, reason="numbers of x86_64; the filter of aarch64 is decided in test_sandbox")
def test_dangerous_system_calls_are_refused(attack) -> None:
    program = (
        "def run(data):\n    return {name: attempt(syscall, number, 0, 0, 0, 0, 0) for name, number in data.items()}"
    )
    answers = attack(program, data=SYSCALLS)
    assert {name: answer for name, answer in answers.items() if "EPERM" not in answer} == {}  # type: ignore[attr-defined]


@pytest.mark.skipif(not X86_64, reason="numbers of x86_64")
def test_new_namespaces_are_refused(attack) -> None:
    program = """
def run():
    clone, clone3, user, others = 56, 435, 0x10000000, 0x20000 | 0x20000000 | 0x40000000
    return [
        attempt(syscall, clone, user | signal.SIGCHLD, 0, 0, 0, 0),
        attempt(syscall, clone3, 0, 0),
        attempt(syscall, clone, others | signal.SIGCHLD, 0, 0, 0, 0),
        attempt(subprocess.check_output, ["/usr/bin/unshare", "--user", "--map-root-user", "true"]),
        os.path.exists("/proc/sys/user/max_user_namespaces"),
    ]
"""
    user, clone3, others, command, _ = attack(program)  # type: ignore[misc]
    assert "EPERM" in user
    assert "ENOSYS" in clone3
    assert "EPERM" in others
    assert refused(command)


@pytest.mark.skipif(not X86_64, reason="another numbering of the same machine")
@pytest.mark.parametrize("number", [0x40000000 + 39, 0x40000000 + 1])
def test_another_numbering_of_calls_ends_the_program(run, number: int) -> None:
    ran = run(HEAD + f"def run():\n    libc.syscall({number})\n    return 'alive'")
    assert ran.outcome.reason == "error"
    assert "forbidden system call" in ran.outcome.detail


@pytest.mark.skipif(not X86_64, reason="code of x86")
def test_calls_of_32_bits_end_the_program(run) -> None:
    program = """
import mmap
def run():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # mov eax, 20 (getpid); int 0x80; ret
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    print("calling")
    call()
    return "alive"
"""
    ran = run(HEAD + program)
    assert ran.out == "calling\n"
    assert ran.outcome.reason == "error"
    assert "SIGS" in ran.outcome.detail  # SIGSYS, or SIGSEGV where the kernel has no 32 bits at all


def test_nobody_becomes_root(attack) -> None:
    program = """
import shutil
def setuid_copy():
    shutil.copy("/usr/bin/id", "/tmp/id")
    os.chmod("/tmp/id", 0o6755)
    return subprocess.check_output(["/tmp/id", "-u"]).decode().strip()
def run():
    return [
        attempt(os.setuid, 0), attempt(os.setgid, 0), attempt(os.setgroups, [0]), attempt(os.setresuid, 0, 0, 0),
        attempt(subprocess.check_output, ["/bin/su", "-c", "id -u"]), setuid_copy(), [os.getuid(), os.geteuid()],
        attempt(os.chown, "/tmp", 0, 0), attempt(os.nice, -20),
        attempt(os.mknod, "/tmp/sda", 0o60666, os.makedev(8, 0)),
    ]
"""
    answers = attack(program)
    *refusals, copied, ids, chown, nice, device = answers  # type: ignore[misc]
    assert all(refused(answer) for answer in refusals)
    assert copied != "0"
    assert 0 not in ids
    assert all(refused(answer) for answer in (chown, nice, device))


def test_limits_cannot_be_raised(attack) -> None:
    program = """
import resource
def run():
    return [attempt(resource.setrlimit, kind, (1 << 40, 1 << 40)) for kind in (
        resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
"""
    assert all(refused(answer) for answer in attack(program))  # type: ignore[attr-defined]


def test_devices_and_kernel_interfaces_are_absent(attack) -> None:
    program = """
def run():
    present = [path for path in ("/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/kvm", "/dev/fuse",
        "/dev/net/tun", "/dev/vsock", "/dev/vhost-vsock", "/sys/fs/cgroup", "/sys/kernel", "/dev/mapper", "/dev/loop0")
        if os.path.exists(path)]
    opened = [attempt(open, path, "rb") for path in ("/proc/kcore", "/proc/1/root/etc/shadow")]
    return [present, *opened, sorted(os.listdir("/dev"))]
"""
    present, core, shadow, devices = attack(program)  # type: ignore[misc]
    assert present == []
    assert refused(core)
    assert refused(shadow)
    assert set(devices) == {
        "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    }  # fmt: skip


def test_the_terminal_of_the_operator_is_out_of_reach(attack) -> None:
    program = """
import fcntl, termios
def push():
    with open("/dev/tty", "w") as tty:
        fcntl.ioctl(tty, termios.TIOCSTI, b"x")
def run():
    return attempt(push)
"""
    assert refused(attack(program))


def test_chroot_and_the_parent_of_the_root_lead_nowhere(attack) -> None:
    program = """
def climb():
    descriptor = os.open("/", os.O_RDONLY)
    for _ in range(20):
        os.chdir("..")
    return sorted(os.listdir("."))
def run():
    return [attempt(os.chroot, "/tmp"), climb(), sorted(os.listdir("/"))]
"""
    chroot, climbed, root = attack(program)  # type: ignore[misc]
    assert refused(chroot)
    assert climbed == root


# Network


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[dict[str, object]]:
    """Servers of the host: TCP, a Unix socket in a folder, an abstract one. Each would say hello."""
    folder = Path("/tmp") / f"mercato-listener-{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    name = f"mercato-test-{os.getpid()}"
    servers = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    servers[0].bind(("0.0.0.0", 0))
    servers[1].bind(str(folder / "socket"))
    (folder / "socket").chmod(0o777)
    servers[2].bind(f"\0{name}")
    for server in servers:
        server.listen()
    yield {"port": servers[0].getsockname()[1], "path": str(folder / "socket"), "name": name}
    for server in servers:
        server.close()
    shutil.rmtree(folder)


def test_no_socket_leads_out(attack, listeners: dict[str, object]) -> None:
    program = """
def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(address)
def run(data):
    return [
        attempt(connect, socket.AF_INET, ("127.0.0.1", data["port"])),
        attempt(connect, socket.AF_INET, ("10.0.0.1", 80)),
        attempt(connect, socket.AF_INET, ("169.254.169.254", 80)),
        attempt(connect, socket.AF_INET6, ("::1", data["port"])),
        attempt(connect, socket.AF_UNIX, data["path"]),
        attempt(connect, socket.AF_UNIX, chr(0) + data["name"]),
        attempt(socket.getaddrinfo, "localhost.example.com", 80),
    ]
"""
    assert [answer for answer in attack(program, data=listeners) if not refused(answer)] == []  # type: ignore[attr-defined]


def test_only_harmless_kinds_of_sockets_exist(attack) -> None:
    program = """
def run():
    kinds = {"vsock": (40, 1, 0), "packet": (17, 3, 3), "alg": (38, 5, 0), "bluetooth": (31, 3, 0), "xdp": (44, 3, 0),
             "tipc": (30, 1, 0), "kcm": (41, 1, 0), "can": (29, 3, 1), "rds": (21, 5, 0)}
    answers = {name: attempt(lambda kind=kind: socket.socket(*kind)) for name, kind in kinds.items()}
    answers["raw"] = attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)
    return [answers, [name for _, name in socket.if_nameindex()], attempt(socket.socketpair)]
"""
    kinds, interfaces, pair = attack(program)  # type: ignore[misc]
    assert {name: answer for name, answer in kinds.items() if not refused(answer)} == {}
    assert interfaces == ["lo"]
    assert not refused(pair)


def test_a_job_may_talk_to_itself(attack) -> None:
    program = """
def run():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    server.accept()[0].sendall(b"hello")
    return client.recv(5).decode()
"""
    assert attack(program) == "hello"


# Hunger


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("fork", "def run():\n    while True:\n        os.fork()"),
        ("fork, ignoring refusals", "def run():\n    while True:\n        attempt(os.fork)"),
        ("threads", "def run():\n    while True:\n        threading.Thread(target=time.sleep, args=(600,)).start()"),
        (
            "exec",
            "def run():\n    while True:\n        subprocess.Popen(['/bin/sleep', '600'], start_new_session=True)",
        ),
    ],
)
def test_a_bomb_of_processes_stays_in_its_sandbox(run, name: str, body: str) -> None:
    ran = run(HEAD + body, wall_seconds=4)
    assert ran.outcome.reason in ("too_many_processes", "timeout", "out_of_memory"), ran.outcome
    if name == "threads":
        assert ran.outcome.reason == "too_many_processes"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("heap", "def run():\n    x = []\n    while True:\n        x.append(bytearray(b'1' * (16 << 20)))"),
        ("at once", "def run():\n    x = b'1' * (100 << 30)"),
        (
            "shared memory",
            "import mmap\ndef run():\n    x = mmap.mmap(-1, 3 << 30)\n    for i in range(0, 3 << 30, 4096):\n"
            "        x[i] = 1",
        ),
        (
            "memfd",
            "def run():\n    fd = os.memfd_create('x')\n    while True:\n        os.write(fd, b'1' * (16 << 20))\n"
            "        if os.lseek(fd, 0, 1) > 900 << 20:\n            fd = os.memfd_create('x')",
        ),
    ],
)
def test_memory_ends_at_the_limit(run, name: str, body: str) -> None:
    if sandbox.host().tier not in ("v1", "v2") and name in ("memfd", "shared memory"):
        pytest.skip("the rlimit tier bounds the address space of each process only")
    ran = run(HEAD + body, wall_seconds=60)
    assert ran.outcome.reason == "out_of_memory", (ran.outcome, ran.err)


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/var/runtime/output"])
def test_a_full_folder_is_full(attack, folder: str) -> None:
    program = """
def fill(path):
    with open(path, "wb") as file:
        while True:
            file.write(b"1" * (1 << 20))
def run(data):
    answer = attempt(fill, data + "/big")
    size = os.stat(data + "/big").st_size
    os.unlink(data + "/big")
    return [answer, size]
"""
    if folder == sandbox.OUTPUT and not sandbox.host().has_tmpfs:
        pytest.skip("a folder on disk is watched, and measured at the end")
    answer, size = attack(program, data=folder)  # type: ignore[misc]
    assert "No space left" in answer
    assert size <= 128 * MIB


def test_a_big_file_fails_the_job_and_not_the_host(run) -> None:
    ran = run(HEAD + "def run():\n    open('/var/runtime/output/x', 'wb').write(b'1' * (100 << 20))")
    assert ran.outcome.reason == "output_too_large"
    if sandbox.host().has_tmpfs:
        assert sum(len(content) for content in ran.files.values()) <= LIMITS.output_bytes


def test_files_without_number_are_numbered(attack) -> None:
    program = """
def many():
    for number in range(1_000_000):
        open(f"/var/runtime/output/{number}", "w").close()
def run():
    answer = attempt(many)
    count = len(os.listdir("/var/runtime/output"))
    for name in os.listdir("/var/runtime/output"):
        os.unlink("/var/runtime/output/" + name)
    return [answer, count]
"""
    if not sandbox.host().has_tmpfs:
        pytest.skip("a folder on disk is counted at the end")
    answer, count = attack(program)  # type: ignore[misc]
    assert "No space left" in answer
    assert count <= LIMITS.output_files + 64


def test_a_sparse_file_takes_no_more_than_its_limit(attack) -> None:
    program = """
def sparse():
    with open("/var/runtime/output/sparse", "wb") as file:
        file.truncate(1 << 45)
def run():
    answer = attempt(sparse)
    os.unlink("/var/runtime/output/sparse")
    return [answer, attempt(os.ftruncate, 1, 1 << 45)]
"""
    assert all("File too large" in answer for answer in attack(program))  # type: ignore[attr-defined]


def test_the_log_of_a_job_cannot_be_turned_against_the_host(start) -> None:
    """Its own spool is the job's to spoil, but it neither grows without bound nor is read as anything but bytes."""
    program = """
import os
def run():
    print("before")
    os.ftruncate(1, 0)
    os.lseek(1, 1 << 29, 0)
    os.write(1, b"\\x00\\xff after\\x1b[31m")
    os.truncate("/proc/self/fd/2", 1 << 20)
"""
    execution = start(program)
    finish(execution)
    assert execution.outcome().reason == ""
    assert b"after" in read(execution, "out")
    execution.discard()


def test_cpu_is_shared(run) -> None:
    if sandbox.host().tier not in ("v1", "v2"):
        pytest.skip("the rlimit tier has no CPU quota")
    body = """
def burn():
    while True:
        pass
def run():
    for _ in range(8):
        if os.fork() == 0:
            burn()
    burn()
"""
    ran = run(HEAD + body, cpu_millis=300, wall_seconds=2)
    assert ran.outcome.reason == "timeout"
    assert ran.outcome.usage.cpu_seconds is not None
    assert ran.outcome.usage.cpu_seconds < 1.5


# Outliving the job


OUTLIVE = """
def demon():
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    print("demon", flush=True)
    while True:
        time.sleep(0.01)
"""


def test_a_demon_dies_with_the_job(start, slot: Slot) -> None:
    execution = start(HEAD + OUTLIVE + "def run():\n    demon()\n    time.sleep(0.3)\n    return 'left it behind'")
    finish(execution)
    assert execution.outcome().reason == ""
    assert processes_of(slot) == set()
    execution.discard()


def test_a_demon_does_not_survive_the_time_limit(start, slot: Slot) -> None:
    execution = start(HEAD + OUTLIVE + "def run():\n    demon()\n    time.sleep(600)", wall_seconds=1)
    finish(execution)
    assert execution.outcome().reason == "timeout"
    assert processes_of(slot) == set()
    execution.discard()


def test_a_stopped_program_still_meets_its_time_limit(run) -> None:
    ran = run(HEAD + "def run():\n    os.kill(os.getpid(), signal.SIGSTOP)", wall_seconds=1)
    assert ran.outcome.reason == "timeout"


def test_a_job_that_fights_its_cancellation_is_cancelled(start, slot: Slot) -> None:
    body = """
def run():
    for _ in range(20):
        demon()
    while True:
        attempt(os.fork)
"""
    execution = start(HEAD + OUTLIVE + body)
    wait_for_output(execution, b"demon")
    began = time.monotonic()
    execution.kill("cancelled")
    assert time.monotonic() - began < 10
    assert execution.ended()
    assert execution.outcome().reason == "cancelled"
    assert processes_of(slot) == set()
    execution.discard()


# The report, which is as foreign as the code


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("huge", "'x' * (200 << 10)"),
        ("deep", "'[' * 60000"),
        ("not JSON", "'{]'"),
        ("not an object", "'[1, 2]'"),
        ("empty", "''"),
        ("wrong types", "json.dumps({'reason': ['error'], 'type': 5, 'message': {}, 'frames': 'x', 'errno': 'y'})"),
        ("a reason of the host", "json.dumps({'reason': 'cancelled', 'type': 'E', 'message': 'm', 'frames': []})"),
        ("no text", "json.dumps({'type': 'E\\x00', 'message': '\\x00\\udfff', 'frames': [1, '\\ud800']})"),
        ("commands for a terminal", "json.dumps({'type': 'E', 'message': '\\x1b]0;\\x07\\x9b2J\\r\\u202e'})"),
        ("numbers", "json.dumps({'reason': '', 'memory_peak_bytes': 1e400, 'errno': True})"),
    ],
)  # fmt: skip
def test_a_forged_report_is_only_words(run, name: str, write: str) -> None:
    body = f"""
def run(data):
    with open(data, "w") as file:
        file.write({write})
    os._exit(5)
"""
    ran = run(HEAD + body, data=REPORT)
    assert ran.outcome.reason == "error", name
    assert ran.outcome.exit_code == 5
    text = json.dumps([ran.outcome.detail, ran.outcome.error and ran.outcome.error.__dict__], ensure_ascii=False)
    text.encode()
    assert not re.search(r"\\u00[01][0-9a-f]|[\x80-\x9f\u202e]", text)


def test_a_forged_report_makes_no_success_of_a_failure(run) -> None:
    body = "def run(data):\n    open(data, 'w').write(json.dumps({'reason': ''}))\n    os._exit(1)"
    assert run(HEAD + body, data=REPORT).outcome.reason == "error"


def test_a_job_cannot_pass_for_cancelled_or_lost(run) -> None:
    body = """
def run():
    for folder in ("/", "/var/runtime", "/var/runtime/output", "/tmp", "/run/mercato"):
        for name in ("killed", "exit", "status", "record.json"):
            attempt(lambda: open(os.path.join(folder, name), "w").write("cancelled"))
    os._exit(3)
"""
    ran = run(HEAD + body)
    assert (ran.outcome.reason, ran.outcome.exit_code) == ("error", 3)


# And the way in


def test_an_input_is_what_was_sent(attack) -> None:
    """However it looks: a name cannot leave its folder (test_sandbox), a content is a value."""
    value = {"__import__('os').system('id')": "$(id)`id`';--", "../../etc/passwd": ["\u0000", "😀"]}
    assert attack("def run(data):\n    return data", data=value) == value


def test_a_hostile_variable_is_a_variable(run) -> None:
    variables = {"X": "--bind / /\n$(touch /tmp/x)", "LD_PRELOAD": "/tmp/evil.so", "PYTHONPATH": "/tmp"}
    ran = run("import os\ndef run():\n    return [os.environ['X'], os.path.exists('/root')]", variables=variables)
    assert ran.result == [variables["X"], False]


def test_many_attackers_at_once_leave_a_working_host(spec, slot: Slot) -> None:
    other = wait_for(lambda: slots.acquire("job"), what="a second slot")
    runtime = PythonRuntime()
    bomb = spec(HEAD + "def run():\n    while True:\n        attempt(os.fork)", wall_seconds=3)
    honest = spec("def run(data):\n    return sum(data)", data=list(range(1000)))
    attacker = runtime.start(bomb, other)
    executions = []
    for _ in range(3):
        execution = runtime.start(honest, slot)
        finish(execution)
        executions.append(json.loads((execution.output / "output.json").read_text()))
        execution.discard()
    assert executions == [499500] * 3
    thread = threading.Thread(target=attacker.kill, args=("cancelled",))
    thread.start()
    thread.join(timeout=30)
    assert attacker.ended()
    attacker.discard()
    other.release()

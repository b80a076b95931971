"""What a container of a job can do, and what it cannot."""

import json
import os
import stat

import pytest

from services.runtimes.docker import containers, engine
from tests.engine import BASE
from tests.waiting import wait_for

LOOK = """
id -u
cat /proc/self/status | while read name value; do
    case $name in CapEff:|CapBnd:|NoNewPrivs:) echo $name $value;; esac
done
ls /sys/class/net
for place in / /etc /usr /var/runtime/input /var/runtime/datapool; do
    echo x >$place/x 2>/dev/null && echo wrote $place
done
echo x >/tmp/x && echo scratch
cat /var/runtime/input/data.json; echo
cat /var/input/data.json; echo
cat /var/input/params/params.json; echo
echo "$INPUT_DIRECTORY $OUTPUT_DIRECTORY $DATAPOOL_DIRECTORY $SECRET_TOKEN $DATA_VALUE $HOME"
echo '{"sum": 6}' >/var/runtime/output/output.json
"""


def test_a_container_sees_its_job_and_nothing_else(bench, shell):
    ran = bench.run(shell(LOOK), variables={"SECRET_TOKEN": "s3cret"})
    assert ran.outcome.reason == "", ran.err
    lines = ran.out.splitlines()
    assert lines[0] == str(bench.slot.uid)
    assert {"CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1"} <= set(lines)
    assert "lo" in lines
    assert "eth0" not in lines
    assert not [line for line in lines if line.startswith("wrote")]
    assert "scratch" in lines
    assert lines.count('{"x": 1}') == 2
    assert "null" in lines
    assert lines[-1] == "/var/runtime/input /var/runtime/output /var/runtime/datapool s3cret eyJ4IjogMX0= /tmp"
    assert ran.result == {"sum": 6}


SHAPES = {
    # what: (Dockerfile after FROM, exit code, what it prints)
    "shell form": ("CMD echo from a shell", 0, "from a shell\n"),
    "exec form": ('ENTRYPOINT ["echo", "a"]\nCMD ["b"]', 0, "a b\n"),
    "failure": ("CMD exit 1", 1, ""),
    "odd code": ("CMD exit 42", 42, ""),
    "root in the image": ("USER root\nCMD id -u", 0, None),
    "a user of the image": ("USER node\nCMD id -u", 0, None),
    "healthcheck": ("HEALTHCHECK --interval=1s CMD exit 1\nCMD sleep 2; echo fine", 0, "fine\n"),
    "no such program": ('CMD ["/nowhere"]', 127, ""),
    "not executable": ('CMD ["/etc/passwd"]', 127, ""),
    "a folder as program": ('CMD ["/tmp"]', 127, ""),
    "a signal to itself": ("CMD sh -c 'kill -SEGV $$$$'; exit 139", 139, ""),
}


@pytest.mark.parametrize("what", SHAPES)
def test_how_an_image_says_what_to_run(bench, what):
    text, code, printed = SHAPES[what]
    ran = bench.run(bench.build(text.replace("$$$$", "$$")))
    assert ran.outcome.exit_code == code
    assert ran.outcome.reason == ("" if code == 0 else "error")
    assert ran.out == (f"{bench.slot.uid}\n" if printed is None else printed)
    if code == 127:
        assert "could not be started" in ran.outcome.detail
        assert "CMD and ENTRYPOINT" in ran.outcome.detail
    if code == 139:
        assert "SIGSEGV" in ran.outcome.detail


def test_root_only_where_the_operator_allows_it(bench, settings, shell):
    settings.CONTAINER_ROOT_ALLOWED = True
    ran = bench.run(bench.build("USER root\nCMD id -u; echo {} >/var/runtime/output/output.json"))
    assert (ran.out, ran.files["output.json"]) == ("0\n", b"{}\n"), ran.err


def test_a_volume_is_no_folder_of_the_host(bench, engine):
    ran = bench.run(
        bench.build(
            "VOLUME /data /var/runtime\nCMD echo x >/data/x && cat /data/x && head -c 300000000 /dev/zero >/data/y"
        )
    )
    assert ran.out.startswith("x\n")
    assert ran.outcome.reason in ("error", "out_of_memory")
    wait_for(lambda: not engine.client.volumes()["Volumes"], what="no volume")


def test_odd_things_in_the_output_are_left_for_the_collection_to_refuse(bench, shell):
    execution = bench.start(
        shell("cd /var/runtime/output; ln -s /etc/shadow link; ln -s . loop; echo x >plain; mkdir d")
    )
    while not execution.ended():
        execution.wait(1)
    kinds = {path.name: stat.S_IFMT(os.lstat(path).st_mode) for path in execution.output.iterdir()}
    assert kinds == {"link": stat.S_IFLNK, "loop": stat.S_IFLNK, "plain": stat.S_IFREG, "d": stat.S_IFDIR}


def test_too_many_files(bench, shell):
    script = "cd /var/runtime/output; n=0; while echo >f$n; do n=$((n + 1)); done; exit 1"
    assert bench.run(shell(script), output_files=5).outcome.reason == "output_too_large"


def test_bytes_that_are_no_text_and_a_line_without_end_arrive_as_they_were(bench):
    program = "import sys; w = sys.stdout.buffer.write; w(bytes(range(256)) * 300); w(b'x' * 70000)"
    execution = bench.start(bench.build("COPY m.py /\nCMD python /m.py", {"m.py": program}))
    while not execution.ended():
        execution.wait(1)
    content = b""
    while data := execution.read("out", len(content)):
        content += data
    assert content == bytes(range(256)) * 300 + b"x" * 70000


def test_secrets_are_gone_from_the_engine_when_the_job_ends(bench, shell, engine):
    execution = bench.start(shell("echo done"), variables={"SECRET_TOKEN": "s3cret"})
    while not execution.ended():
        execution.wait(1)
    wait_for(lambda: not engine.containers(), what="the end of the container itself")
    assert "s3cret" not in json.dumps(execution.record)
    assert not [path for path in execution.folder.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


def test_labels_say_whose_container_it_is(bench, engine):
    environment = bench.build(f"LABEL {containers.LABEL}=another mercato.run=../../x\nCMD sleep 60")
    execution = bench.start(environment)
    labels = engine.client.inspect_container(execution.record["name"])["Config"]["Labels"]
    assert labels[containers.LABEL] != "another"
    assert labels["mercato.job"] == str(execution.job_id)
    assert labels["mercato.run"] == execution.folder.name


def test_without_an_engine_it_says_so_and_what_to_do(settings):
    settings.DOCKER_HOST = "unix:///nowhere/docker.sock"
    engine.forget()
    try:
        assert "Install and start Docker or Podman" in engine.problem()
        settings.CONTAINERS = "off"
        assert "CONTAINERS=off" in engine.problem()
    finally:
        engine.forget()


def test_the_examples_base_is_there(bench):
    assert bench.runtime.unavailable() == ""
    assert BASE.startswith("mercato-")

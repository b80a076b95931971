import os

import pytest
from django.core.files.storage import default_storage

from jobs import results
from jobs.models import JobFile
from tests.factories import JobFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(provider):
    return JobFactory(account=provider.personal_account, attempt=1)


def collect(job, folder, max_bytes=10_000, max_files=10):
    return results.collect(job, folder, max_bytes=max_bytes, max_files=max_files)


def test_files_and_folders_are_taken_over_with_their_types(job, tmp_path):
    (tmp_path / "output.json").write_text('{"sum": 6}')
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a b.png").write_bytes(b"\x89PNG")
    (tmp_path / "raw").write_bytes(b"\0\1")
    for name in ("all.json.gz", "all.tar.xz", "all.csv.Z"):
        (tmp_path / name).write_bytes(b"\0")
    rows = {row.name: row for row in collect(job, tmp_path)}
    assert {name: (row.size, row.content_type) for name, row in rows.items()} == {
        "output.json": (10, "application/json"),
        "plots/a b.png": (4, "image/png"),
        "raw": (2, "application/octet-stream"),
        "all.json.gz": (1, "application/gzip"),
        "all.tar.xz": (1, "application/x-xz"),
        "all.csv.Z": (1, "application/octet-stream"),
    }
    with results.open_file(rows["plots/a b.png"]) as file:
        assert file.read() == b"\x89PNG"


def test_taking_over_twice_leaves_one_copy(job, tmp_path):
    (tmp_path / "a.txt").write_text("first")
    first = collect(job, tmp_path)
    (tmp_path / "a.txt").write_text("second")
    second = collect(job, tmp_path)
    assert first[0].key == second[0].key
    with default_storage.open(second[0].key) as file:
        assert file.read() == b"second"


@pytest.mark.parametrize("make", [
    lambda path: path.symlink_to("/etc/passwd"),
    lambda path: os.mkfifo(path),
])  # fmt: skip
def test_links_and_special_files_are_refused_by_name(job, tmp_path, make):
    make(tmp_path / "odd")
    with pytest.raises(results.OutputRefused, match="`odd` in the output folder is a link or a special file"):
        collect(job, tmp_path)


def test_a_linked_folder_is_not_followed(job, tmp_path):
    (tmp_path / "etc").symlink_to("/etc")
    with pytest.raises(results.OutputRefused, match="`etc`"):
        collect(job, tmp_path)


def test_too_many_bytes_and_too_many_files_are_refused(job, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.bin").write_bytes(b"x" * 100)
    with pytest.raises(results.OutputRefused, match="300 bytes, and 299 are allowed"):
        collect(job, tmp_path, max_bytes=299)
    with pytest.raises(results.OutputRefused, match="more than 2 files"):
        collect(job, tmp_path, max_files=2)


@pytest.mark.parametrize("name", [b"bad\xff.txt", b"new\nline.txt", b"\x1b[31m.txt"])
def test_names_that_cannot_be_shown_are_refused(job, tmp_path, name):
    with open(os.path.join(os.fsencode(tmp_path), name), "w") as file:  # noqa: PTH118, PTH123 - pathlib takes no bytes
        file.write("x")
    with pytest.raises(results.OutputRefused, match="Rename it"):
        collect(job, tmp_path)


def test_the_result_is_read_back_for_the_page(job, tmp_path):
    assert results.result_text(job) == ("", False)
    (tmp_path / "output.json").write_text('{"sum": 6}')
    JobFile.objects.bulk_create(collect(job, tmp_path))
    assert results.result_text(job) == ('{"sum": 6}', False)


def test_a_long_result_is_cut_for_the_page(job, tmp_path):
    (tmp_path / "output.json").write_text('"' + "x" * results.PREVIEW_MAX_BYTES + '"')
    JobFile.objects.bulk_create(collect(job, tmp_path, max_bytes=2_000_000))
    text, is_cut = results.result_text(job)
    assert is_cut
    assert len(text) == results.PREVIEW_MAX_BYTES


@pytest.mark.parametrize("name", ["a" * 250, "é" * 120, "12:30", "ab:c"], ids=ascii)
def test_a_name_that_storage_would_refuse_or_change_is_kept(job, tmp_path, name):
    (tmp_path / name).write_text("content")
    (row,) = collect(job, tmp_path)
    row.full_clean(exclude=["job"])
    assert row.name == name
    with results.open_file(row) as file:
        assert file.read() == b"content"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("..\\up", ".._up"),
        ("C:evil", "C_evil"),
        ("report\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe", "report_fdp.exe"),
        ("out\N{ZERO WIDTH SPACE}put.json\x85", "out_put.json_"),
        ("a\N{NO-BREAK SPACE}b\N{ZERO WIDTH JOINER}", "a\N{NO-BREAK SPACE}b\N{ZERO WIDTH JOINER}"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
    ],
    ids=ascii,
)
def test_a_name_that_would_be_another_elsewhere_is_normalised(job, tmp_path, name, kept):
    (tmp_path / name).write_text("content")
    (row,) = collect(job, tmp_path)
    assert row.name == kept
    with results.open_file(row) as file:
        assert file.read() == b"content"


def test_two_names_that_would_be_kept_as_one_are_refused(job, tmp_path):
    (tmp_path / "a\\b").touch()
    (tmp_path / "a_b").touch()
    with pytest.raises(results.OutputRefused, match="would both be kept as `a_b`"):
        collect(job, tmp_path)


def test_the_files_of_a_job_are_removed_with_what_an_earlier_attempt_left(job, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (first,) = collect(job, tmp_path)
    job.attempt = 2
    (second,) = collect(job, tmp_path)
    results.delete(job.pk)
    results.delete(job.pk)
    assert not default_storage.exists(first.key)
    assert not default_storage.exists(second.key)


def test_folders_in_folders_without_end_are_refused(job, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(100):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    with pytest.raises(results.OutputRefused, match="64 deep"):
        collect(job, tmp_path)

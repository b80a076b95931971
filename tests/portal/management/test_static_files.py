import pytest

from portal.management import static_files


@pytest.fixture
def source(settings, tmp_path):
    """A folder of static files and an empty place to collect them."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "page.css").write_text("a { color: red }")
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "collected"
    return source


def test_files_are_collected_once(source, settings):
    assert static_files.collect_if_changed()
    assert (settings.STATIC_ROOT / "page.css").read_text() == "a { color: red }"
    assert not static_files.collect_if_changed()


@pytest.mark.parametrize("name", ["page.css", "new.js"])
def test_a_changed_or_new_file_is_collected(source, settings, name):
    static_files.collect_if_changed()
    (source / name).write_text("changed")
    assert static_files.collect_if_changed()
    assert (settings.STATIC_ROOT / name).read_text() == "changed"


def test_what_was_interrupted_is_done_again(source, settings):
    static_files.collect_if_changed()
    (settings.STATIC_ROOT / static_files.STAMP).unlink()
    assert static_files.collect_if_changed()

import os

import pytest

from portal.lib import folders


def test_a_new_folder_is_for_its_owner_only(tmp_path):
    made = folders.make_private(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_was_open_is_closed(tmp_path):
    (tmp_path / "open").mkdir(mode=0o777)
    assert folders.make_private(tmp_path / "open").stat().st_mode & 0o777 == 0o700


def test_a_link_that_somebody_planted_is_refused(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "planted").symlink_to(tmp_path / "target")
    with pytest.raises(folders.NotOurs, match="not a folder of this user"):
        folders.make_private(tmp_path / "planted")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(folders.NotOurs):
        folders.make_private(tmp_path / "theirs")

"""A file is written whole or not at all."""

import pytest

from etfgym.atomic import write_atomically


def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail(part):
        part.write_text("ha")
        msg = "disk full"
        raise OSError(msg)

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_writer_that_replaces_its_path_is_followed(tmp_path):
    def replace(part):
        other = part.with_name("other")
        other.write_text("new")
        other.replace(part)

    write_atomically(tmp_path / "file.txt", replace)
    assert (tmp_path / "file.txt").read_text() == "new"

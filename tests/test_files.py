"""Files are the old ones or the new ones, never half of one."""

import os
import pathlib

import pytest

from tinymed import files


def test_new_file_in_a_new_folder(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "note.txt", "größe\n")
    assert (tmp_path / "a" / "b" / "note.txt").read_bytes() == "größe\n".encode()


def test_failure_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_open(target, "w") as file:
        file.write("half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.csv"]


def test_interruption_keeps_the_old_file(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.atomic(target) as beside:
        beside.write_text("new")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.csv"]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), files.atomic(target):
        pass
    assert target.read_text() == "old"


def test_lent_path_has_the_suffix_and_lies_beside(tmp_path):
    with files.atomic(tmp_path / "picture.png") as beside:
        assert beside.suffix == ".png"
        assert beside.parent == tmp_path.resolve()
        beside.write_bytes(b"x")
    assert (tmp_path / "picture.png").read_bytes() == b"x"


def test_readers_see_the_old_file_until_the_end(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with files.atomic_open(target, "w") as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="links and permissions of POSIX systems")
def test_links_and_permissions_stay(tmp_path):
    real = tmp_path / "real.txt"
    real.write_text("old")
    real.chmod(0o640)
    (tmp_path / "link.txt").symlink_to(real)
    files.write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_order_is_write_sync_rename(tmp_path, monkeypatch):
    calls = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), real_sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("rename"), real_replace(a, b))[1])
    files.write_bytes(pathlib.Path(tmp_path) / "x", b"1")
    assert calls[:2] == ["sync", "rename"]


def test_only_writing_modes(tmp_path):
    with pytest.raises(ValueError, match="mode must be"), files.atomic_open(tmp_path / "x", "a"):
        pass

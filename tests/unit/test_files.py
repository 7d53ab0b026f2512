"""Files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from codesign.errors import UserError
from codesign.files import atomic_folder, atomic_path, atomic_write, create


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_is_written_and_replaced(tmp_path: Path):
    target = tmp_path / "deep" / "file.txt"
    atomic_write(target, "é")
    atomic_write(target, b"two")
    assert target.read_bytes() == b"two"
    assert entries(target.parent) == ["file.txt"]


def test_a_file_gets_the_usual_permissions(tmp_path: Path):
    target = tmp_path / "file"
    mask = os.umask(0o022)
    try:
        atomic_write(target, "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_file_keeps_its_old_content(tmp_path: Path, error: type[BaseException]):
    target = tmp_path / "file.npz"
    atomic_write(target, "old")
    with pytest.raises(error), atomic_path(target) as temporary:
        assert temporary.suffix == ".npz"
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert entries(tmp_path) == ["file.npz"]


def test_a_full_disk_is_one_sentence(tmp_path: Path):
    target = tmp_path / "file"
    atomic_write(target, "old")
    with pytest.raises(UserError, match="No space left on device"), atomic_path(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert entries(tmp_path) == ["file"]


def test_a_place_that_is_a_file_is_one_sentence(tmp_path: Path):
    (tmp_path / "blocked").write_text("")
    with pytest.raises(UserError, match="blocked"):
        atomic_write(tmp_path / "blocked" / "file", "x")
    with pytest.raises(UserError, match="blocked"), atomic_folder(tmp_path / "blocked" / "folder"):
        pass


def test_a_folder_is_made_and_replaced_whole(tmp_path: Path):
    target = tmp_path / "build"
    for content in ("one", "two"):
        with atomic_folder(target) as temporary:
            (temporary / content).write_text(content)
    assert entries(target) == ["two"]
    assert entries(tmp_path) == ["build"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_folder_keeps_its_old_content(tmp_path: Path, error: type[BaseException]):
    target = tmp_path / "build"
    with atomic_folder(target) as temporary:
        (temporary / "old").write_text("")
    with pytest.raises(error), atomic_folder(target) as temporary:
        (temporary / "half").write_text("")
        raise error
    assert entries(target) == ["old"]
    assert entries(tmp_path) == ["build"]


def test_a_file_that_is_created_takes_the_place_of_no_other(tmp_path: Path):
    target = tmp_path / "deep" / "file.txt"
    create(target, "é")
    create(target, "two")
    assert target.read_text() == "é"
    assert entries(target.parent) == ["file.txt"]
    # Nor of a link that leads nowhere.
    (tmp_path / "link").symlink_to("nowhere")
    create(tmp_path / "link", "three")
    assert entries(tmp_path) == ["deep", "link"]


@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_created_where_there_are_no_links(tmp_path: Path, there: bool, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    target = tmp_path / "file.txt"
    if there:
        target.write_text("one")
    monkeypatch.setattr("codesign.files.os.link", refused)
    create(target, "two")
    assert target.read_text() == ("one" if there else "two")
    assert entries(tmp_path) == ["file.txt"]


def test_a_file_that_cannot_be_created_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write .*/file/one\.jsonl: "):
        create(tmp_path / "file" / "one.jsonl", "y")

"""Replacing a file or a folder: whatever fails, and wherever, the old content or the new one is there whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from codesign import files
from codesign.errors import UserError
from codesign.files import atomic_folder, atomic_write


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content, hidden ones and empty folders included."""
    return {str(p.relative_to(folder)): p.read_text() if p.is_file() else "/" for p in sorted(folder.rglob("*"))}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    with atomic_folder(place) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("old")
    return place


OLD = {"project": "/", "project/sub": "/", "project/sub/file": "old"}
NEW = {"project": "/", "project/file": "new"}


def replace(target: Path) -> None:
    with atomic_folder(target) as folder:
        (folder / "file").write_text("new")


def test_a_folder_with_content_is_replaced(target: Path):
    replace(target)
    assert tree(target.parent) == NEW


def failing(call: int, error: BaseException) -> Callable:
    """An `os.replace` whose nth call fails."""
    calls = []

    def replaced(source: object, destination: object) -> None:
        calls.append(destination)
        if len(calls) == call:
            raise error
        os.rename(source, destination)  # type: ignore[arg-type]

    return replaced


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), SystemExit()])
def test_a_swap_that_fails_brings_the_old_folder_back(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException
):
    monkeypatch.setattr(files.os, "replace", failing(call, error))
    expected = UserError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        replace(target)
    monkeypatch.undo()
    assert tree(target.parent) == OLD
    replace(target)
    assert tree(target.parent) == NEW


def test_old_content_survives_even_when_it_cannot_be_brought_back(target: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def broken(source: object, destination: object) -> None:
        calls.append(destination)
        if len(calls) > 1:
            raise OSError(errno.EIO, "Input/output error")
        os.rename(source, destination)  # type: ignore[arg-type]

    monkeypatch.setattr(files.os, "replace", broken)
    with pytest.raises(UserError, match="Input/output error"):
        replace(target)
    kept = [path for path in target.parent.rglob("file") if path.read_text() == "old"]
    assert len(kept) == 1


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_file_whose_replacement_fails_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException):
    atomic_write(tmp_path / "file", "old")
    monkeypatch.setattr(files.os, "replace", failing(1, error))
    with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
        atomic_write(tmp_path / "file", "new")
    assert tree(tmp_path) == {"file": "old"}


@pytest.mark.parametrize("step", ["write_bytes", "fsync", "chmod"])
def test_a_disk_that_fills_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    atomic_write(tmp_path / "file", "old")
    if step == "write_bytes":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        monkeypatch.setattr(files.os, step, full)
    with pytest.raises(UserError, match=r"cannot write .*file: No space left on device; free some space"):
        atomic_write(tmp_path / "file", "new")
    monkeypatch.undo()
    assert tree(tmp_path) == {"file": "old"}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_refuses_writes_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int):
    # Root may write anywhere, so the refusal itself is played.
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(code, os.strerror(code))

    for name in ("mkstemp", "mkdtemp"):
        monkeypatch.setattr(files.tempfile, name, refuse)
    with pytest.raises(UserError, match=os.strerror(code)) as caught:
        atomic_write(tmp_path / "file", "x")
    assert "choose another folder" in str(caught.value)
    with pytest.raises(UserError, match=os.strerror(code)), atomic_folder(tmp_path / "folder"):
        pytest.fail("the block must not run")
    assert tree(tmp_path) == {}


def test_a_file_gives_way_to_a_folder_and_back(tmp_path: Path):
    (tmp_path / "place").write_text("a file")
    with atomic_folder(tmp_path / "place") as folder:
        (folder / "file").write_text("new")
    assert tree(tmp_path) == {"place": "/", "place/file": "new"}
    with pytest.raises(UserError, match="cannot write"):
        atomic_write(tmp_path / "place", "a file again")
    assert tree(tmp_path) == {"place": "/", "place/file": "new"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, target: Path):
    (tmp_path / "link").symlink_to(target)
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "file").write_text("new")
    assert not (tmp_path / "link").is_symlink()
    assert (target / "sub" / "file").read_text() == "old"


def test_a_relative_path_and_one_without_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    atomic_write("file", "x")
    with atomic_folder("folder") as folder:
        assert folder.parent == Path()
    shutil.rmtree("folder")
    assert tree(tmp_path) == {"file": "x"}

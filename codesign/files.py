"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from codesign.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block succeeds.

    The temporary keeps the suffix of `path`, because several libraries choose a format by suffix.
    On any exception, Ctrl-C included, the temporary is removed and `path` keeps its old content.

    Raises
    ------
    UserError
        When the system refuses the write (disk full, no permission).
    """
    target = Path(path)
    with _draft(target, target.suffix, os.replace) as temporary:
        yield temporary


@contextlib.contextmanager
def _draft(target: Path, suffix: str, place: Callable[[Path, Path], None]) -> Iterator[Path]:
    """Yield a temporary sibling of `target`, which `place` gives its name when the block succeeds."""
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        place(temporary, target)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path`, whole or not at all.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def create(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` to `path`, whole or not at all, unless there is something by that name already.

    Of two processes that create one file at once the second leaves what the first has written, and may have locked.
    Where a file system has no links, a moment is left in which it does not.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    # No suffix of the target's: what a kill leaves is not taken for one of its kind.
    with _draft(Path(path), "", _unless_there) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def _unless_there(temporary: Path, target: Path) -> None:
    """Give a file its name unless another one has it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        pass
    except OSError:
        if not os.path.lexists(target):
            os.replace(temporary, target)


def require_writable(folder: str | os.PathLike[str]) -> None:
    """Make a folder unless it is there, before hours are spent on what is to lie in it.

    Raises
    ------
    UserError
        When the system refuses, or refuses files in it.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", dir=target)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise _refused(target, error) from error


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty sibling folder of `path` that replaces `path` when the block succeeds.

    On any exception, Ctrl-C included, the new folder is removed and `path` keeps its old content.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        os.chmod(temporary, 0o777 & ~_umask())
        yield temporary
        _swap(temporary, target)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, target: Path) -> None:
    """Put the folder `new` in the place of `target`; whatever fails or interrupts, `target` is one of the two."""
    if not os.path.lexists(target):
        os.replace(new, target)
        return
    retired = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    old = retired / "old"
    try:
        os.replace(target, old)  # a folder does not replace one that has content
        os.replace(new, target)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(target):
            os.replace(old, target)
        raise
    finally:
        if os.path.lexists(target):
            shutil.rmtree(retired, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refused(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror or error}; free some space or choose another folder.")

"""Putting an emitted project in the place of an earlier one, so that nothing is lost and nothing half-written stays."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from codesign.backends import manifest
from codesign.files import atomic_folder


def replace(folder: Path, write: Callable[[Path], None], binary: Callable[[Path], str] | None = None) -> Path | None:
    """Write a project into `folder`.

    The folder stays as it is, tool results included, when it holds these very files. Otherwise it is replaced
    as a whole, and kept beside as ``NAME.old-1`` when it holds anything that no emission wrote. It keeps what it
    held when anything fails.

    Parameters
    ----------
    folder : Path
    write : callable
        Told an empty folder, writes all files there.
    binary : callable, optional
        Told a folder, returns the path below it of the compiled simulation, which names its sources' content:
        one that was compiled from the same sources is kept.

    Returns
    -------
    Path or None
        Where the old folder is kept.
    """
    retired: Path | None = None
    try:
        with atomic_folder(folder) as new:
            write(new)
            manifest.write(new)
            if manifest.holds_same(folder, new):
                raise _UnchangedError
            if binary is not None and (built := folder / (name := binary(new))).is_file():
                (new / name).parent.mkdir(exist_ok=True)
                shutil.copy2(built, new / name)
            if folder.is_dir() and not manifest.only_emitted(folder):
                retired = _free_name(folder)
                os.replace(folder, retired)
    except _UnchangedError:
        pass
    except BaseException:
        if retired is not None and not os.path.lexists(folder) and os.path.lexists(retired):
            os.replace(retired, folder)
        raise
    return retired


class _UnchangedError(Exception):
    """The folder holds the emission already: the new one is thrown away."""


def _free_name(folder: Path) -> Path:
    return next(
        path
        for number in itertools.count(1)
        if not os.path.lexists(path := folder.with_name(f"{folder.name}.old-{number}"))
    )

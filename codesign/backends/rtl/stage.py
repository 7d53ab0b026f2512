"""Steps whose results are kept: by the content of all that goes in, and whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from codesign.files import atomic_write

FINISHED = "finished"
"""Name of the file that says that the others in a place are complete."""


def digest(folder: Path, files: Iterable[str], *about: object) -> str:
    """Return a short digest of files' names and contents, and of whatever else matters.

    Parameters
    ----------
    folder : Path
    files : iterable of str
        Below the folder.
    *about : object
        With a `repr` that says all, such as strings and tuples of them.
    """
    total = hashlib.sha256(repr(about).encode())
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256((folder / name).read_bytes()).digest())
    return total.hexdigest()[:20]


def kept(folder: Path, place: str, make: Callable[[str], None]) -> str:
    """Return a place whose files are complete, made now unless an earlier call has made them.

    Parameters
    ----------
    folder : Path
    place : str
        Folder below it, named by the `digest` of all that `make` reads.
    make : callable
        Told `place`, which is then an empty folder, fills it. A run that was ended before it returned counts for
        nothing: the next one begins with an empty folder again.

    Returns
    -------
    str
        `place`.
    """
    path = folder / place
    if not (path / FINISHED).is_file():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        make(place)
        atomic_write(path / FINISHED, "")
    return place

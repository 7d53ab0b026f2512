"""Which files of a project folder an emission wrote, and whether they are still as written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

FILE = "files.sha256"
"""Lists every emitted file in the format of `sha256sum --check`."""

_COMPILED = "build"


def write(folder: Path) -> None:
    """Write the list of all files in a folder that was just emitted."""
    lines = (f"{_digest(folder / name)}  {name}\n" for name in sorted(_names(folder)))
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def holds_same(folder: Path, new: Path) -> bool:
    """Return whether `folder` holds the emitted files of `new`, byte for byte, whatever else it holds."""
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == (new / name).read_bytes()
        for name in (FILE, *_names(new))
    )


def untouched(folder: Path) -> bool:
    """Return whether every file that was emitted into `folder` is as it was written."""
    listed = _listed(folder)
    return bool(listed) and all(
        (folder / name).is_file() and _digest(folder / name) == digest for name, digest in listed.items()
    )


def only_emitted(folder: Path) -> bool:
    """Return whether `folder` holds nothing but untouched emitted files and what was compiled from them."""
    listed = _listed(folder)
    return all(name in listed for name in _names(folder)) and (not listed or untouched(folder))


def _names(folder: Path) -> Iterator[str]:
    """Yield every file below `folder`, this list and the compiled simulation aside."""
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        name = path.relative_to(folder)
        if name.parts[0] != _COMPILED and name.as_posix() != FILE:
            yield name.as_posix()


def _listed(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: digest for digest, found, name in (line.partition("  ") for line in lines) if found}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

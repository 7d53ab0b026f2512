"""Where the hardware sources, models and boards lie: in a checkout or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder `hw`, `models` or `board` that travels with this package.

    Parameters
    ----------
    name : {"hw", "models", "board"}

    Raises
    ------
    FileNotFoundError
        When the installation is damaged and the folder is missing.
    """
    package = Path(__file__).resolve().parent
    # A wheel carries the folders inside the package; a checkout has them beside it.
    for candidate in (package / "_share" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder '{name}' is missing from this installation of codesign")

"""Putting the model that a search found among the models: file, checkpoint and vectors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from codesign import store, zoo
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.verify import vectors

if TYPE_CHECKING:
    from codesign.search.problem import Problem
    from codesign.zoo import Model

_RECORD = "published.json"


def require_source(model: Model) -> None:
    """Raise `UserError` unless a model is known by its name, as what starts from its weights asks for it."""
    known = zoo.load(model.name).path if model.name in zoo.names() else None
    if known is None or Path(known).resolve() != Path(model.path).resolve():
        raise UserError(
            f"a search takes a model that is known by its name; set CODESIGN_MODELS to {Path(model.path).parent}."
        )


def require_free(name: str, folder: Path) -> Path:
    """Return the path of the TOML file of the model to come.

    Parameters
    ----------
    name : str
    folder : Path
        Of the searches of a model on a board; it tells whether a model of that name is what one of them wrote.

    Raises
    ------
    UserError
        When the name would be no safe file name, or is that of another model.
    """
    path = store.home() / f"{name}.toml"
    if path.is_file() and _digest(path.read_bytes()) in _record(folder).get(name, _NOTHING).files:
        return path
    return store.require_free(name, force=False)


def asked(problem: Problem, between: tuple[int, int] | None, focus_epochs: int) -> str:
    """Return what tells a search from those with other options, before a supernet is focused.

    Parameters
    ----------
    problem : Problem
        From `codesign.search.prepare.problem_of`.
    between : (int, int) or None
        From `codesign.search.prepare.focus_of`, None where no supernet is focused.
    focus_epochs : int
    """
    focus = "" if between is None else f" {between[0]} {between[1]} {focus_epochs}"
    return f"{problem.digest()} {problem.objective.words}{focus}"


def require_same(asked: str, path: Path, folder: Path) -> None:
    """Raise `UserError` when there is a model of another search, with other options.

    Parameters
    ----------
    asked : str
        From the function of that name.
    path, folder : Path
        As for `publish`.
    """
    if path.is_file() and _record(folder).get(path.stem, _NOTHING).problem != asked:
        raise UserError(
            f"{path.stem} was found with other options or by another version; give another --name, or "
            f"remove {path} and what lies beside it."
        )


def earlier(path: Path) -> Model | None:
    """Return the model that an earlier search wrote and `publish` would replace, or None."""
    return zoo.read(path) if path.is_file() else None


def publish(trained: Model, asked: str, document: dict[str, Any], path: Path, folder: Path) -> Model:
    """Write a trained model as one among the others; the TOML file, which makes it known, comes last.

    Parameters
    ----------
    trained : codesign.zoo.Model
        With its checkpoint beside it and its result recorded.
    asked : str
        What was searched for, from the function of that name.
    document : dict
        Its vectors, see `codesign.verify.vectors.record`.
    path : Path
        From `require_free`.
    folder : Path
        Of the search, where it is noted what was written.
    """
    content = Path(trained.path).read_bytes()
    # Noted first, with the one that is replaced: after a kill in between, either is known as this search's.
    before = [_digest(path.read_bytes())] if path.is_file() else []
    known = _record(folder) | {path.stem: _Written(asked, [*before, _digest(content)])}
    atomic_write(folder / _RECORD, msgspec.json.format(msgspec.json.encode(known, order="sorted"), indent=1) + b"\n")
    atomic_write(path.with_suffix(".safetensors"), trained.checkpoint_path.read_bytes())
    vectors.save(document, vectors.path_of(path.with_suffix(".safetensors")))
    atomic_write(path, content)
    return zoo.read(path)


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the searches of a folder wrote under a name: for which problem, and digests of the TOML file."""

    problem: str
    files: list[str]


_NOTHING = _Written("", [])


def _record(folder: Path) -> dict[str, _Written]:
    """Return what the searches of a folder wrote, by name."""
    try:
        return msgspec.json.decode((folder / _RECORD).read_bytes(), type=dict[str, _Written])
    except (OSError, ValueError):
        return {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

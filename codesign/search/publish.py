"""Putting the model that a search found among the models: file, checkpoint and vectors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign import store, zoo
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.verify import vectors

if TYPE_CHECKING:
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
        Of the search; it tells whether a model of that name is what this search wrote before.

    Raises
    ------
    UserError
        When the name would be no safe file name, or is that of another model.
    """
    path = store.home() / f"{name}.toml"
    if path.is_file() and _digest(path.read_bytes()) in _record(folder).get(name, []):
        return path
    return store.require_free(name, force=False)


def publish(trained: Model, document: dict[str, Any], path: Path, folder: Path) -> Model:
    """Write a trained model as one among the others; the TOML file, which makes it known, comes last.

    Parameters
    ----------
    trained : codesign.zoo.Model
        With its checkpoint beside it and its result recorded.
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
    known = _record(folder) | {path.stem: [*before, _digest(content)]}
    atomic_write(path.with_suffix(".safetensors"), trained.checkpoint_path.read_bytes())
    vectors.save(document, vectors.path_of(path.with_suffix(".safetensors")))
    atomic_write(folder / _RECORD, json.dumps(known, indent=1, sort_keys=True) + "\n")
    atomic_write(path, content)
    return zoo.read(path)


def _record(folder: Path) -> dict[str, list[str]]:
    """Return the digests of the files that this search wrote, by name."""
    try:
        found = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): list(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

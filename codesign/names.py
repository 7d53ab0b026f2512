"""Names of models and boards: checked before they touch the file system, with a hint when unknown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from codesign.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` when it is one of `known`.

    Parameters
    ----------
    kind : str
        What is being named, for the message: ``"model"``, ``"board"``.
    name : str
        What the user typed. Only letters, digits, ``_``, ``-`` and ``.``, not first, ever leave this
        function, so the result is safe in a path.
    known : iterable of str

    Raises
    ------
    UserError
        For a malformed or unknown name, with the closest known ones.
    """
    given = set(known)
    names = sorted(other for other in given if _NAME.fullmatch(other))
    if name in names:
        return name
    if name in given:
        raise UserError(
            f"the file name of the {kind} {name!r} may hold letters, digits, '_', '-' and '.' only; rename the file."
        )
    if len(name) > 60 or not name.isprintable():
        shown = "that name"
    else:
        shown = f"'{name}'"
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif names:
        hint = f"choose one of {', '.join(names)}."
    else:
        hint = f"there is no {kind} at all in this installation."
    raise UserError(f"there is no {kind} {shown}; {hint}")

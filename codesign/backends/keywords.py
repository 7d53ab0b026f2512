"""Options of a backend from the keywords that a user gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from codesign.errors import UserError

Options = TypeVar("Options")


def options(kind: type[Options], backend: str, keywords: Mapping[str, Any]) -> Options:
    """Return options of a dataclass after checking their names; the class checks their values.

    Parameters
    ----------
    kind : type
    backend : str
        For the sentence.
    keywords : mapping of str to value

    Raises
    ------
    UserError
        For an unknown option or a value out of range.
    """
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in keywords:
        if name not in known:
            raise UserError(f"the {backend} backend has no option {name!r}; it has {', '.join(known)}.")
    return kind(**keywords)

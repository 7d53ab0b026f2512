"""Options of a topology as a model file gives them: checked before a network is made of them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from codesign.errors import UserError

LARGEST = 1024


def build(function: Callable[..., Any], topology: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return ``function(*arguments, **options)``.

    Parameters
    ----------
    function : callable
        The `build` of a topology; its annotations say what an option may be.
    topology : str
        Its name.
    arguments : tuple
        What every topology is given.
    options : dict
        From the model file. Sizes lie in 1 to `LARGEST`: wider layers do not fit a part, and a mistyped
        one does not fit the memory.

    Raises
    ------
    UserError
        When an option is unknown, of the wrong type or out of range.
    """
    accepted = list(inspect.signature(function).parameters)[len(arguments) :]
    hints = typing.get_type_hints(function)
    for option, value in options.items():
        if option not in accepted:
            raise UserError(
                f"the topology {topology} has no option '{option}'; it accepts {', '.join(accepted) or 'none'}."
            )
        try:
            msgspec.convert(value, hints[option])
        except msgspec.ValidationError as error:
            raise UserError(f"the topology {topology} refuses its options: '{option}': {error}.") from error
        for size in value if isinstance(value, list) else [value]:
            if isinstance(size, int) and not 1 <= size <= LARGEST:
                raise UserError(
                    f"the topology {topology} refuses its options: '{option}' must be 1 to {LARGEST}, found {size}."
                )
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError) as error:
        raise UserError(f"the topology {topology} refuses its options {options}: {error}.") from error

"""Quantisation methods, one per file.

A method is a module with any of

- ``weight(bits, per_channel, **options)``, which returns a Brevitas weight quantizer,
- ``activation(bits, signed, **options)``, which returns a Brevitas activation quantizer,
- ``relu(channels, bits, **options)``, which returns a module, where a ReLU and then `activation` is not
  what the method does,
- ``companion(module)``, which returns a `codesign.quant.companion.Companion` or None, where the method acts
  during a training beside its quantizers.

Options are keywords with defaults, which a model's TOML may set. Adding a method is adding a file.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import msgspec

from codesign.errors import UserError

PARTS = ("weight", "activation", "relu")
"""What a method may quantise: a module of this folder with a function of such a name is a method."""


def names() -> list[str]:
    """Return the names of all quantisation methods, sorted."""
    return [name for name in _modules() if _is_method(importlib.import_module(f"{__name__}.{name}"))]


def _modules() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg)


def _is_method(module: ModuleType) -> bool:
    return any(callable(getattr(module, part, None)) for part in PARTS)


def method(name: str) -> ModuleType:
    """Return the module of a quantisation method.

    Raises
    ------
    UserError
        When there is none of that name.
    """
    # The modules are looked at one by one only to name them in the message: that loads all of them.
    if name in _modules() and _is_method(module := importlib.import_module(f"{__name__}.{name}")):
        return module
    known = names()
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}? Known" if close else "known"
    raise UserError(f"there is no quantisation method '{name}'; {hint}: {', '.join(known)}.")


def offers(name: str, part: str) -> bool:
    """Tell whether a method quantises `part`: "weight", "activation" or "relu"."""
    return callable(getattr(method(name), part, None))


def make(name: str, part: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return what a method makes of its arguments and of the options of a model file.

    Parameters
    ----------
    name : str
        Of the method.
    part : {"weight", "activation", "relu"}
    arguments : tuple
        What every method is given for that part.
    options : mapping
        Keyword arguments, as the model file has them.

    Raises
    ------
    UserError
        When the method does not quantise that part, has no such width, or an option is unknown, of the
        wrong type or out of range.
    """
    function = getattr(method(name), part, None)
    if function is None:
        raise UserError(_not_for(name, part))
    return call(function, name, arguments, options)


def _not_for(name: str, part: str) -> str:
    """Return the sentence that a method is not for a part, with those that are."""
    if part == "weight":
        others = ", ".join(other for other in names() if offers(other, "weight"))
        return f"the quantisation method '{name}' is not for weights; these are: {others}."
    everywhere = [other for other in names() if offers(other, "activation")]
    # These stand in the place of a hidden layer's ReLU; what is at the width of edges takes an `activation`.
    hidden = [other for other in names() if offers(other, "relu") and other not in everywhere]
    if part == "activation" and name in hidden:
        return (
            f"the quantisation method '{name}' is for the ReLUs of hidden layers alone; for edges, operands of "
            f"additions and the input of the last layer, these are: {', '.join(everywhere)}."
        )
    return (
        f"the quantisation method '{name}' is not for activations; these are: {', '.join(everywhere)}; for the ReLUs "
        f"of hidden layers {', '.join(hidden)} too."
    )


def call(function: Callable[..., Any], name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return what the function of a method makes, after checking the options that a model file gives it.

    Raises
    ------
    UserError
        Naming the method, when it has no such width, or an option is unknown, of the wrong type or out of range.
    """
    accepted = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    hints = typing.get_type_hints(function, include_extras=True)  # stripping extras looks into injectors, which fail
    converted = {}
    for option, value in options.items():
        if option not in accepted:
            raise UserError(
                f"the quantisation method '{name}' has no option '{option}' there; "
                f"it accepts {', '.join(accepted) or 'none'}."
            )
        try:
            # TOML has 3 where 3.0 is meant.
            converted[option] = msgspec.convert(value, hints[option])
        except msgspec.ValidationError as error:
            raise UserError(f"the quantisation method '{name}' refuses its option '{option}': {error}.") from error
    try:
        return function(*arguments, **converted)
    except ValueError as error:
        raise UserError(f"the quantisation method '{name}': {error}.") from error

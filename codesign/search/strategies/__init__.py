"""Strategies, one per file.

A strategy is a module with a function ``strategy(problem, seed, evaluations, **options)`` that returns a `Strategy`;
`evaluations` is how many it may expect. Options are keywords with defaults. What a strategy cannot do without and not
every evaluator measures is named by the module in ``NEEDS``. Adding a strategy is adding a file.

What a strategy asks for depends on its seed, its options and what it was told, and on nothing else: not on time, on
threads, or on how many workers there are. That is what makes a search that was killed go on as if nothing had been.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import typing
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

import msgspec

from codesign import names as _names
from codesign.errors import UserError
from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment


class Strategy(Protocol):
    """Chooses which candidates are evaluated."""

    def ask(self) -> list[Assignment]:
        """Return the next batch, or an empty list when there is nothing more to ask.

        What exceeds the constraint is repaired before it is evaluated (`codesign.search.repair`).
        """
        ...

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Take the evaluations of the batch, in its order; the last batch of a search may come back shortened."""
        ...


def names() -> list[str]:
    """Return the names of all strategies, sorted."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """Return the module of a strategy.

    Raises
    ------
    UserError
        When there is none of that name, with the close ones.
    """
    return importlib.import_module(f"{__name__}.{_names.check('strategy', name, names())}")


def usable(name: str, evaluator: type) -> bool:
    """Tell whether evaluators of a class measure what a strategy cannot do without."""
    return all(issubclass(evaluator, one) for one in getattr(load(name), "NEEDS", ()))


def options(name: str) -> dict[str, Any]:
    """Return the options of a strategy with their defaults."""
    parameters = inspect.signature(load(name).strategy).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def checked(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a strategy as the types that it takes.

    Raises
    ------
    UserError
        For an unknown strategy or option, or a value of the wrong type, out of range or not finite.
    """
    hints = typing.get_type_hints(load(name).strategy, include_extras=True)
    accepted = options(name)
    converted = {}
    for option, value in given.items():
        if option not in accepted:
            raise UserError(
                f"the strategy '{name}' has no option '{option}'; it accepts {', '.join(accepted) or 'none'}."
            )
        try:
            converted[option] = msgspec.convert(value, hints[option], strict=False)
        except msgspec.ValidationError as error:
            raise UserError(f"the strategy '{name}' refuses its option '{option}': {error}.") from error
        if isinstance(converted[option], float) and not math.isfinite(converted[option]):
            raise UserError(f"the strategy '{name}' refuses its option '{option}': a finite number is needed.")
    return converted


def make(name: str, problem: Problem, seed: int, evaluations: int, given: Mapping[str, Any]) -> Strategy:
    """Return a strategy that is ready to be asked.

    Parameters
    ----------
    name : str
    problem : Problem
    seed, evaluations : int
    given : mapping
        Options; a batch is cut down to `evaluations`.

    Raises
    ------
    UserError
        For what `checked` refuses, or when the strategy needs what the evaluator does not measure.
    """
    function = load(name).strategy
    converted = checked(name, given)
    if "batch" in converted:
        # No more of a batch than the search has left is ever evaluated, but all of it would be made.
        converted["batch"] = min(converted["batch"], max(1, evaluations))
    try:
        made: Strategy = function(problem, seed, evaluations, **converted)
    except ValueError as error:
        raise UserError(f"the strategy '{name}': {error}.") from error
    return made

"""Methods that give each layer one width for its weights, and say nothing of activations.

Their program is solved for each width that all activations may have, so that the search tries them all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from codesign.search.measurements import Table
from codesign.search.problem import Problem
from codesign.search.program import Program
from codesign.search.space import Assignment


class FixedActivations:
    """Programs for weights, one for each width of all activations.

    Parameters
    ----------
    problem : Problem
    rise : mapping of str to array
        By weight layer: what its weights add to the objective at each width of `Space.weight_bits`.
    """

    def __init__(self, problem: Problem, rise: Mapping[str, np.ndarray]) -> None:
        space = problem.space
        self._space = space
        bits = tuple(width for width in space.weight_bits if width)
        columns = [space.weight_bits.index(width) for width in bits]
        self._programs = []
        for width in reversed(space.activation_bits):
            narrowed = msgspec.structs.replace(
                space, weight_bits=bits, activation_bits=(width,), schemes=space.schemes[:1]
            )
            rows = {layer.name: self._spread(rise[layer.name][columns], layer.channels) for layer in space.layers}
            table = Table({narrowed.schemes[0]: rows}, {one.name: np.zeros(1) for one in space.activations})
            self._programs.append(Program(narrowed, table, "layer"))

    @staticmethod
    def _spread(row: np.ndarray, channels: int) -> np.ndarray:
        """Return the rise of a layer as that of its channels."""
        return np.repeat(np.asarray(row, dtype=float)[None] / channels, channels, axis=0)

    def solve(self, budget: int) -> list[Assignment]:
        """Return the solutions within so many bit operations, from the widest activations to the narrowest."""
        found = [program.solve(budget) for program in self._programs]
        return [one for one in found if one is not None]

"""Comparing traces with the golden executor: how many integers differ, and where first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, overload

import numpy as np

from codesign.ir import Graph, golden


class Runner(Protocol):
    """What can be verified: a compiled project of any backend."""

    @overload
    def run(self, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
    @overload
    def run(self, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
    def run(self, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Return the output integers, or with `trace` a dict from edge name to integers."""
        ...


@dataclass(frozen=True)
class FirstDifference:
    """The first integer that differs, in execution order of the graph.

    Parameters
    ----------
    node : str
        Node (and edge) name, "n3".
    operator : str
        Kind of operator, "threshold".
    label : str
        Layer of the user's model it came from.
    element : tuple of int
        (frame, index…) within the edge, channels last.
    expected, found : int or None
        Golden and the other; found is None when the shape itself is wrong.
    """

    node: str
    operator: str
    label: str
    element: tuple[int, ...]
    expected: int | None
    found: int | None

    def __str__(self) -> str:
        label = f", layer {self.label!r}" if self.label else ""
        if self.found is None:
            return f"{self.node} ({self.operator}{label}) has another shape than golden"
        return (
            f"{self.node} ({self.operator}{label}) at element {list(self.element)}: "
            f"expected {self.expected}, found {self.found}"
        )


@dataclass(frozen=True)
class VerifyResult:
    """Outcome of a comparison.

    Parameters
    ----------
    differences : int
        Integers that differ, over all compared edges.
    vectors : int
        Frames compared.
    tensors : int
        Edges compared.
    integers : int
        Integers compared.
    first_difference : FirstDifference or None

    Notes
    -----
    True as a condition when integers were compared and none differs; comparing nothing proves nothing.
    """

    differences: int
    vectors: int
    tensors: int
    integers: int
    first_difference: FirstDifference | None

    def __bool__(self) -> bool:
        return self.differences == 0 and self.integers > 0


def compare(graph: Graph, expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> VerifyResult:
    """Compare two traces edge by edge, in execution order.

    Parameters
    ----------
    graph : Graph
    expected : mapping of edge name to int64 array (frames, *shape)
        Golden trace, every edge.
    found : mapping of edge name to int64 array
        The other trace, the edges it exposes; the graph's outputs at least.

    Raises
    ------
    ValueError
        When `found` lacks an output of the graph or names an edge the graph does not have.
    """
    unknown = set(found) - set(expected)
    missing = set(graph.outputs) - set(found)
    if unknown or missing:
        raise ValueError(f"the trace lacks {sorted(missing)} and has unknown edges {sorted(unknown)}")
    differences = tensors = integers = 0
    first: FirstDifference | None = None
    for node in graph.nodes:
        if node.name not in found:
            continue
        want, have = np.asarray(expected[node.name]), np.asarray(found[node.name])
        tensors += 1
        integers += want.size
        if want.shape != have.shape:
            differences += want.size
            first = first or FirstDifference(node.name, node.op.name, node.label, (), None, None)
            continue
        unequal = want != have
        count = int(np.count_nonzero(unequal))
        differences += count
        if count and first is None:
            element = tuple(int(axis) for axis in np.unravel_index(int(unequal.argmax()), unequal.shape))
            first = FirstDifference(
                node.name, node.op.name, node.label, element, int(want[element]), int(have[element])
            )
    frames = len(expected[graph.inputs[0]])
    return VerifyResult(differences, frames, tensors, integers, first)


def verify(graph: Graph, project: Runner, x: np.ndarray) -> VerifyResult:
    """Send the same frames through golden and a compiled project and compare every edge it exposes.

    Parameters
    ----------
    graph : Graph
    project : Runner
        Compiled.
    x : ndarray of int, shape (frames, *input shape)

    Raises
    ------
    UserError
        When the frames do not fit the graph's input, or the project fails to run.
    """
    return compare(graph, golden.run(graph, x, trace=True), project.run(x, trace=True))

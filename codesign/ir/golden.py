"""The golden executor: the integer graph computed exactly in NumPy. Every backend must equal it."""

from __future__ import annotations

import concurrent.futures
import os
from typing import Literal, overload

import numpy as np
from threadpoolctl import threadpool_limits

from codesign.errors import UserError
from codesign.ir.graph import Graph
from codesign.ir.operator import OperatorError

CHUNK = 16
"""Frames computed at once: intermediate results stay in the processor's cache."""


@overload
def run(graph: Graph, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
@overload
def run(graph: Graph, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
def run(graph: Graph, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
    """Run frames through the graph.

    Parameters
    ----------
    graph : Graph
        With one input and one output.
    x : ndarray of int, shape (frames, *input shape)
        Values in range of the input's type.
    trace : bool
        Return every edge instead of the output.

    Returns
    -------
    ndarray of int64, shape (frames, *output shape)
        Or, with `trace`, a dict from edge name to such an array.

    Raises
    ------
    UserError
        When the input has the wrong shape, is not integer or is out of range.
    OperatorError
        When a value leaves its derived type, which would be a bug of an operator.
    """
    x = checked_input(graph, x)
    if len(graph.outputs) != 1:
        raise OperatorError(f"the graph has {len(graph.outputs)} outputs, not one")
    last_use = _last_use(graph)

    def chunk(start: int) -> dict[str, np.ndarray]:
        values = {graph.inputs[0]: x[start : start + CHUNK].astype(np.int64)}
        for position, node in enumerate(graph.nodes):
            result = node.op.execute(*(values[edge] for edge in node.inputs))
            if not graph.edges[node.name].type.holds(result):
                raise OperatorError(f"{node.name} ({node.op.name}) left its type {graph.edges[node.name].type}")
            values[node.name] = result
            if not trace:
                for edge in set(node.inputs):
                    if last_use[edge] == position:
                        del values[edge]
        return values if trace else {graph.outputs[0]: values[graph.outputs[0]]}

    starts = range(0, max(len(x), 1), CHUNK)
    # NumPy releases the interpreter's lock in every loop that matters, so threads use all cores.
    workers = min(len(starts), os.cpu_count() or 1)
    if workers == 1:
        pieces = [chunk(start) for start in starts]
    else:
        # BLAS threads of its own beside ours would wait for one another: three times slower.
        with threadpool_limits(1, user_api="blas"), concurrent.futures.ThreadPoolExecutor(workers) as pool:
            pieces = list(pool.map(chunk, starts))
    joined = {edge: np.concatenate([piece[edge] for piece in pieces]) for edge in pieces[0]}
    return joined if trace else joined[graph.outputs[0]]


def checked_input(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Return `x` as an array after checking shape, kind and range against the graph's input.

    Raises
    ------
    UserError
        With one sentence that names the expected shape and type.
    """
    tensor = graph.input
    x = np.asarray(x)
    if x.shape[1:] != tensor.shape or x.ndim != len(tensor.shape) + 1:
        raise UserError(
            f"the input has shape {x.shape}; the network expects (frames, {', '.join(map(str, tensor.shape))})."
        )
    if x.dtype.kind not in "iu":
        raise UserError(f"the input holds {x.dtype}; give the raw integers ({tensor.type}) that the sensor gives.")
    if not tensor.type.holds(x):
        raise UserError(
            f"the input spans {int(x.min())} to {int(x.max())}, outside {tensor.type}, "
            f"which is {tensor.type.min} to {tensor.type.max}."
        )
    return x


def _last_use(graph: Graph) -> dict[str, int]:
    """Return for every edge the position of the last node that reads it; outputs are never dropped."""
    last = dict.fromkeys(graph.edges, -1)
    for position, node in enumerate(graph.nodes):
        for edge in node.inputs:
            last[edge] = position
    for edge in graph.outputs:
        last[edge] = len(graph.nodes)
    return last

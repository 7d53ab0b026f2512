"""What the float64 witnesses of both frontends share: the output against the golden executor's."""

from __future__ import annotations

import numpy as np

from codesign.ir import Graph
from codesign.ir.ops import Dyadic

OUTPUT = "output"
"""Name under which the witnesses give the network's output; it has an edge of its own in the simplified graph."""


def output_integers(graph: Graph, found: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the integers that a float64 output stands for on the grid of the graph's output.

    Parameters
    ----------
    graph : Graph
        Simplified, as it goes to the hardware.
    found : ndarray of int64, shape (frames, *output shape)
        The golden executor's output, channels last.
    real : ndarray of float64
        The witness's output for the same frames, in the same order of elements.

    Returns
    -------
    ndarray of int64
        `found` wherever the real output lies within the rounding that the frontend is allowed there, the nearest
        integer elsewhere. Allowed is half a unit for the bias of the logits, and where logits of several scales
        are brought to one, half a unit of each channel's multiplier too.
    """
    name = graph.outputs[0]
    position = real.reshape(found.shape) / graph.scales[name].factor
    allowed = np.full(found.shape[-1], 0.5)
    last = next((node for node in graph.nodes if node.name == name), None)
    if last is not None and isinstance(last.op, Dyadic):
        tensor = graph.edges[last.inputs[0]]
        largest = max(abs(tensor.type.min), abs(tensor.type.max))
        allowed = allowed + (largest + 1) * 2.0 ** -(last.op.shift + 1.0)
    off = np.abs(found - position) > allowed + 1e-6
    return np.where(off, np.rint(position), found).astype(np.int64)

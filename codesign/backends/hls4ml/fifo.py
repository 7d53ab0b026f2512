"""Depths of the streams: enough that no operator waits for ever, found by playing the network token by token.

A token is a pixel, or a flat frame. Every operator says how many tokens of each input it has read when it
writes each token (`needed` of the files in `ops`). Operators are then run on demand: the output asks for a
token, its operator asks for what it needs, and so on up to the input. A fork serves all its readers at once,
so that tokens wait in front of those which did not ask: on the short way around a residual block, for
instance. The most tokens that ever wait in a stream are places enough for it. A network of such operators is
determinate: where one order of execution ends, every other with the same places ends as well, in particular
the one in which all operators run at the same time (Parks, Bounded Scheduling of Process Networks, 1995).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codesign.ir import Graph, Node

FRAMES = 2
"""The second frame meets what the first has left behind."""
SLACK = 32
"""Places beside a longer branch beyond those needed, so that the latencies of pipelines do not stall it."""
SHALLOW = 2
"""Places in front of an operator that reads as it writes."""

Operand = tuple[str, int]
"""A node and the number of one of its inputs: the stream that ends there."""


def depths(
    graph: Graph, nodes: Sequence[Node], needed: Mapping[str, Sequence[np.ndarray]], packs: Mapping[str, int]
) -> dict[Operand, int]:
    """Return the places of the stream into each operand.

    Parameters
    ----------
    graph : Graph
    nodes : sequence of Node
        In order of execution.
    needed : mapping of str to sequence of ndarray
        By node: for every input, the tokens read when each token is written.
    packs : mapping of str to int
        Elements in a token, by edge.

    Notes
    -----
    Streams that need no more than one place get two; a window operator gets a row of pixels, because it takes
    them in bursts.
    """
    tokens = {edge: tensor.size // packs[edge] for edge, tensor in graph.edges.items()}
    waiting = most_waiting(graph, nodes, needed, tokens)
    chosen = {}
    for node in nodes:
        for operand, (edge, read) in enumerate(zip(node.inputs, needed[node.name], strict=True)):
            least = places = waiting[node.name, operand]
            if least > 1:
                places += SLACK
            elif not np.array_equal(read, np.arange(1, tokens[edge] + 1)):
                shape = graph.edges[edge].shape
                places = shape[1] if len(shape) == 3 else tokens[edge]
            chosen[node.name, operand] = max(SHALLOW, least, min(places, tokens[edge]))
    return chosen


def most_waiting(
    graph: Graph,
    nodes: Sequence[Node],
    needed: Mapping[str, Sequence[np.ndarray]],
    tokens: Mapping[str, int],
) -> dict[Operand, int]:
    """Return the most tokens that wait in front of each operand when everything runs on demand.

    Parameters
    ----------
    graph, nodes, needed
        As in `depths`.
    tokens : mapping of str to int
        Tokens in a frame, by edge.
    """
    if all(len(node.inputs) == 1 for node in nodes):
        return {(node.name, 0): 1 for node in nodes}
    readers: dict[str, list[Operand]] = {edge: [] for edge in tokens}
    for node in nodes:
        for operand, edge in enumerate(node.inputs):
            readers[edge].append((node.name, operand))
    by_name = {node.name: node for node in nodes}
    schedule = {name: [read.tolist() for read in reads] for name, reads in needed.items()}
    written = dict.fromkeys(tokens, 0)
    waiting = {operand: 0 for edge in readers for operand in readers[edge]}
    most = dict(waiting)
    read = dict(waiting)

    def write(edge: str) -> None:
        """Make the next token of an edge."""
        if edge in by_name:
            frame, token = divmod(written[edge], tokens[edge])
            for operand, source in enumerate(by_name[edge].inputs):
                place = (edge, operand)
                until = frame * tokens[source] + schedule[edge][operand][token]
                while read[place] < until:
                    while not waiting[place]:
                        write(source)
                    waiting[place] -= 1
                    read[place] += 1
        written[edge] += 1
        for place in readers[edge]:
            waiting[place] += 1
            most[place] = max(most[place], waiting[place])

    (output,) = graph.outputs
    for _ in range(FRAMES * tokens[output]):
        write(output)
    return most

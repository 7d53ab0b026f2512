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
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Reads:
    """How a kernel reads its inputs.

    Parameters
    ----------
    needed : sequence of ndarray
        For every input, the tokens read when each token is written.
    order : sequence of int
        The inputs, in the order in which they are read for a token.
    frames_held : int
        Frames that the kernel takes in without being asked for output: the memory of a frame buffer.
    """

    needed: Sequence[np.ndarray]
    order: Sequence[int]
    frames_held: int = 0


def depths(
    graph: Graph, nodes: Sequence[Node], reads: Mapping[str, Reads], packs: Mapping[str, int]
) -> dict[Operand, int]:
    """Return the places of the stream into each operand.

    Parameters
    ----------
    graph : Graph
    nodes : sequence of Node
        In order of execution.
    reads : mapping of str to Reads
        By node.
    packs : mapping of str to int
        Elements in a token, by edge.

    Notes
    -----
    Streams that need no more than one place get two; a window operator gets a row of pixels, because it takes
    them in bursts. An index, one token for a whole frame, waits for the frames that are ahead of its own: each
    frame buffer on the way holds two. `SLACK` places of a few bits take no more logic than two.
    """
    tokens = {edge: tensor.size // packs[edge] for edge, tensor in graph.edges.items()}
    waiting = most_waiting(graph, nodes, reads, tokens)
    chosen = {}
    for node in nodes:
        for operand, (edge, read) in enumerate(zip(node.inputs, reads[node.name].needed, strict=True)):
            least = places = waiting[node.name, operand]
            if least > 1:
                places += SLACK
            elif not reads[node.name].frames_held and not np.array_equal(read, np.arange(1, tokens[edge] + 1)):
                shape = graph.edges[edge].shape
                places = shape[1] if len(shape) == 3 else tokens[edge]
            limit = tokens[edge]
            if len(node.inputs) > 1 and tokens[edge] == 1 and len(read) > 1:
                places = limit = SLACK
            chosen[node.name, operand] = max(SHALLOW, least, min(places, limit))
    return chosen


def most_waiting(
    graph: Graph,
    nodes: Sequence[Node],
    reads: Mapping[str, Reads],
    tokens: Mapping[str, int],
) -> dict[Operand, int]:
    """Return the most tokens that wait in front of each operand when everything runs on demand.

    Parameters
    ----------
    graph, nodes, reads
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
    schedule = {name: [read.tolist() for read in kernel.needed] for name, kernel in reads.items()}
    written = dict.fromkeys(tokens, 0)
    waiting = {operand: 0 for edge in readers for operand in readers[edge]}
    most = dict(waiting)
    read = dict(waiting)

    def write(edge: str) -> None:
        """Make the next token of an edge."""
        if edge in by_name:
            frame, token = divmod(written[edge], tokens[edge])
            inputs = by_name[edge].inputs
            for operand in reads[edge].order:
                place, source = (edge, operand), inputs[operand]
                until = frame * tokens[source] + schedule[edge][operand][token]
                while read[place] < until:
                    if waiting[place]:
                        waiting[place] -= 1
                        read[place] += 1
                    else:
                        write(source)
        written[edge] += 1
        for place in readers[edge]:
            waiting[place] += 1
            most[place] = max(most[place], waiting[place])
            reader = place[0]
            held = reads[reader].frames_held
            if held and read[place] < (written[reader] // tokens[reader] + held) * tokens[edge]:
                waiting[place] -= 1
                read[place] += 1

    (output,) = graph.outputs
    for _ in range(FRAMES * tokens[output]):
        write(output)
    return most

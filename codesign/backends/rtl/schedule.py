"""Depths of the FIFOs: what waits in each when nothing is ever held up and frames come at the network's pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from codesign.backends.rtl.timing import Timing

if TYPE_CHECKING:
    from codesign.backends.rtl.layout import Layout

FRAMES = 4
"""The first frames fill the pipeline; the last ones meet what the others have left behind."""
LEAST = 2


def depths(layout: Layout) -> list[int]:
    """Return the words that each channel's FIFO must hold, in the order of the channels.

    The source offers its words evenly over the clocks of a frame. Where every FIFO has these places, the
    schedule is possible as it stands, and a faster source can only make words earlier, never later.
    """
    graph, pace = layout.graph, layout.cycles_per_frame
    leaves: dict[str, np.ndarray] = {}
    for edge in graph.inputs:
        words = graph.edges[edge].size // layout.lanes(edge)
        even = np.arange(words) * pace // words
        leaves[edge] = (np.arange(FRAMES)[:, None] * pace + even).reshape(-1)
    channels = {(c.node, c.operand): c for c in layout.channels}
    depth: dict[tuple[str, int], int] = {}
    for node in graph:
        unit = layout.units[node.name]
        blocks = [block.timing for block in unit.blocks]
        # Blocks before the operands meet, which they do in the first block of the unit.
        before = [[a.timing for a in channels[node.name, i].adapters] for i in range(len(node.inputs))]
        enters = []
        for operand, edge in enumerate(node.inputs):
            sieve = channels[node.name, operand].sieve
            words = leaves[edge] if sieve is None else sieve.timing.run(leaves[edge], FRAMES)[1]
            enters.append(words)
        # A word is in the FIFO from the clock after it was written on.
        ready = [words + 1 for words in enters]
        while True:
            forward = [_forward(words, timings) for words, timings in zip(ready, before, strict=True)]
            words, taken = _forward(np.maximum.reduce([words for words, _ in forward]), blocks)
            meet = _backward(words, taken, blocks)
            leave = [_backward(meet, took, timings) for (_, took), timings in zip(forward, before, strict=True)]
            # Between blocks without a FIFO what holds up one also delays what the other does next.
            if all(np.array_equal(old, new) for old, new in zip(ready, leave, strict=True)):
                break
            ready = leave
        leaves[node.name] = words
        for operand in range(len(node.inputs)):
            depth[node.name, operand] = max(LEAST, most_waiting(enters[operand], leave[operand]))
    return [depth[c.node, c.operand] for c in layout.channels]


def _forward(words: np.ndarray, timings: Sequence[Timing]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return when words leave the last of some blocks, and when each of them takes its inputs."""
    taken = []
    for timing in timings:
        took, words = timing.run(words, FRAMES)
        taken.append(took)
    return words, taken


def _backward(departs: np.ndarray, taken: Sequence[np.ndarray], timings: Sequence[Timing]) -> np.ndarray:
    """Return when the first of some blocks takes its inputs, given when words depart from the last."""
    for took, timing in zip(reversed(taken), reversed(timings), strict=True):
        departs = timing.held(took, departs, FRAMES)
    return departs


def most_waiting(enter: np.ndarray, leave: np.ndarray) -> int:
    """Return the most words that are inside at the same clock, for ascending clocks of entering and leaving."""
    # When word k enters, those inside are 0..k less those that have left before.
    gone = np.searchsorted(leave, enter, side="left")
    return int((np.arange(len(enter)) + 1 - gone).max())

"""Depths of the FIFOs: what waits in each when nothing is ever held up and frames come at the network's pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from codesign.backends.rtl.timing import Narrow, Timing

if TYPE_CHECKING:
    from codesign.backends.rtl.layout import Channel, Layout
    from codesign.backends.rtl.unit import Unit

FRAMES = 4
"""Frames beside those that are in the pipeline at once: the last ones meet what the others have left behind."""
LEAST = 2
SHALLOW = 64
"""Words of a `stream_fifo` that are read without a clock."""


Place = tuple[str, int]
"""A node and the number of an operand: where a channel ends."""


@dataclass(frozen=True)
class Depths:
    """What `depths` gives.

    Parameters
    ----------
    depth : dict of (str, int) to int
        Words that the FIFO of each channel must hold.
    narrowed : frozenset of (str, int)
        Channels whose first adapter stands before the FIFO.
    latency : int
        Clocks from the first word of a frame into the network to the last one out of it.
    pace : int
        Clocks from frame to frame: more than the layout's where an operator cannot catch up with what came unevenly.
    """

    depth: dict[Place, int]
    narrowed: frozenset[Place]
    latency: int
    pace: int


def depths(layout: Layout) -> Depths:
    """Return how deep the FIFOs must be, and which of them can be narrow.

    The source offers its words evenly over the clocks of a frame. Where every FIFO has these places, the
    schedule is possible as it stands, and a faster source can only make words earlier, never later.

    An adapter that makes several words of one can stand before the FIFO where words come no faster than it takes
    them: then nobody waits for it.
    """
    frames = FRAMES
    latency = {(c.node, c.operand): 1 for c in layout.channels}
    # Adapters that would hold somebody up.
    refused: set[Place] = set()
    while True:
        run = _Run(layout, latency, frames, refused)
        if frames < FRAMES + run.end // layout.cycles_per_frame:
            frames = FRAMES + run.end // layout.cycles_per_frame
            continue
        if run.interval > layout.cycles_per_frame:
            layout = replace(layout, pace=run.interval)
            continue
        # Deep ones read a block memory with a clock.
        new = {place: 1 if depth <= SHALLOW else 2 for place, depth in run.depth.items()}
        if all(new[place] <= latency[place] for place in new):
            return Depths(run.depth, frozenset(run.narrowed), run.end + 1, layout.cycles_per_frame)
        # Never back, so that it ends.
        latency = {place: max(clocks, latency[place]) for place, clocks in new.items()}


class _Run:
    """The schedule of some frames.

    Attributes
    ----------
    depth : dict of (str, int) to int
    narrowed : set of (str, int)
    end : int
        The clock in which the first frame has left.
    interval : int
        The clocks between the last two.
    """

    def __init__(self, layout: Layout, latency: Mapping[Place, int], frames: int, refused: set[Place]) -> None:
        self.depth: dict[Place, int] = {}
        self.narrowed: set[Place] = set()
        graph = layout.graph
        channels = {(c.node, c.operand): c for c in layout.channels}
        leaves = {edge: _offered(layout, edge, frames) for edge in graph.inputs}
        for node in graph:
            unit = layout.units[node.name]
            places = [(node.name, operand) for operand in range(len(node.inputs))]
            enter, before = [], []
            for place, edge in zip(places, node.inputs, strict=True):
                clocks = self._entered(channels[place], leaves[edge], frames, refused)
                enter.append(clocks)
                # Blocks before the operands meet, which they do in the first block of the unit.
                adapters = channels[place].adapters[place in self.narrowed :]
                before.append([adapter.timing for adapter in adapters])
            arrive = [clocks + latency[place] for clocks, place in zip(enter, places, strict=True)]
            leave, leaves[node.name] = _settled(arrive, before, unit, frames)
            for place, came, left in zip(places, enter, leave, strict=True):
                self.depth[place] = max(LEAST, most_waiting(came, left))
        (output,) = graph.outputs
        ends = leaves[output].reshape(frames, -1)[:, -1]
        self.end, self.interval = int(ends[0]), int(ends[-1] - ends[-2])

    def _entered(self, channel: Channel, leaves: np.ndarray, frames: int, refused: set[Place]) -> np.ndarray:
        """Return when words enter the FIFO of a channel."""
        place = channel.node, channel.operand
        for block in channel.entry:
            leaves = block.timing.run(leaves, frames)[1]
        first = channel.adapters[0].timing if channel.adapters else None
        if isinstance(first, Narrow) and place not in refused:
            taken, parts = first.run(leaves, frames)
            if np.array_equal(taken, leaves):
                self.narrowed.add(place)
                return parts
            refused.add(place)
        return leaves


def _offered(layout: Layout, edge: str, frames: int) -> np.ndarray:
    """Return when the source offers the words of a graph input: evenly over the clocks of a frame."""
    pace, words = layout.cycles_per_frame, layout.graph.edges[edge].size // layout.lanes(edge)
    return (np.arange(frames)[:, None] * pace + np.arange(words) * pace // words).reshape(-1)


def _settled(
    arrive: list[np.ndarray], before: Sequence[Sequence[Timing]], unit: Unit, frames: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return when the words of each operand leave their FIFO, and when those of the output leave the unit."""
    blocks = [block.timing for block in unit.blocks]
    delays = list(unit.delays) or [0] * len(arrive)
    while True:
        forward = [_forward(clocks, timings, frames) for clocks, timings in zip(arrive, before, strict=True)]
        made, taken = _forward(_together([clocks for clocks, _ in forward], delays), blocks, frames)
        meet = _backward(made, taken, blocks, frames)
        leave = [
            _backward(_apart(meet, len(clocks)) - delay, took, timings, frames)
            for (clocks, took), timings, delay in zip(forward, before, delays, strict=True)
        ]
        # Between blocks without a FIFO what holds up one also delays what the other does next.
        if all(np.array_equal(old, new) for old, new in zip(arrive, leave, strict=True)):
            return leave, made
        arrive = leave


def _together(operands: Sequence[np.ndarray], delays: Sequence[int]) -> np.ndarray:
    """Return when all operands can be taken; an index, one word for a frame, is there for all words of the frame."""
    words = max(len(operand) for operand in operands)
    ready = [operand + delay for operand, delay in zip(operands, delays, strict=True)]
    return np.maximum.reduce([np.repeat(operand, words // len(operand)) for operand in ready])


def _apart(meet: np.ndarray, words: int) -> np.ndarray:
    """Return when an operand of so many words is taken: an index with the first word of its frame."""
    return meet[:: len(meet) // words]


def _forward(words: np.ndarray, timings: Sequence[Timing], frames: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return when words leave the last of some blocks, and when each of them takes its inputs."""
    taken = []
    for timing in timings:
        took, words = timing.run(words, frames)
        taken.append(took)
    return words, taken


def _backward(departs: np.ndarray, taken: Sequence[np.ndarray], timings: Sequence[Timing], frames: int) -> np.ndarray:
    """Return when the first of some blocks takes its inputs, given when words depart from the last."""
    for took, timing in zip(reversed(taken), reversed(timings), strict=True):
        departs = timing.held(took, departs, frames)
    return departs


def most_waiting(enter: np.ndarray, leave: np.ndarray) -> int:
    """Return the most words that are inside at the same clock, for ascending clocks of entering and leaving."""
    # When word k enters, those inside are 0..k less those that have left before.
    gone = np.searchsorted(leave, enter, side="left")
    return int((np.arange(len(enter)) + 1 - gone).max())

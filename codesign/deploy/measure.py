"""Accuracy, differences and speed of a device over many frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from codesign.ir import Graph, golden

_BATCH = 100


class Runner(Protocol):
    """What frames are sent to."""

    def run(self, frame: np.ndarray) -> np.ndarray:
        """Return the answer to one frame."""


@dataclass(frozen=True)
class Measured:
    """Outcome of a run.

    Parameters
    ----------
    accuracy : float
        Top-1 in percent, of what the device answered.
    images, integers : int
        Frames sent, integers compared.
    differences : int
        Integers that are not those of the golden executor.
    first_difference : dict or None
        ``image``, ``element``, ``expected``, ``found``.
    frames_per_second : float
        One frame after the other, by the clock of the host; what was sent again counts.
    latency_us : float
        Median from the writing of a request to the end of its answer, in microseconds, by the clock of the host.
    """

    accuracy: float
    images: int
    integers: int
    differences: int
    first_difference: dict[str, Any] | None
    frames_per_second: float
    latency_us: float


def measure(
    device: Runner,
    graph: Graph,
    x: np.ndarray,
    y: np.ndarray,
    decide: Callable[[np.ndarray], np.ndarray],
    advance: Callable[[int], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Send frames one by one, and compare the answers with the golden executor.

    Parameters
    ----------
    device : Runner
    graph : Graph
        What the device computes.
    x : ndarray of int, shape (frames, *input shape)
    y : ndarray of int, shape (frames,)
        Classes.
    decide : callable
        Outputs of frames to classes, `codesign.verify.accuracy.top1`.
    advance : callable, optional
        Told the number of frames done, for a progress bar.
    clock : callable
        Seconds; only the exchanges with the device are timed.

    Raises
    ------
    ValueError
        Without any frame.
    """
    if not len(x):
        raise ValueError("there is nothing to send")
    seconds: list[float] = []
    right = integers = differences = 0
    first = None
    for begin in range(0, len(x), _BATCH):
        piece = x[begin : begin + _BATCH]
        answers = []
        for frame in piece:
            start = clock()
            answers.append(device.run(frame))
            seconds.append(clock() - start)
            if advance is not None:
                advance(1)
        found, expected = np.array(answers), golden.run(graph, piece)
        different = found != expected
        integers += found.size
        differences += int(different.sum())
        if first is None and different.any():
            index = tuple(int(i) for i in np.argwhere(different)[0])
            first = {
                "image": begin + index[0],
                "element": list(index[1:]),
                "expected": int(expected[index]),
                "found": int(found[index]),
            }
        right += int((decide(found) == y[begin : begin + _BATCH]).sum())
    return Measured(
        accuracy=100.0 * right / len(x),
        images=len(x),
        integers=integers,
        differences=differences,
        first_difference=first,
        frames_per_second=len(x) / sum(seconds),
        latency_us=1e6 * float(np.median(seconds)),
    )

"""`mvau_control` and `frame_index`: what several blocks have inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codesign.estimate.logic import counter, log2
from codesign.estimate.technology import Technology


@dataclass(frozen=True)
class Control:
    """The control of a matrix-vector unit.

    Parameters
    ----------
    counters : sequence of int
        Bits of each counter.
    register : int
        Flip-flops, those of counters among them.
    delay : int
        Shift registers in lookup tables.
    """

    counters: Sequence[int]
    register: int
    delay: int


def control(fold_in: int, fold_out: int, depth: int, reads: bool, technology: Technology) -> Control:
    """Return `mvau_control`.

    Parameters
    ----------
    fold_in, fold_out, depth : int
    reads : bool
        Whether something is read when an output opens, such as biases.
    technology : Technology
    """
    turns = fold_out if reads else 1
    counters = log2(fold_in * fold_out), counter(fold_in), log2(fold_out), log2(turns)
    register, delay = sum(counters) + depth + 1, 0
    if fold_in > 1:
        # Where nothing is read, all but the last of the marks in a row are shift registers.
        for tapped in (turns > 1, False):
            if technology.shifts(depth) and not tapped:
                delay += 1
            else:
                register += depth
    return Control(counters, register, delay)


def index(words: int, bits: int) -> tuple[int, int]:
    """Return the bits of counters and the flip-flops of `frame_index` for frames of so many words."""
    count = counter(words)
    return count, count + 2 + 2 * bits

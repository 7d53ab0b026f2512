"""The sliding window of convolutions and pooling: parameters of `window_serial` and `window_parallel`."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from codesign.backends.rtl.timing import Columns, Rows
from codesign.backends.rtl.unit import Block

_FRAMES = 4


@dataclass(frozen=True)
class Window:
    """Where windows lie on a frame.

    Parameters
    ----------
    rows_in, columns_in, rows_out, columns_out : int
        Extents of the frame and of the output.
    kernel, stride : (int, int)
    pad_top, pad_left : int
        Zeros before the first row and column.
    spare : int
        Rows of the buffer beside those that words which come evenly need.
    """

    rows_in: int
    columns_in: int
    rows_out: int
    columns_out: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad_top: int = 0
    pad_left: int = 0
    spare: int = 0

    def rows_held(self) -> int:
        """Return the most rows that a row of outputs needs, those that it releases unread included."""
        most = released = 0
        for y in range(self.rows_out):
            needed, after = self.rows_for(y)
            most = max(most, max(needed, after) - released)
            released = after
        return most

    def rows_for(self, y: int) -> tuple[int, int]:
        """Return how many rows of the frame the row `y` of outputs needs, and how many are released with it."""
        top = y * self.stride[0] - self.pad_top
        needed = min(max(top + self.kernel[0], 0), self.rows_in)
        last = y == self.rows_out - 1
        return needed, self.rows_in if last else min(max(top + self.stride[0], 0), self.rows_in)

    def serial(self, width: int, fold: int, groups: int, repeat: int) -> tuple[Block, int]:
        """Return the window that sends one tap at a time, and its clocks for a frame.

        Parameters
        ----------
        width : int
            Bits of a word.
        fold, groups : int
            Words of a pixel, and groups of them.
        repeat : int
            How often the words of a group are sent.
        """
        timing = fitting(Rows, self, fold, repeat)
        rows = timing.rows
        depth = rows * self.columns_in * fold
        style = "block" if depth > 128 and depth * width > 8192 else "distributed"
        parameters = self._parameters(width, fold, repeat, rows) | {"GROUPS": groups, "STYLE": style}
        return Block("window_serial", parameters, width, timing), timing.busy()

    def parallel(self, width: int, fold: int, repeat: int) -> tuple[Block, int]:
        """Return the window that sends all taps at a time, and its clocks for a frame; `fold` or `repeat` is 1."""
        timing = fitting(Columns, self, fold, repeat)
        parameters = self._parameters(width, fold, repeat, timing.rows)
        taps = self.kernel[0] * self.kernel[1]
        return Block("window_parallel", parameters, taps * width, timing), timing.busy()

    def _parameters(self, width: int, fold: int, repeat: int, rows: int) -> dict[str, int | bool | str]:
        return {
            "WIDTH": width,
            "ROWS_IN": self.rows_in,
            "COLUMNS_IN": self.columns_in,
            "FOLD": fold,
            "KERNEL_H": self.kernel[0],
            "KERNEL_W": self.kernel[1],
            "STRIDE_H": self.stride[0],
            "STRIDE_W": self.stride[1],
            "PAD_TOP": self.pad_top,
            "PAD_LEFT": self.pad_left,
            "ROWS_OUT": self.rows_out,
            "COLUMNS_OUT": self.columns_out,
            "REPEAT": repeat,
            "ROWS": rows,
        }


@functools.cache
def fitting(kind: type[Rows] | type[Columns], window: Window, fold: int, repeat: int) -> Rows | Columns:
    """Return the window with the fewest rows that keep the reader busy when words come evenly."""
    # The rows that come while a row of outputs is read, which in a network they need not do evenly.
    held = window.rows_held() + min(window.stride[0], window.rows_in)
    words = window.rows_in * window.columns_in * fold
    for rows in range(held, held + 2 * window.rows_in):
        timing = kind(window, fold, repeat, rows)
        busy = timing.busy()
        arrive = (np.arange(_FRAMES)[:, None] * busy + np.arange(words) * busy // words).reshape(-1)
        leaves = timing.run(arrive, _FRAMES)[1].reshape(_FRAMES, -1)
        if leaves[-1, -1] - leaves[-2, -1] <= busy:
            return kind(window, fold, repeat, rows + window.spare)
    # Two frames fit in, so that neither side waits for the other.
    return kind(window, fold, repeat, held + 2 * window.rows_in)

"""Sliding windows on frames of random words, by NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAMES = 3


class Window(NamedTuple):
    """Parameters that both kinds of window have.

    Parameters
    ----------
    size : (int, int, int)
        Rows, columns, and words of a pixel.
    kernel, stride : (int, int)
    padding : (int, int, int, int)
        Rows before and behind, columns before and behind.
    repeat, rows : int
        How often words are sent, and rows in the buffer beyond those that a row of outputs needs.
    width : int
    """

    size: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    repeat: int = 1
    rows: int = 1
    width: int = 8

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        top, bottom, left, right = self.padding
        padded = self.size[0] + top + bottom, self.size[1] + left + right
        return tuple((p - k) // s + 1 for p, k, s in zip(padded, self.kernel, self.stride, strict=True))

    def complete(self) -> list[int]:
        """Return for every row of outputs how many rows of the frame must have come: those of its windows, and those
        that it is the last to pass.
        """
        counts = []
        for y in range(self.out[0]):
            top = y * self.stride[0] - self.padding[0]
            passed = self.size[0] if y == self.out[0] - 1 else top + self.stride[0]
            counts.append(int(np.clip(max(top + self.kernel[0], passed), 0, self.size[0])))
        return counts

    def passed(self) -> list[int]:
        """Return for every row of outputs how many rows of the frame are not needed behind it."""
        tops = [(y + 1) * self.stride[0] - self.padding[0] for y in range(self.out[0] - 1)]
        return [int(np.clip(top, 0, self.size[0])) for top in tops] + [self.size[0]]

    def held(self) -> int:
        """Return the rows that the buffer must have."""
        return max(c - p for c, p in zip(self.complete(), [0, *self.passed()], strict=False))

    def frames(self) -> np.ndarray:
        """Return words, shape (frames, rows, columns, words of a pixel)."""
        rng = np.random.default_rng(sum(self.size) + sum(self.kernel))
        return rng.integers(0, 1 << self.width, (FRAMES, *self.size))

    def taps(self) -> np.ndarray:
        """Return (frames, output rows, output columns, kernel rows, kernel columns, words of a pixel)."""
        top, bottom, left, right = self.padding
        padded = np.pad(self.frames(), ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.kernel, axis=(1, 2))
        chosen = windows[:, :: self.stride[0], :: self.stride[1]]
        return chosen.transpose(0, 1, 2, 4, 5, 3)

    def parameters(self) -> dict[str, int | bool | str]:
        (rows, columns, fold), (rows_out, columns_out) = self.size, self.out
        return {
            "WIDTH": self.width,
            "ROWS_IN": rows,
            "COLUMNS_IN": columns,
            "FOLD": fold,
            "KERNEL_H": self.kernel[0],
            "KERNEL_W": self.kernel[1],
            "STRIDE_H": self.stride[0],
            "STRIDE_W": self.stride[1],
            "PAD_TOP": self.padding[0],
            "PAD_LEFT": self.padding[2],
            "ROWS_OUT": rows_out,
            "COLUMNS_OUT": columns_out,
            "REPEAT": self.repeat,
            "ROWS": self.held() + self.rows,
        }

    def ready(self, clocks: list[int], latency: int) -> list[int]:
        """Return for every row of outputs when its first word can leave, `latency` behind the last word it needs."""
        row = self.size[1] * self.size[2]
        ends = [frame * self.size[0] + count for frame in range(FRAMES) for count in self.complete()]
        return [clocks[end * row - 1] + latency if end else -1 for end in ends]

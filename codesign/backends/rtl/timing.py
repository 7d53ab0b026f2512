"""When words pass: every block as a rule, from the clocks in which its inputs come to those of its outputs.

Nothing is held up from behind here: streams have all the places that they need. Clocks only ever come later when
an input comes later (the rules are made of sums and maxima), so that FIFOs which hold what waits in such a
schedule never slow it down (Baccelli et al., Synchronization and Linearity, 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from codesign.backends.rtl.windows import Window


class Timing(Protocol):
    """Rule of a block."""

    def run(self, arrive: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Return when the input words are taken, and when the output words can leave.

        Parameters
        ----------
        arrive : ndarray of int, shape (frames * words,)
            First clock in which each input word can be taken.
        frames : int
        """
        ...

    def held(self, taken: np.ndarray, departs: np.ndarray, frames: int) -> np.ndarray:
        """Return when the input words are taken if the output words leave later than they can, in `departs`."""
        ...


def one_per_clock(arrive: np.ndarray, pace: int = 1) -> np.ndarray:
    """Return the earliest clocks, `pace` or more apart, in which words can be taken in their order."""
    places = np.arange(len(arrive)) * pace
    return np.maximum.accumulate(arrive - places) + places


@dataclass(frozen=True)
class Gather:
    """A pipeline: an output some clocks after the last input that it needs.

    Parameters
    ----------
    needed : ndarray of int
        For every output word of a frame, the number of its last input word, from 0.
    words : int
        Input words of a frame.
    latency : int
    """

    needed: np.ndarray
    words: int
    latency: int

    def run(self, arrive: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Timing`."""
        taken = one_per_clock(arrive)
        last = (np.arange(frames)[:, None] * self.words + self.needed).reshape(-1)
        return taken, taken[last] + self.latency

    def held(self, taken: np.ndarray, departs: np.ndarray, frames: int) -> np.ndarray:
        """See `Timing`. All stages stand still while an output waits, and what was taken behind it comes later."""
        last = (np.arange(frames)[:, None] * self.words + self.needed).reshape(-1)
        least = np.zeros_like(taken)
        least[last] = departs - self.latency
        return np.maximum(taken, np.maximum.accumulate(least))


@dataclass(frozen=True)
class Every:
    """A pipeline that makes a word of every `count`, `latency` clocks after the last of them."""

    count: int
    latency: int

    def run(self, arrive: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Timing`."""
        return self._gather(arrive).run(arrive, 1)

    def held(self, taken: np.ndarray, departs: np.ndarray, frames: int) -> np.ndarray:
        """See `Timing`."""
        return self._gather(taken).held(taken, departs, 1)

    def _gather(self, words: np.ndarray) -> Gather:
        return Gather(np.arange(self.count - 1, len(words), self.count), len(words), self.latency)


@dataclass(frozen=True)
class Narrow:
    """A word becomes several, one per clock."""

    ratio: int

    def run(self, arrive: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Timing`."""
        taken = one_per_clock(arrive, self.ratio)
        return taken, (taken[:, None] + 1 + np.arange(self.ratio)).reshape(-1)

    def held(self, taken: np.ndarray, departs: np.ndarray, frames: int) -> np.ndarray:
        """See `Timing`. A word is taken when the last part of the one before leaves."""
        before = np.concatenate([[0], departs[self.ratio - 1 : -1 : self.ratio]])
        return np.maximum(taken, before)


@dataclass(frozen=True)
class Rows:
    """`window_serial`: a row of outputs begins when its rows have come, rows are taken while there is room.

    Parameters
    ----------
    window : Window
    fold : int
        Words of a pixel.
    repeat : int
        How often the words of a pixel are sent.
    rows : int
        Rows in the buffer.
    """

    window: Window
    fold: int
    repeat: int
    rows: int

    def run(self, arrive: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Timing`."""
        window = self.window
        width = window.columns_in * self.fold
        # A pixel may be a frame of its own.
        frames = len(arrive) // (width * window.rows_in)
        beats = window.columns_out * window.kernel[0] * window.kernel[1] * self.fold * self.repeat
        arrive = arrive.reshape(-1, width)
        taken = np.empty_like(arrive)
        leaves = np.empty((frames * window.rows_out, beats), dtype=np.int64)
        released_at: list[int] = []
        written, free, clock = 0, -1, -1
        for frame in range(frames):
            for y in range(window.rows_out):
                needed, after = window.rows_for(y)
                while written < frame * window.rows_in + max(needed, after):
                    # The place of this row was released with an earlier row of outputs.
                    room = released_at[written - self.rows] + 1 if written >= self.rows else 0
                    taken[written] = one_per_clock(np.maximum(arrive[written], max(room, free + 1)))
                    free = int(taken[written, -1])
                    written += 1
                start = max(clock + 1, free_at(taken, frame * window.rows_in + max(needed, after)) + 1)
                leaves[frame * window.rows_out + y] = start + 1 + np.arange(beats)
                clock = start + beats - 1
                released_at += [clock] * (frame * window.rows_in + after - len(released_at))
        return taken.reshape(-1), leaves.reshape(-1)

    def held(self, taken: np.ndarray, departs: np.ndarray, frames: int) -> np.ndarray:
        """See `Timing`. What follows a window takes a word in every clock."""
        return taken

    def busy(self) -> int:
        """Return the clocks for a frame when nothing holds up the window."""
        taps = self.window.kernel[0] * self.window.kernel[1]
        sent = self.window.rows_out * self.window.columns_out * taps * self.fold * self.repeat
        return max(self.window.rows_in * self.window.columns_in * self.fold, sent)


@dataclass(frozen=True)
class Columns:
    """`window_parallel`: as `Rows`, but a row of outputs is a walk over columns, and a window is one word.

    Parameters
    ----------
    window : Window
    fold, repeat, rows : int
        As for `Rows`.
    """

    window: Window
    fold: int
    repeat: int
    rows: int

    def run(self, arrive: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Timing`."""
        window = self.window
        arrive = arrive.reshape(-1, window.columns_in * self.fold)
        taken = np.empty_like(arrive)
        leaves: list[np.ndarray] = []
        released_at: list[int] = []
        moves, windows, row = self._row()
        written, free, clock = 0, -1, -1
        for frame in range(frames):
            for y in range(window.rows_out):
                needed, after = window.rows_for(y)
                until = frame * window.rows_in + max(needed, after)
                while written < until:
                    room = released_at[written - self.rows] + 1 if written >= self.rows else 0
                    taken[written] = one_per_clock(np.maximum(arrive[written], max(room, free + 1)))
                    free = int(taken[written, -1])
                    written += 1
                start = max(clock, free_at(taken, until) + 1)
                leaves.append(start + windows)
                clock = start + row
                released_at += [start + moves] * (frame * window.rows_in + after - len(released_at))
        return taken.reshape(-1), np.concatenate(leaves)

    def _row(self) -> tuple[int, np.ndarray, int]:
        """Return for a row of outputs, from its first read on: the clock of the last read, those in which windows
        can leave, and the first in which the next row can be read.
        """
        window = self.window
        span = (window.columns_out - 1) * window.stride[1] + window.kernel[1]
        read, sent, leaves = 0, 0, []
        for column in range(span):
            full = column >= window.kernel[1] - 1 and (column - window.kernel[1] + 1) % window.stride[1] == 0
            for _ in range(self.fold):
                last = read
                moved = max(read + 1, sent) if full else read + 1
                if full:
                    leaves += [moved + 1 + turn for turn in range(self.repeat)]
                    sent = moved + self.repeat
                read = moved
        # The windows of the next row wait for those of this one.
        ahead = window.kernel[1] * self.fold
        return last, np.array(leaves), max(read, sent - ahead)

    def held(self, taken: np.ndarray, departs: np.ndarray, frames: int) -> np.ndarray:
        """See `Timing`. What follows a window takes a word in every clock."""
        return taken

    def busy(self) -> int:
        """Return the clocks for a frame when nothing holds up the window."""
        return max(self.window.rows_in * self.window.columns_in * self.fold, self.window.rows_out * self._row()[2])


def free_at(taken: np.ndarray, rows: int) -> int:
    """Return the clock in which the last of the first `rows` rows was complete."""
    return int(taken[rows - 1, -1]) if rows else -1

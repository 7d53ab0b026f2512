"""Frames of integers as the bytes that travel, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.ir import Tensor


@dataclass(frozen=True)
class Packing:
    """How a frame of an edge travels: words of some elements each, a word in the fewest bytes that hold it.

    Element i of a word takes its bits [i * bits, (i + 1) * bits), in two's complement where it is signed; the least
    significant byte of a word goes first, and its bits above the last element are 0.

    Parameters
    ----------
    tensor : Tensor
        Shape of a frame and type of its elements.
    lanes : int
        Elements in a word; they divide those of a frame.

    Raises
    ------
    ValueError
        When they do not.
    """

    tensor: Tensor
    lanes: int

    def __post_init__(self) -> None:
        if self.lanes < 1 or self.tensor.size % self.lanes:
            raise ValueError(f"words of {self.lanes} elements do not make a frame of {self.tensor.size}")

    @property
    def words(self) -> int:
        """Words of a frame."""
        return self.tensor.size // self.lanes

    @property
    def word_bits(self) -> int:
        """Bits of a word."""
        return self.lanes * self.tensor.type.bits

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return self.words * -(-self.word_bits // 8)

    def pack(self, frame: np.ndarray) -> bytes:
        """Return the bytes of a frame.

        Parameters
        ----------
        frame : ndarray of int, shape of the tensor
            Within the range of its type.
        """
        bits = self.tensor.type.bits
        fields = np.asarray(frame, dtype=np.int64).reshape(self.words, self.lanes, 1)
        planes = fields >> np.arange(bits) & 1
        return np.packbits(planes.reshape(self.words, -1).astype(np.uint8), axis=1, bitorder="little").tobytes()

    def unpack(self, data: bytes) -> np.ndarray:
        """Return the frame that bytes hold, shape of the tensor, int64.

        Raises
        ------
        ValueError
            When they are more or fewer than those of a frame.
        """
        if len(data) != self.frame_bytes:
            raise ValueError(f"a frame has {self.frame_bytes} bytes, not {len(data)}")
        kind = self.tensor.type
        rows = np.frombuffer(data, dtype=np.uint8).reshape(self.words, -1)
        planes = np.unpackbits(rows, axis=1, count=self.word_bits, bitorder="little")
        values = planes.reshape(-1, kind.bits).astype(np.int64) @ (1 << np.arange(kind.bits, dtype=np.int64))
        if kind.signed:
            values -= values >> (kind.bits - 1) << kind.bits
        return values.reshape(self.tensor.shape)

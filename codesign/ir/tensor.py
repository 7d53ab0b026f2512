"""Edges of the integer graph."""

from __future__ import annotations

from dataclasses import dataclass

from codesign.ir.types import IntType


@dataclass(frozen=True)
class Tensor:
    """One edge: a frame of integers.

    Parameters
    ----------
    shape : tuple of int
        Shape of one frame without the batch: (height, width, channels), channels last, or (features,).
    type : IntType
        Type of every element.
    """

    shape: tuple[int, ...]
    type: IntType

    def __post_init__(self) -> None:
        if not self.shape or any(extent < 1 for extent in self.shape):
            raise ValueError(f"a tensor needs at least one axis and positive extents, not {self.shape}")

    @property
    def channels(self) -> int:
        """Extent of the last axis."""
        return self.shape[-1]

    @property
    def size(self) -> int:
        """Elements in a frame."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    def __str__(self) -> str:
        return f"{self.type}[{'x'.join(map(str, self.shape))}]"

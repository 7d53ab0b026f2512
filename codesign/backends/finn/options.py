"""What a user may choose when emitting a FINN build folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from codesign.boards import Board
from codesign.errors import UserError

MARGIN = 0.7
"""Of a board that estimates may fill: FINN's shell, FIFOs and width converters need the rest."""


@dataclass(frozen=True)
class Options:
    """Options of `codesign.backends.finn.emit`.

    Parameters
    ----------
    cycles : int
        Clocks that a frame may take. The folds are the cheapest together that keep to that, by estimate.
    fastest : bool
        As few clocks as fit the board, instead.
    vectors : int
        Frames of the golden vectors that FINN checks itself with.
    seed : int
        Of these frames.
    folds : mapping of str to mapping
        Folds that are not to be chosen, by node: "PE" and "SIMD" of its product or thresholds, such as
        ``{"n0": {"PE": 4, "SIMD": 3}}``.
    """

    cycles: int = 10_000
    fastest: bool = False
    vectors: int = 4
    seed: int = 0
    folds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low in (("cycles", 1), ("vectors", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise UserError(f"{name} of the finn backend is a whole number from {low} on, not {value!r}.")
        if not isinstance(self.folds, Mapping) or not all(isinstance(f, Mapping) for f in self.folds.values()):
            raise UserError(f'folds are attributes by node, such as {{"n0": {{"PE": 2}}}}, not {self.folds!r}.')
        if not isinstance(self.fastest, bool):
            raise UserError(
                f"a design is the fastest that fits or not: fastest is True or False, not {self.fastest!r}."
            )

    @property
    def wanted(self) -> int | None:
        """Clocks that a frame may take, None for as few as fit."""
        return None if self.fastest else self.cycles

    def limits(self, board: Board) -> dict[str, float]:
        """Return the most that a design may take, by resource."""
        count, kib = board.memories
        return {"lut": MARGIN * board.lut, "dsp": MARGIN * board.dsp, "bram36": MARGIN * count * kib / 36}

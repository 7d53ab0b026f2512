"""What a user may choose when emitting an RTL project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from codesign.backends.rtl.families import FAMILIES
from codesign.backends.rtl.mac import DSP_LUTS
from codesign.boards import Board
from codesign.errors import UserError

CYCLES = 10_000
"""Clocks that a frame may take, unless something else is asked for."""

MARGIN = 0.85
"""Of a board's LUTs, and of its block memories of 4 Kib, that a design may take by the sizes that choose its folds, and
the fastest one by `codesign.estimate` too: both are no synthesis, and what is placed and routed needs some room."""
_GIVEN_LUTS = 1.0
_SMALL_KIB = 4


@dataclass(frozen=True)
class Options:
    """Options of `codesign.backends.rtl.emit`.

    Parameters
    ----------
    cycles : int, optional
        Clocks that a frame may take, `CYCLES` unless given. The folds are the cheapest ones together that keep to
        that, by the estimates of `codesign.backends.rtl.cost`, FIFO depths aside, within the board's multiplier blocks
        and block memories and `MARGIN` of its LUTs and of block memories of 4 Kib, where there are such.
    fastest : bool
        As few clocks as fit the board, by the same estimates and limits, and where synthesis was measured for the
        family its LUTs by `codesign.estimate` too; `cycles` is left out then.
    dsp : int, optional
        Multiplier blocks that may be taken, and are as good as free. Unless given, as many as the board has, where
        each saves more than `mac.DSP_LUTS` LUTs. On boards whose blocks only multiply, outputs share them only where
        this is given.
    lut : int, optional
        Lookup tables that the design may take, where they are fewer than those of the board: by `codesign.estimate`
        where synthesis was measured for the family (not corrected by reports of another tool), else by the same
        estimates. Multiplier blocks take the place of others as far as they must. Where no folds are found that keep to
        it, those with the fewest LUTs are taken that keep to the clocks, as if blocks were free.
    folds : mapping of str to mapping
        Folds that are not to be chosen, by node ("n3"): fields of `codesign.backends.rtl.unit.Fold`, such as
        ``{"pe": 4, "simd": 16, "planes": 1}``.
    permute : bool
        Put channels whose weights are of like width into the same lanes, where that is estimated to take fewer LUTs.
    """

    cycles: int | None = None
    fastest: bool = False
    dsp: int | None = None
    lut: int | None = None
    folds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    permute: bool = True

    def __post_init__(self) -> None:
        if self.cycles is not None and (
            not isinstance(self.cycles, int) or isinstance(self.cycles, bool) or self.cycles < 1
        ):
            raise UserError(f"the clocks of a frame are a whole number from 1 on, not {self.cycles!r}.")
        if not isinstance(self.folds, Mapping) or not all(isinstance(f, Mapping) for f in self.folds.values()):
            raise UserError(f'folds are fields by node, such as {{"n0": {{"pe": 2}}}}, not {self.folds!r}.')
        if not isinstance(self.fastest, bool):
            raise UserError(
                f"a design is the fastest that fits or not: fastest is True or False, not {self.fastest!r}."
            )
        if self.fastest and self.cycles is not None:
            raise UserError("cycles and fastest each say how fast a design is to be; give one of them.")
        if self.dsp is not None and (not isinstance(self.dsp, int) or isinstance(self.dsp, bool) or self.dsp < 0):
            raise UserError(f"multiplier blocks are a whole number from 0 on, not {self.dsp!r}.")
        if self.lut is not None and (not isinstance(self.lut, int) or isinstance(self.lut, bool) or self.lut < 1):
            raise UserError(f"lookup tables are a whole number from 1 on, not {self.lut!r}.")
        if not isinstance(self.permute, bool):
            raise UserError(f"channels are permuted or not: permute is True or False, not {self.permute!r}.")

    @property
    def wanted(self) -> int | None:
        """Clocks that a frame may take, None for as few as fit."""
        if self.fastest:
            return None
        return CYCLES if self.cycles is None else self.cycles

    @property
    def dsp_luts(self) -> float:
        """What a multiplier block is worth in LUTs."""
        return DSP_LUTS if self.dsp is None else _GIVEN_LUTS

    def port(self, board: Board) -> int:
        """Return the bits of an operand of the multiplier blocks that outputs may share; 0 where they may not."""
        # Where blocks add, they are shared otherwise; where they are not as good as free, designs stay as they were.
        return min(FAMILIES[board.family].dsp_bits) if self.dsp and board.family in FAMILIES else 0

    def blocks(self, board: Board) -> int:
        """Return the multiplier blocks that a design may take."""
        return board.dsp if self.dsp is None else min(self.dsp, board.dsp)

    def limits(self, board: Board) -> dict[str, float]:
        """Return the most that a design may take: "lut", "dsp", and "bram36" or, of 4 Kib, "bram4"."""
        count, kib = board.memories
        tables = MARGIN * board.lut if self.lut is None else min(self.lut, MARGIN * board.lut)
        # Where blocks are small, each FIFO that becomes deeper takes one, and the serial shell some.
        memories = {"bram4": MARGIN * count} if kib == _SMALL_KIB else {"bram36": count * kib / 36}
        return {"lut": tables, "dsp": float(self.blocks(board)), **memories}

"""What a user may choose when emitting an RTL project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from codesign.errors import UserError


@dataclass(frozen=True)
class Options:
    """Options of `codesign.backends.rtl.emit`.

    Parameters
    ----------
    cycles : int
        Clocks that a frame may take. Every operator gets the fewest multipliers with which it keeps to that, or
        as many as it can have.
    folds : mapping of str to mapping
        Folds that are not to be chosen, by node ("n3"): fields of `codesign.backends.rtl.unit.Fold`, such as
        ``{"pe": 4, "simd": 16, "planes": 1}``.
    permute : bool
        Put channels whose weights are of like width into the same lanes, where that is estimated to take fewer LUTs.
    """

    cycles: int = 10_000
    folds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    permute: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.cycles, int) or isinstance(self.cycles, bool) or self.cycles < 1:
            raise UserError(f"the clocks of a frame are a whole number from 1 on, not {self.cycles!r}.")
        if not isinstance(self.folds, Mapping) or not all(isinstance(f, Mapping) for f in self.folds.values()):
            raise UserError(f'folds are fields by node, such as {{"n0": {{"pe": 2}}}}, not {self.folds!r}.')
        if not isinstance(self.permute, bool):
            raise UserError(f"channels are permuted or not: permute is True or False, not {self.permute!r}.")

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> Options:
        """Return options after checking their names.

        Raises
        ------
        UserError
            For an unknown option or a value out of range.
        """
        known = cls.__dataclass_fields__
        for name in keywords:
            if name not in known:
                raise UserError(f"the rtl backend has no option {name!r}; it has {', '.join(known)}.")
        return cls(**keywords)

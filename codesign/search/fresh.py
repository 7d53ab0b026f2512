"""Candidates that a strategy has not asked for yet.

One that is asked for again is not evaluated again, but it counts as one of the evaluations all the same, and tells
nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codesign.search.problem import Evaluation
from codesign.search.space import Assignment

_TRIES = 32
"""How often one is drawn at most. In a small space there may be nothing new any more."""


class Fresh:
    """Knows what was asked for, and what was evaluated in its place."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def take(self, one: Assignment) -> bool:
        """Return whether a candidate is new; from then on it is not."""
        digest = one.digest()
        new = digest not in self._known
        self._known.add(digest)
        return new

    def draw(self, make: Callable[[], Assignment]) -> Assignment:
        """Return a candidate that is new, from as many as are needed; the last one if none is found."""
        for _ in range(_TRIES):
            one = make()
            if self.take(one):
                break
        return one

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Note what was evaluated: a repair may have made something else of what was asked for."""
        for one in evaluations:
            self.take(one.assignment)

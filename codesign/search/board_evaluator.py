"""Candidates of a model on a board: accuracy from its supernet, cost from the estimate at the best folding."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codesign import estimate
from codesign.backends.rtl import estimation
from codesign.backends.rtl.mac import DSP_LUTS
from codesign.backends.rtl.options import Options
from codesign.backends.rtl.refolding import Refolding
from codesign.boards import Board
from codesign.estimate.corrections import Correction
from codesign.search import kept, profile
from codesign.search.accuracy_evaluator import AccuracyEvaluator
from codesign.search.code_version import code_digest
from codesign.search.measurements import PairCosts
from codesign.search.space import Assignment
from codesign.search.supernet import ModelEvaluator
from codesign.train import checkpoint, supernet

_KEPT = 512
"""Costs that are kept: a strategy may ask for one that is asked for again when it is evaluated."""
_LAYER_COST_CYCLES = 10_000
"""Clocks of a frame for which the costs of layers are compared where a search is for the fastest design."""


class BoardEvaluator(AccuracyEvaluator):
    """What a search of widths asks of a model and a board; see `codesign.search.measurements`.

    Parameters
    ----------
    accuracies : ModelEvaluator
        With a supernet that is trained.
    board : Board
    options : Options
        Of the design: clocks of a frame or the fastest, multiplier blocks.
    correction : Correction, optional
        By which sizes are corrected, from reports of another tool.

    Raises
    ------
    UserError
        When no synthesis was measured for the family of the board.
    """

    def __init__(
        self, accuracies: ModelEvaluator, board: Board, options: Options, correction: Correction | None = None
    ) -> None:
        estimate.load(board.family)
        super().__init__(accuracies)
        self.board, self.options, self.correction = board, options, correction
        self._costs: dict[str, dict[str, float]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Send names and settings, not what was loaded."""
        return type(self), (self.accuracies, self.board, self.options, self.correction)

    def with_focused(self, folder: Path) -> BoardEvaluator:
        """Return the same with a focused supernet that lies in a folder."""
        found = BoardEvaluator(self.accuracies.with_focused(folder), self.board, self.options, self.correction)
        # Sizes do not depend on it.
        found._costs = self._costs
        return found

    @functools.cached_property
    def _folding(self) -> Refolding:
        return Refolding(self.board, self.options)

    def _parts(self) -> list[Any]:
        return [*super()._parts(), *self._about_sizes(self.options)]

    def _about_sizes(self, options: Options) -> list[Any]:
        """Return what sizes by some options depend on beside the weights of the supernet and the code."""
        return [
            msgspec.structs.replace(self.board, title="", vendor="", sources=()),
            {"cycles": options.wanted, "dsp": options.dsp, "lut": options.lut},
            hashlib.sha256(msgspec.json.encode(estimate.load(self.board.family).fit)).hexdigest(),
            None if self.correction is None else dict(self.correction.factors),
        ]

    def cost(self, assignment: Assignment) -> Mapping[str, float]:
        """Return what a candidate takes on the board at its best folding, by estimate.

        The weights are those of the supernet. Lookup tables and flip-flops are rounded up.
        """
        key = assignment.digest()
        if key not in self._costs:
            if len(self._costs) >= _KEPT:
                self._costs.clear()
            self._costs[key] = cost_of(self._estimate(self._folding, assignment))
        return self._costs[key]

    def _estimate(self, folding: Refolding, assignment: Assignment) -> estimation.Estimate:
        found = folding.estimate(self.accuracies.graph(assignment))
        return found if self.correction is None else estimation.corrected(found, self.correction)

    @property
    def _for_sizes(self) -> Options:
        """Options of designs that tell what layers take: what the whole may take is another matter.

        Where lookup tables are fewer than those of the board, designs may use all blocks for them, unless outputs
        would share blocks then.
        """
        own, whole = self.options, Options().limits(self.board)["lut"]
        fewer = own.limits(self.board)["lut"] < whole
        every = Options(cycles=own.wanted or _LAYER_COST_CYCLES, dsp=self.board.dsp)
        if own.dsp is None and fewer and not every.port(self.board):
            return every
        return Options(cycles=own.wanted or _LAYER_COST_CYCLES, dsp=own.dsp)

    def layer_costs(self) -> Mapping[str, np.ndarray]:
        """Return lookup tables for each layer at each width, a multiplier block counted as `mac.DSP_LUTS`.

        All layers have the width then, and activations that of the middle. The folding is that for the clocks of the
        search; 10,000 of them where the fastest design is looked for, whose layers are as large as fit whatever their
        widths are.
        """
        space, folding = self.space, Refolding(self.board, self._for_sizes)
        middle = space.activation_bits[len(space.activation_bits) // 2]
        rows: dict[str, list[float]] = {layer.name: [] for layer in space.layers}
        for bits in space.weight_bits:
            found = self._estimate(folding, space.uniform(bits, middle))
            own = {each.label: each.amount for each in found.operators if each.operator in ("conv2d", "dense")}
            for name, row in rows.items():
                row.append(own[name].lut + DSP_LUTS * own[name].dsp)
        return {name: np.array(row) for name, row in rows.items()}

    def pair_costs(self) -> PairCosts:
        """Return what layers that have one width each take, from estimates of uniform networks.

        The folding is that for the clocks of the search, as in `layer_costs`.
        """
        own, options = self.accuracies, self._for_sizes
        about = [code_digest(), checkpoint.sha256(Path(own.folder) / supernet.FINAL), own.calibration]
        about += self._about_sizes(options)
        key = hashlib.sha256(msgspec.json.encode(about, order="deterministic")).hexdigest()

        def by(chosen: Options) -> profile.Estimated:
            folding = Refolding(self.board, chosen)
            return lambda one: self._estimate(folding, one)

        def measure() -> PairCosts:
            return profile.pair_costs(self.space, by(options), by(dataclasses.replace(options, dsp=0)))

        return kept.measured(Path(own.folder) / f"pair-costs-{key[:16]}.json", PairCosts, measure)


def cost_of(found: Any) -> dict[str, float]:
    """Return an `Estimate` as the costs of a candidate; lookup tables and flip-flops are rounded up."""
    amount = found.amount
    return {
        "lut": float(math.ceil(amount.lut)),
        "ff": float(math.ceil(amount.ff)),
        "bram36": float(amount.bram36),
        "dsp": float(amount.dsp),
        "cycles_per_frame": float(found.cycles_per_frame),
    }

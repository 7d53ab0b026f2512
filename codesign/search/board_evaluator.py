"""Candidates of a model on a board: accuracy from its supernet, cost from the estimate at the best folding."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codesign import estimate, zoo
from codesign.backends.rtl import estimation
from codesign.backends.rtl.mac import DSP_LUTS
from codesign.backends.rtl.options import Options
from codesign.backends.rtl.refolding import Refolding
from codesign.boards import Board
from codesign.estimate.corrections import Correction
from codesign.search import kept, measures, profile
from codesign.search.anchored import anchored
from codesign.search.code_version import code_digest
from codesign.search.measurements import NoiseStep, PairCosts, PerChoice, Table
from codesign.search.space import Assignment, Space
from codesign.search.supernet import ModelEvaluator
from codesign.train import checkpoint, supernet

_KEPT = 512
"""Costs that are kept: a strategy may ask for one that is asked for again when it is evaluated."""
_LAYER_COST_CYCLES = 10_000
"""Clocks of a frame for which the costs of layers are compared where a search is for the fastest design."""


class BoardEvaluator:
    """What a search of widths asks of a model and a board; see `codesign.search.measurements`.

    It is made of names and settings and loads what is big when it is first needed, so that it can be sent to a worker.

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
        self.accuracies, self.board, self.options, self.correction = accuracies, board, options, correction
        self._costs: dict[str, dict[str, float]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Send names and settings, not what was loaded."""
        return type(self), (self.accuracies, self.board, self.options, self.correction)

    @property
    def space(self) -> Space:
        """What may be chosen."""
        return self.accuracies.space

    @functools.cached_property
    def _folding(self) -> Refolding:
        return Refolding(self.board, self.options)

    def identity(self) -> str:
        """Return all that accuracies and costs depend on, as text."""
        own = self.accuracies
        model = zoo.load(own.model)
        options = {"cycles": self.options.wanted, "dsp": self.options.dsp}
        parts = [
            model.fingerprint(),
            checkpoint.sha256(model.checkpoint_path),
            checkpoint.sha256(Path(own.folder) / supernet.FINAL),
            [own.images, own.calibration],
            msgspec.structs.replace(self.board, title="", vendor="", sources=()),
            options,
            hashlib.sha256(msgspec.json.encode(estimate.load(self.board.family).fit)).hexdigest(),
            None if self.correction is None else dict(self.correction.factors),
            code_digest(),
        ]
        return msgspec.json.encode(parts, order="deterministic").decode()

    def accuracy(self, assignment: Assignment) -> float:
        """Return the accuracy of a candidate by the supernet, in percent of the held-out examples."""
        return self.accuracies.accuracy(assignment)

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

    @functools.cached_property
    def _sensitivity(self) -> Table:
        own = self.accuracies
        about = [code_digest(), checkpoint.sha256(Path(own.folder) / supernet.FINAL), own.images, own.calibration]
        key = hashlib.sha256(msgspec.json.encode(about)).hexdigest()[:16]

        def measure() -> Table:
            second = measures.sensitivities(self.space, own.sensitivity())
            return anchored(self.space, second, lambda chosen: own.evaluate(chosen).loss)

        return kept.table(Path(own.folder) / f"sensitivity-{key}.json", measure)

    def sensitivity(self) -> Table:
        """Return how much the loss is expected to rise by each width, see `codesign.search.anchored`."""
        return self._sensitivity

    def distortion(self) -> Table:
        """Return the quantisation errors of each width."""
        return self.accuracies.distortion()

    def curvature(self) -> PerChoice:
        """Return the curvature of the loss of the float network."""
        return self.accuracies.curvature()

    def squared_gradients(self, assignment: Assignment) -> PerChoice:
        """Return the squared gradients of the loss with these widths."""
        return self.accuracies.squared_gradients(assignment)

    def features(self) -> Mapping[str, np.ndarray]:
        """Return what each weight layer makes of one batch."""
        return self.accuracies.features()

    def masking(self) -> Mapping[str, float]:
        """Return how far the answers move when a layer is masked, in nats."""
        return self.accuracies.masking()

    def noise_step(self, widths: PerChoice, step: int) -> NoiseStep:
        """Return the loss with noise of real widths, and its gradients."""
        found = self.accuracies.width_gradients(widths.weights, widths.activations, step)
        return NoiseStep(found.loss, PerChoice(found.weights, found.activations))

    def layer_costs(self) -> Mapping[str, np.ndarray]:
        """Return lookup tables for each layer at each width, a multiplier block counted as `mac.DSP_LUTS`.

        All layers have the width then, and activations that of the middle. The folding is that for the clocks of the
        search; 10,000 of them where the fastest design is looked for, whose layers are as large as fit whatever their
        widths are.
        """
        space, options = self.space, self.options
        if options.fastest:
            options = Options(cycles=_LAYER_COST_CYCLES, dsp=options.dsp)
        folding = Refolding(self.board, options)
        middle = space.activation_bits[len(space.activation_bits) // 2]
        rows: dict[str, list[float]] = {layer.name: [] for layer in space.layers}
        for bits in space.weight_bits:
            found = folding.estimate(self.accuracies.graph(space.uniform(bits, middle)))
            own = {each.label: each.amount for each in found.operators if each.operator in ("conv2d", "dense")}
            for name, row in rows.items():
                row.append(own[name].lut + DSP_LUTS * own[name].dsp)
        return {name: np.array(row) for name, row in rows.items()}

    def pair_costs(self) -> PairCosts:
        """Return what layers that have one width each take, from estimates of uniform networks.

        The folding is that for the clocks of the search, as in `layer_costs`.
        """
        options = self.options
        if options.fastest:
            options = Options(cycles=_LAYER_COST_CYCLES, dsp=options.dsp)
        folding, key = Refolding(self.board, options), hashlib.sha256(self.identity().encode()).hexdigest()[:16]

        def measure() -> PairCosts:
            return profile.pair_costs(self.space, lambda chosen: self._estimate(folding, chosen))

        return kept.pair_costs(Path(self.accuracies.folder) / f"pair-costs-{key}.json", measure)


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

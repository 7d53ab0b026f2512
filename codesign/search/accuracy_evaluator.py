"""Candidates of a model by accuracy and loss of its supernet alone, and what strategies measure of it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codesign import zoo
from codesign.search import kept, measures
from codesign.search.anchored import anchored
from codesign.search.code_version import code_digest
from codesign.search.measurements import NoiseStep, PerChoice, Table
from codesign.search.space import Assignment, Space
from codesign.search.supernet import ModelEvaluator
from codesign.train import checkpoint, precision, supernet


class AccuracyEvaluator:
    """What a search of widths asks of a model where sizes are not known; see `codesign.search.measurements`.

    It is made of names and settings and loads what is big when it is first needed, so that it can be sent to a worker.

    Parameters
    ----------
    accuracies : ModelEvaluator
        With a supernet that is trained. Candidates alone are fine-tuned, or evaluated by a focused supernet: what
        strategies measure is measured with the weights of the other one.
    """

    def __init__(self, accuracies: ModelEvaluator) -> None:
        self.accuracies = accuracies

    def with_focused(self, folder: Path) -> AccuracyEvaluator:
        """Return the same with a focused supernet that lies in a folder."""
        return AccuracyEvaluator(self.accuracies.with_focused(folder))

    @property
    def space(self) -> Space:
        """What may be chosen."""
        return self.accuracies.space

    def identity(self) -> str:
        """Return all that accuracies and costs depend on, as text."""
        return msgspec.json.encode(self._parts(), order="deterministic").decode()

    def _parts(self) -> list[Any]:
        own = self.accuracies
        model = zoo.load(own.model)
        return [
            model.fingerprint(),
            checkpoint.sha256(model.checkpoint_path),
            checkpoint.sha256(Path(own.folder) / supernet.FINAL),
            None if own.focused is None else checkpoint.sha256(Path(own.focused) / supernet.FINAL),
            [own.images, own.calibration, own.fine_tuning],
            _precision(model),
            code_digest(),
        ]

    def accuracy(self, assignment: Assignment) -> float:
        """Return the accuracy of a candidate by the supernet, in percent of the held-out examples."""
        return self.accuracies.accuracy(assignment)

    def evaluated(self, assignment: Assignment) -> tuple[float, float]:
        """Return accuracy and loss of a candidate by the supernet, in percent and in nats."""
        told = self.accuracies.evaluate(assignment)
        return told.accuracy, told.loss

    def cost(self, assignment: Assignment) -> Mapping[str, float]:
        """Return nothing: what a candidate takes is not known."""
        return {}

    @functools.cached_property
    def _sensitivity(self) -> Table:
        own = self.accuracies
        about = [code_digest(), checkpoint.sha256(Path(own.folder) / supernet.FINAL), own.images, own.calibration]
        about.append(_precision(zoo.load(own.model)))
        key = hashlib.sha256(msgspec.json.encode(about)).hexdigest()[:16]

        def measure() -> Table:
            second = measures.sensitivities(self.space, own.sensitivity())
            return anchored(self.space, second, lambda one: own.evaluate(one, measuring=True).loss)

        return kept.measured(Path(own.folder) / f"sensitivity-{key}.json", Table, measure)

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


def _precision(model: zoo.Model) -> str | None:
    """Return the precision that a model's supernet is evaluated in on this processor."""
    return None if model.recipe is None else precision.here(model.recipe.precision)

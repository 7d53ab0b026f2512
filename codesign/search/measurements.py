"""What strategies may want to know of a network beside the accuracy of a candidate: tables, and small protocols.

An evaluator offers what it can measure by having the method; a strategy asks for it with `Problem.measures`. All of
them are functions of the network and their arguments alone: the same call gives the same numbers, however often and
in whatever process, because a search that was killed is continued by doing the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from codesign.search.space import Assignment


@dataclass(frozen=True)
class Table:
    """A number for every width of every choice.

    Parameters
    ----------
    weights : mapping of str to mapping of str to array
        By kind of weights ("uniform", "post"), then by weight layer: shape (channels, widths), with the widths in
        the order of `Space.weight_bits`.
    activations : mapping of str to array
        By activation: shape (widths,), in the order of `Space.activation_bits`.
    """

    weights: Mapping[str, Mapping[str, np.ndarray]]
    activations: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PerChoice:
    """A number for every choice: each output channel of each weight layer, and each activation.

    Parameters
    ----------
    weights : mapping of str to array
        By weight layer: shape (channels,).
    activations : mapping of str to float
    """

    weights: Mapping[str, np.ndarray]
    activations: Mapping[str, float]


@dataclass(frozen=True)
class NoiseStep:
    """What one step of training with noise in place of quantisation found.

    Parameters
    ----------
    loss : float
    gradient : PerChoice
        Of the loss by the (continuous) widths.
    """

    loss: float
    gradient: PerChoice


@runtime_checkable
class Evaluator(Protocol):
    """Says what a candidate is worth and what it costs. It is sent to worker processes by pickle: hold paths and
    settings, and load what is big when it is first needed.
    """

    def identity(self) -> str:
        """Return all that the numbers depend on (model, checkpoint, board, settings), as text."""
        ...

    def accuracy(self, assignment: Assignment) -> float:
        """Return the accuracy on validation data in percent, from a proxy or from training."""
        ...

    def cost(self, assignment: Assignment) -> Mapping[str, float]:
        """Return what the candidate takes at its best folding: "lut", "ff", "bram36", "dsp", "cycles_per_frame".

        Empty where no board is given.
        """
        ...


@runtime_checkable
class MeasuresLoss(Protocol):
    """Knows the loss of a candidate."""

    def evaluated(self, assignment: Assignment) -> tuple[float, float]:
        """Return the accuracy on validation data in percent, and the mean cross entropy there in nats, finite."""
        ...


@runtime_checkable
class MeasuresSensitivity(Protocol):
    """Knows the rise of the loss that each width brings about."""

    def sensitivity(self) -> Table:
        """Return the expected rise of the loss when this channel (activation) alone has this width."""
        ...


@runtime_checkable
class MeasuresDistortion(Protocol):
    """Knows the quantisation error of each width."""

    def distortion(self) -> Table:
        """Return Σ(w − Q(w))² over the weights of a channel; for activations Σ(x − Q(x))² of a mean frame."""
        ...


@runtime_checkable
class MeasuresCurvature(Protocol):
    """Knows the curvature of the loss."""

    def curvature(self) -> PerChoice:
        """Return the mean diagonal of the Hessian: its trace over a channel's weights (a frame), by their number."""
        ...


@runtime_checkable
class MeasuresGradients(Protocol):
    """Knows the gradients of the loss while the network has given widths."""

    def squared_gradients(self, assignment: Assignment) -> PerChoice:
        """Return E‖∂L/∂θ‖² over the weights of a channel (the values of an activation in a frame)."""
        ...


@runtime_checkable
class MeasuresFeatures(Protocol):
    """Knows what the layers of the float network put out."""

    def features(self) -> Mapping[str, np.ndarray]:
        """Return the output of each weight layer for one batch: shape (frames, values)."""
        ...


@runtime_checkable
class MeasuresMasking(Protocol):
    """Knows how the outputs change when a layer is masked."""

    def masking(self) -> Mapping[str, float]:
        """Return for each weight layer KL(p(x) ‖ p(x; weights of that layer randomly masked)), in nats."""
        ...


@runtime_checkable
class MeasuresLayerCosts(Protocol):
    """Knows what each layer costs on the hardware at each width."""

    def layer_costs(self) -> Mapping[str, np.ndarray]:
        """Return for each weight layer a cost per width, in the order of `Space.weight_bits`; one unit for all."""
        ...


@dataclass(frozen=True)
class PairSizes:
    """Of one resource, by width of weights and of activations, as if those of a network added up.

    Parameters
    ----------
    layers : mapping of str to mapping of str to array
        By kind of weights, then by weight layer: shape (weight widths, activation widths), the latter of what it reads.
        Beyond the widest width of a kind the value of the widest stands.
    activations : mapping of str to array
        What makes an activation, by its width, with its part of what else depends on that: shape (activation widths,).
    rest : float
        All else.
    """

    layers: Mapping[str, Mapping[str, np.ndarray]]
    activations: Mapping[str, np.ndarray]
    rest: float


@dataclass(frozen=True)
class PairCosts:
    """What layers and activations take at each pair of widths.

    Parameters
    ----------
    lut, dsp : PairSizes
        Lookup tables, and the multiplier blocks beside them in the same designs.
    bare : PairSizes, optional
        Lookup tables of designs that have no multiplier blocks; None where blocks are not used.
    """

    lut: PairSizes
    dsp: PairSizes
    bare: PairSizes | None = None


@runtime_checkable
class MeasuresPairCosts(Protocol):
    """Knows what each layer costs on the hardware at each pair of widths."""

    def pair_costs(self) -> PairCosts:
        """Return lookup tables and multiplier blocks of layers that have one width each."""
        ...


@runtime_checkable
class MeasuresNoise(Protocol):
    """Runs steps of training with noise in place of quantisation."""

    def noise_step(self, widths: PerChoice, step: int) -> NoiseStep:
        """Return loss and gradient at continuous widths, with the batch and the noise of this step.

        Parameters
        ----------
        widths : PerChoice
            Real numbers between the narrowest and the widest that may be chosen.
        step : int
            From 0; the same step has the same batch and noise.
        """
        ...

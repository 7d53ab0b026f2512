"""A small search problem whose loss is a formula, for tests of strategies: it can be solved by trying everything."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from codesign.search.measurements import NoiseStep, PairCosts, PairSizes, PerChoice, Table
from codesign.search.problem import Constraint, Objective, Problem
from codesign.search.space import ActivationLayer, Assignment, Space, WeightLayer


def space(channels: tuple[int, ...], **settings: object) -> Space:
    """A chain of convolutions: the first reads an image of 8 bits, each other one an activation of its own."""
    layers, activations = [], []
    for index, count in enumerate(channels):
        inputs = 3 if index == 0 else channels[index - 1]
        size = 16 >> min(index // 2, 3)
        layers.append(
            WeightLayer(
                f"conv{index}",
                channels=count,
                weights=9 * inputs,
                macs=9 * inputs * size * size,
                kernel=3,
                size=size,
                activation=None if index == 0 else f"act{index}",
            )
        )
        if index:
            activations.append(ActivationLayer(f"act{index}", channels=inputs, elements=inputs * size * size))
    return Space(tuple(layers), tuple(activations), **settings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Formula:
    """Loss Σ s·4^(−b) over channels and activations, s from a seed and very different; plus a coupling of layers.

    Pruning costs as much as 0 bits in the formula. With `coupling` the loss is no sum over choices any more, so that
    tables alone do not solve the problem.
    """

    space: Space
    seed: int = 0
    coupling: float = 0.0
    spread: float = 1.5

    def identity(self) -> str:
        return f"formula {self.seed} {self.coupling} {self.spread}"

    def scales(self) -> PerChoice:
        generator = np.random.default_rng(self.seed)
        weights = {}
        for layer in self.space.layers:
            own = generator.normal(0, 0.5) + generator.normal(0, self.spread, layer.channels)
            weights[layer.name] = np.exp(own) / layer.channels
        return PerChoice(weights, {a.name: float(np.exp(generator.normal(0, 0.7))) for a in self.space.activations})

    def errors(self, assignment: Assignment) -> dict[str, float]:
        scales = self.scales()
        errors = {
            name: float(np.sum(scales.weights[name] * self._error(assignment.schemes.get(name), np.array(bits))))
            for name, bits in assignment.weights.items()
        }
        return errors | {name: scales.activations[name] * 4.0**-bits for name, bits in assignment.activations.items()}

    @staticmethod
    def _error(scheme: str | None, bits: np.ndarray) -> np.ndarray:
        # The other kind of weights is worse below 4 bits and better above.
        return 4.0 ** -bits.astype(float) * (1.0 if scheme != "post" else np.where(bits < 4, 1.5, 0.7))

    def loss(self, assignment: Assignment) -> float:
        errors = self.errors(assignment)
        ordered = [errors[layer.name] for layer in self.space.layers]
        return sum(errors.values()) + self.coupling * sum(a * b for a, b in itertools.pairwise(ordered))

    def accuracy(self, assignment: Assignment) -> float:
        return float(95 * np.exp(-self.loss(assignment)))

    def cost(self, assignment: Assignment) -> Mapping[str, float]:
        space = self.space
        width = {a.name: assignment.activations[a.name] for a in space.activations}
        lut = 200.0 + sum(
            layer.weights * sum(assignment.weights[layer.name]) * (width.get(layer.activation or "", 8) + 1) / 16
            for layer in space.layers
        )
        memory = sum(layer.weights * sum(assignment.weights[layer.name]) for layer in space.layers)
        return {
            "lut": float(np.ceil(lut)),
            "ff": float(np.ceil(1.3 * lut)),
            "bram36": float(-(-memory // 36864)),
            "dsp": 0.0,
            "cycles_per_frame": 1000.0,
        }

    def sensitivity(self) -> Table:
        scales = self.scales()
        bits, widths = np.array(self.space.weight_bits), np.array(self.space.activation_bits, dtype=float)
        return Table(
            {
                kind: {name: rows[:, None] * self._error(kind, bits)[None] for name, rows in scales.weights.items()}
                for kind in self.space.schemes
            },
            {name: scale * 4.0**-widths for name, scale in scales.activations.items()},
        )

    def distortion(self) -> Table:
        """Half of the scale is curvature, the other half error."""
        table = self.sensitivity()
        root = self.curvature()
        return Table(
            {k: {n: rows / root.weights[n][:, None] for n, rows in t.items()} for k, t in table.weights.items()},
            {name: row / root.activations[name] for name, row in table.activations.items()},
        )

    def curvature(self) -> PerChoice:
        scales = self.scales()
        return PerChoice(
            {name: np.sqrt(values) for name, values in scales.weights.items()},
            {name: value**0.5 for name, value in scales.activations.items()},
        )

    def squared_gradients(self, assignment: Assignment) -> PerChoice:
        curvature = self.curvature()
        weights = {layer.name: layer.weights * curvature.weights[layer.name] for layer in self.space.layers}
        return PerChoice(weights, {a.name: a.elements * curvature.activations[a.name] for a in self.space.activations})

    def features(self) -> Mapping[str, np.ndarray]:
        generator = np.random.default_rng(self.seed)
        return {layer.name: generator.normal(size=(16, 8 * layer.channels)) for layer in self.space.layers}

    def masking(self) -> Mapping[str, float]:
        return {name: float(np.sum(values)) for name, values in self.scales().weights.items()}

    def layer_costs(self) -> Mapping[str, np.ndarray]:
        bits = np.array(self.space.weight_bits, dtype=float)
        return {layer.name: layer.weights * layer.channels * bits**1.2 for layer in self.space.layers}

    def pair_costs(self) -> PairCosts:
        """As `cost` has it: a bit of a weight takes a sixteenth of the bits that it meets and one more."""
        bits, reads = np.array(self.space.weight_bits, dtype=float), np.array(self.space.activation_bits, dtype=float)
        layers = {
            layer.name: layer.weights
            * layer.channels
            * bits[:, None]
            * ((reads if layer.activation else np.full_like(reads, 8.0)) + 1)
            / 16
            for layer in self.space.layers
        }
        activations = {one.name: np.zeros(len(reads)) for one in self.space.activations}
        lut = PairSizes(dict.fromkeys(self.space.schemes, layers), activations, 200.0)
        none = {layer.name: np.zeros((len(bits), len(reads))) for layer in self.space.layers}
        return PairCosts(lut, PairSizes(dict.fromkeys(self.space.schemes, none), activations, 0.0))

    def noise_step(self, widths: PerChoice, step: int) -> NoiseStep:
        scales = self.scales()
        noise = np.random.default_rng([self.seed, step]).uniform(0.8, 1.2)
        own = {name: noise * scales.weights[name] * 4.0**-values for name, values in widths.weights.items()}
        acts = {name: noise * scales.activations[name] * 4.0**-value for name, value in widths.activations.items()}
        slope = -np.log(4.0)
        gradient = PerChoice({n: slope * v for n, v in own.items()}, {n: slope * v for n, v in acts.items()})
        return NoiseStep(float(sum(np.sum(v) for v in own.values()) + sum(acts.values())), gradient)


def problem(
    channels: tuple[int, ...] = (4, 6, 6, 8),
    *,
    budget: float | None = 0.12,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
    coupling: float = 0.0,
    objective: Objective | None = None,
    **settings: object,
) -> Problem:
    """A problem whose budget is a share of the bit operations of the widest candidate."""
    chosen = space(channels, **settings)
    widest = chosen.bit_operations(chosen.uniform(chosen.weight_bits[-1], chosen.activation_bits[-1]))
    constraint = Constraint(None if budget is None else int(budget * widest), dict(limits or {}))
    return Problem(chosen, constraint, Formula(chosen, seed, coupling), objective or Objective())


def every(space: Space, per_layer: bool = False) -> Iterator[Assignment]:
    """All points of a small space with uniform weights."""
    columns = [
        [(bits,) * layer.channels for bits in space.weight_bits]
        if per_layer
        else list(itertools.product(space.weight_bits, repeat=layer.channels))
        for layer in space.layers
    ]
    kinds = [space.schemes] * len(space.layers)
    for weights in itertools.product(*columns):
        for widths in itertools.product(space.activation_bits, repeat=len(space.activations)):
            for scheme in itertools.product(*kinds):
                names = [layer.name for layer in space.layers]
                yield Assignment(
                    dict(zip(names, weights, strict=True)),
                    {a.name: bits for a, bits in zip(space.activations, widths, strict=True)},
                    {name: kind for name, kind in zip(names, scheme, strict=True) if kind != "uniform"},
                )


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()

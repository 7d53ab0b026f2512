"""Drawing candidates at random, and changing them a little."""

from __future__ import annotations

import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.problem import Problem
from codesign.search.repair import within_budget
from codesign.search.space import Assignment


def sample(problem: Problem, coordinates: Coordinates, generator: np.random.Generator) -> Assignment:
    """Return a random candidate within the budget of bit operations.

    Each layer draws the narrowest and the widest of its channels, and each channel a width between them. Were all
    channels drawn alike, all candidates would have about the same mean width.
    """
    space = problem.space
    widths = np.empty(coordinates.size, dtype=np.int64)
    kinds = {layer.name: str(generator.choice(space.schemes)) for layer in space.layers}
    for layer, part in zip(space.layers, coordinates.slices, strict=True):
        allowed = space.widths(kinds[layer.name])
        steps = np.array([bits for bits in allowed if bits] if len(allowed) > 1 else allowed)
        low, high = np.sort(generator.integers(0, len(steps), 2))
        widths[part] = steps[generator.integers(low, high + 1, part.stop - part.start)]
    widths[coordinates.channels :] = generator.choice(space.activation_bits, coordinates.size - coordinates.channels)
    return within_budget(problem, coordinates.assignment(widths, kinds))


def mutate(
    problem: Problem, coordinates: Coordinates, parent: Assignment, generator: np.random.Generator
) -> Assignment:
    """Return a changed copy within the budget of bit operations.

    One of: some channels of a layer move by a step; a layer moves by a step; one layer gives a step to another; an
    activation moves by a step; a layer changes its kind of weights, where there are several.
    """
    space = problem.space
    widths = coordinates.flatten(parent)
    kinds = dict(parent.schemes)
    moves = ["channels", "channels", "layer", "exchange"]
    moves += ["activation"] if coordinates.size > coordinates.channels else []
    moves += ["kind"] if len(space.schemes) > 1 else []
    move = str(generator.choice(moves))
    layers = generator.permutation(len(coordinates.slices))
    part = coordinates.slices[layers[0]]
    change = np.zeros(coordinates.size, dtype=np.int64)
    if move == "channels":
        share = generator.uniform(0, 0.5)
        hit = generator.random(part.stop - part.start) < share
        hit[generator.integers(len(hit))] = True
        change[part] = hit * generator.choice((-1, 1), len(hit))
    elif move == "layer":
        change[part] = generator.choice((-1, 1))
    elif move == "exchange":
        change[part] = 1
        change[coordinates.slices[layers[-1]]] -= 1
    elif move == "activation":
        change[generator.integers(coordinates.channels, coordinates.size)] = generator.choice((-1, 1))
    else:
        name = space.layers[layers[0]].name
        kinds[name] = str(generator.choice([kind for kind in space.schemes if kind != kinds.get(name, "uniform")]))
        widths[part] = np.minimum(widths[part], space.widths(kinds[name])[-1])
    return within_budget(problem, coordinates.assignment(step(coordinates, widths, change), kinds))


def step(coordinates: Coordinates, widths: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return the widths moved by so many steps up or down in what may be chosen."""
    result = widths.copy()
    weights, activations = slice(0, coordinates.channels), slice(coordinates.channels, coordinates.size)
    for part, allowed in ((weights, coordinates.space.weight_bits), (activations, coordinates.space.activation_bits)):
        steps = np.array(allowed)
        moved = np.searchsorted(steps, widths[part]) + change[part]
        result[part] = steps[np.clip(moved, 0, len(steps) - 1)]
    return result


def cross(coordinates: Coordinates, one: Assignment, other: Assignment, generator: np.random.Generator) -> Assignment:
    """Return a mix of two candidates: each layer, with what it reads, from either."""
    first, second = coordinates.flatten(one), coordinates.flatten(other)
    widths = first.copy()
    kinds = dict(one.schemes)
    for layer, part, where in zip(coordinates.space.layers, coordinates.slices, coordinates.reads, strict=True):
        if generator.random() < 0.5:
            widths[part] = second[part]
            kinds.pop(layer.name, None)
            if layer.name in other.schemes:
                kinds[layer.name] = other.schemes[layer.name]
            if where is not None:
                widths[where] = second[where]
    for layer in coordinates.space.layers:
        kinds.setdefault(layer.name, "uniform")
    return coordinates.assignment(widths, kinds)

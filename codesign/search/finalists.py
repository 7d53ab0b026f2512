"""Which candidates are trained in the end: the best one, and others that are unlike it.

The next best candidates of a search mostly differ from the best one by a few bits, and the same error of the proxy
stands behind all of them. A kind of network that it misjudges lies further away: for ResNet-8 on CIFAR-10, within the
bit operations of 2 bits everywhere, a supernet of all widths put binary weights with activations of 4 bits below the
best candidate of AutoQB, and trained they are more accurate (`benchmarks/search`). So further finalists are the best of
other kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.search.problem import Evaluation
from codesign.search.space import Assignment

UNLIKE = 1.0
"""Distance from which candidates are of different kinds, in bits: a choice, by which binary weights are the second
finalist of AutoQB in the case above."""


def distance(one: Assignment, other: Assignment) -> float:
    """Return how far two candidates are apart, in bits.

    The mean difference between the mean widths of a layer's channels, and the mean difference between the widths of an
    activation. A layer that has another kind of weights counts as a bit.

    Parameters
    ----------
    one, other : Assignment
        Of the same space.
    """
    kinds = [one.schemes.get(name, "uniform") != other.schemes.get(name, "uniform") for name in one.weights]
    weights = [abs(np.mean(bits) - np.mean(other.weights[name])) for name, bits in one.weights.items()]
    activations = [abs(bits - other.activations[name]) for name, bits in one.activations.items()]
    return sum(float(np.mean(each)) for each in (kinds, weights, activations) if each)


def following(ordered: Sequence[Evaluation], before: Sequence[Evaluation]) -> Evaluation:
    """Return the next finalist: the best that is unlike those before it, the best of all where none is.

    Parameters
    ----------
    ordered : sequence of Evaluation
        Those that are left, the best first; at least one.
    before : sequence of Evaluation
        Finalists so far.
    """

    def unlike(each: Evaluation) -> bool:
        return all(distance(each.assignment, known.assignment) >= UNLIKE for known in before)

    return next(filter(unlike, ordered), ordered[0])

"""What is searched: the network, the board, and what a frame may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MODEL = "resnet8_fp"
BOARD = "pynq-z2"
CYCLES = 36_864
"""Clocks of a frame: 2,713 frames per second at 100 MHz."""
DSP = 0
"""No multiplier blocks, so that lookup tables are what a design takes."""
EVALUATIONS = 200
"""Candidates of a strategy at most."""
IMAGES = 2000
"""Held-out examples that a candidate is evaluated on: all that there are."""
SUPERNET_EPOCHS = 6
FOCUS_EPOCHS = 6
"""Epochs of the supernet that is focused on the limits of a scenario."""

ALL = (
    "uniform", "random", "greedy", "evolution", "bomp", "haq", "autoqb", "nipq", "qbitopt", "ompq", "hawq", "ohq",
    "profiled",
)  # fmt: skip
"""Every strategy of the package."""
ON_BOARD = ("uniform", "greedy", "evolution", "haq", "autoqb", "ompq", "hawq", "ohq", "profiled")
"""Those that are compared where tables are limited and each candidate over the limit is estimated some more times."""
FRONT = ("uniform", "haq", "autoqb", "ompq", "profiled")
"""Those that are compared over several budgets: at equal accuracy, who takes fewer bit operations."""
ONCE = ("uniform", "greedy", "nipq", "qbitopt", "ompq", "hawq", "ohq", "profiled")
"""Strategies that the seed does not change; each is searched once and trained with every seed."""


@dataclass(frozen=True)
class Scenario:
    """What a frame may take.

    Parameters
    ----------
    name : str
    title : str
        For people.
    strategies : sequence of str
    widths : (int, int)
        Of weights and of activations: the network with these everywhere in its hidden layers sets the limit.
    lut : bool
        Lookup tables are limited, to those that it takes by the estimate, and not bit operations.
    """

    name: str
    title: str
    strategies: Sequence[str]
    widths: tuple[int, int]
    lut: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        Scenario("two", "as many bit operations as 2 bits everywhere", ALL, (2, 2)),
        Scenario("lut", "as many LUTs as 2 bits everywhere", ON_BOARD, (2, 2), lut=True),
        Scenario("few", "as many bit operations as binary weights and activations of 2 bits", FRONT, (1, 2)),
        Scenario("three", "as many bit operations as 3 bits everywhere", FRONT, (3, 3)),
    )
}


def recipe(seed: int) -> dict[str, object]:
    """Return how each network that was found is trained: as the rows of 2 bits in `benchmarks/accuracy`."""
    return {
        "epochs": 10,
        "batch": 128,
        "learning_rate": 0.05,
        "schedule": "cosine",
        "warmup_epochs": 1,
        "weight_decay": 2.5e-5,
        "step_rate": 0.2,
        "crop_padding": 3,
        "flip": True,
        "precision": "bfloat16",
        "validation": 0,
        "seed": seed,
    }

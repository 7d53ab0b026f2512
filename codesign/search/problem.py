"""The problem that all strategies solve: a space of widths, what must hold, what is wanted, and who evaluates."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from codesign.boards import Board
from codesign.errors import UserError
from codesign.search.measurements import Evaluator
from codesign.search.space import Assignment, Space

BIT_OPERATIONS = "bit_operations"
COSTS = ("lut", "ff", "bram36", "dsp", "cycles_per_frame")

T = TypeVar("T")


class Constraint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every result satisfies exactly, without a tolerance.

    Attributes
    ----------
    bit_operations : int or None
        The most bit operations of a frame.
    limits : dict of str to float
        The most of each cost: "lut", "ff", "bram36", "dsp", "cycles_per_frame". What is not named is unlimited.
    """

    bit_operations: int | None = None
    limits: dict[str, float] = {}

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.limits) - set(COSTS)):
            raise ValueError(f"there is no cost '{unknown[0]}'; known: {', '.join(COSTS)}")

    @classmethod
    def of_board(
        cls, board: Board, cycles: int | None = None, dsp: int | None = None, bit_operations: int | None = None,
        lut: int | None = None,
    ) -> Constraint:  # fmt: skip
        """Return the limits of a board: its LUTs, flip-flops, block memories and DSPs.

        Block memories of other sizes count as 36 Kib ones of the same capacity.

        Parameters
        ----------
        board : Board
        cycles : int, optional
            The most clocks of a frame.
        dsp : int, optional
            The most multiplier blocks, where they are fewer than those of the board.
        bit_operations : int, optional
            The most of a frame.
        lut : int, optional
            The most lookup tables, where they are fewer than those of the board.
        """
        limits = {name: float(limit) for name, limit in board.limits.items()}
        if dsp is not None:
            limits["dsp"] = float(min(dsp, board.dsp))
        if lut is not None:
            limits["lut"] = float(min(lut, board.lut))
        if cycles is not None:
            limits["cycles_per_frame"] = float(cycles)
        return cls(bit_operations, limits)

    def exceeded(self, bit_operations: int, cost: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Return what is too much: by name, how much it is and how much is allowed.

        Raises
        ------
        ValueError
            When a limit is set for what `cost` does not name.
        """
        found: dict[str, tuple[float, float]] = {}
        if self.bit_operations is not None and bit_operations > self.bit_operations:
            found[BIT_OPERATIONS] = (bit_operations, self.bit_operations)
        for name, limit in self.limits.items():
            if name not in cost:
                raise ValueError(f"'{name}' is limited, but the evaluator does not say how much a candidate takes")
            if not cost[name] <= limit:
                found[name] = (cost[name], limit)
        return found


class Evaluation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of one candidate, which satisfies the constraint.

    Attributes
    ----------
    assignment : Assignment
        What was evaluated.
    accuracy : float
        In percent, on validation data.
    bit_operations : int
    cost : dict of str to float
        What it takes on the board at its best folding; empty without one.
    repaired : bool
        The strategy had asked for more than the constraint allows; `assignment` is what was made of it.
    loss : float or None
        Mean cross entropy on validation data, in nats, where it is known.
    """

    assignment: Assignment
    accuracy: float
    bit_operations: int
    cost: dict[str, float] = {}
    repaired: bool = False
    loss: float | None = None

    def value(self, name: str) -> float:
        """Return a cost by name, "bit_operations" among them."""
        if name == BIT_OPERATIONS:
            return float(self.bit_operations)
        return self.cost[name]


_LEAST_ACCURACY = 0.01  # percent; the logarithm needs something


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes one candidate better than another: 2·ψ·log(accuracy) − Σ 2·ψ_c·log(cost c).

    That is the reward of AutoQB. With no costs named, the candidate that is best within the constraint is the one with
    the least loss where losses are known, else the most accurate one: whether two thousand examples are right tells
    candidates apart to about a percent, which is as much as the best of a search differ by. Log(accuracy) is the mean
    logarithm of the probability of right answers then.

    Attributes
    ----------
    accuracy : float
        ψ of the accuracy.
    costs : dict of str to float
        ψ_c by name of the cost, "bit_operations" among them.

    References
    ----------
    Lou et al., AutoQ: automated kernel-wise neural network quantization, 2020 (arXiv 1902.05690).
    """

    accuracy: float = 1.0
    costs: dict[str, float] = {}

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read an objective such as "accuracy" or "accuracy,lut=0.1,cycles_per_frame=0.05".

        Raises
        ------
        UserError
            When there is no such cost, a weight is no number above 0, or accuracy does not count: the best network
            would be one of pruned channels.
        """
        weights: dict[str, float] = {}
        for part in text.split(","):
            name, _, number = part.strip().partition("=")
            if name in weights:
                raise UserError(f"the objective names '{name}' twice; give it one weight.")
            if name not in ("accuracy", BIT_OPERATIONS, *COSTS):
                known = ", ".join(("accuracy", BIT_OPERATIONS, *COSTS))
                raise UserError(f"an objective is made of {known}, found '{name}'; see `codesign search --help`.")
            try:
                weights[name] = float(number or 1)
            except ValueError as error:
                raise UserError(f"the weight of '{name}' in the objective is no number: '{number}'.") from error
            if not 0 < weights[name] < math.inf:
                raise UserError(
                    f"the weight of '{name}' in the objective must be above 0; leave out what does not count."
                )
        if "accuracy" not in weights:
            raise UserError(f"without accuracy the smallest network is the best; write accuracy,{text.strip()}.")
        return cls(weights.pop("accuracy"), weights)

    @property
    def words(self) -> str:
        """The objective as `parse` reads it."""
        weights = {"accuracy": self.accuracy, **self.costs}
        return ",".join(name if weight == 1 else f"{name}={weight:g}" for name, weight in weights.items())

    def score(self, evaluation: Evaluation) -> float:
        """Return how good a candidate is; more is better.

        One with a loss is not to be compared with one without.

        Raises
        ------
        ValueError
            When the objective names a cost that the evaluator does not know.
        """
        right = math.log(max(evaluation.accuracy, _LEAST_ACCURACY) / 100)
        # Against costs accuracy has the weight that it has among trained networks, whose loss is not known.
        if evaluation.loss is not None and not self.costs:
            right = -evaluation.loss
        total = 2 * self.accuracy * right
        for name, weight in self.costs.items():
            if name != BIT_OPERATIONS and name not in evaluation.cost:
                raise ValueError(f"'{name}' is part of the objective, but the evaluator does not know it")
            total -= 2 * weight * math.log(max(evaluation.value(name), 1.0))
        return total


@dataclass(frozen=True)
class Problem:
    """A search problem.

    Parameters
    ----------
    space : Space
    constraint : Constraint
    evaluator : Evaluator
    objective : Objective
    reserve : float
        Lookup tables by which the constraint is tighter than what was asked for; messages tell them.
    """

    space: Space
    constraint: Constraint
    evaluator: Evaluator
    objective: Objective = field(default_factory=Objective)
    reserve: float = 0.0

    @functools.cached_property
    def narrowest(self) -> tuple[int, Mapping[str, float]]:
        """Bit operations and cost of the network whose channels and activations are all at their narrowest, none
        pruned.
        """
        one = self.space.uniform(next(bits for bits in self.space.weight_bits if bits), self.space.activation_bits[0])
        return self.space.bit_operations(one), dict(self.evaluator.cost(one))

    def digest(self) -> str:
        """Return a short digest of all that the evaluation of a candidate depends on."""
        parts: list[Any] = [self.space, self.constraint, self.evaluator.identity()]
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:16]

    def score(self, evaluation: Evaluation) -> float:
        """Return how good a candidate is; more is better."""
        return self.objective.score(evaluation)

    def offers(self, protocol: Any) -> bool:
        """Tell whether the evaluator measures what a protocol of `codesign.search.measurements` names."""
        return isinstance(self.evaluator, protocol)

    def measures(self, protocol: Callable[..., T], strategy: str) -> T:
        """Return the evaluator as what measures something.

        Raises
        ------
        UserError
            When it does not measure that.
        """
        # mypy takes a protocol for a callable, but not for a type that may be handed on.
        assert isinstance(protocol, type)  # noqa: S101
        if not isinstance(self.evaluator, protocol):
            what = re.sub("(?<=[a-z])(?=[A-Z])", " ", protocol.__name__.removeprefix("Measures")).lower()
            raise UserError(f"the strategy '{strategy}' needs {what}, which is not measured here; choose another.")
        found: Any = self.evaluator
        return found

    @property
    def bit_operation_budget(self) -> int:
        """The most bit operations of a candidate: the budget, or those of the widest one."""
        widest = self.space.bit_operations(self.space.uniform(self.space.weight_bits[-1], self.widest_activation))
        budget = self.constraint.bit_operations
        return widest if budget is None else min(budget, widest)

    @property
    def widest_activation(self) -> int:
        """The widest that an activation may be, in bits."""
        return self.space.activation_bits[-1]

"""What a search of a model needs before it begins: a trained supernet, the problem on a board, a focused supernet."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

from codesign import estimate
from codesign.backends.rtl.options import Options
from codesign.boards import Board
from codesign.errors import UserError
from codesign.search.accuracy_evaluator import AccuracyEvaluator
from codesign.search.board_evaluator import BoardEvaluator
from codesign.search.problem import Constraint, Objective, Problem
from codesign.search.repair import within_budget
from codesign.search.space import Assignment
from codesign.search.space_of import space_of
from codesign.search.strategies import uniform
from codesign.search.supernet import ModelEvaluator
from codesign.train import supernet
from codesign.train.supernet import FocusedRecipe, SupernetRecipe

if TYPE_CHECKING:
    from codesign.estimate.corrections import Correction
    from codesign.train.supernet_draw import Choice
    from codesign.zoo import Model


ROOM = 0.02
"""Share of lookup tables that stay free while candidates are estimated with the weights of the supernet: with trained
ones the estimate of a ResNet-8 was up to 1 % higher, and one that then is too large was trained in vain."""

FOCUS = (0.55, 1.2)
"""Bit operations of the networks that a focused supernet is trained with, as shares of what the widest network with the
same widths everywhere takes, and of what the limits allow; those of layers whose widths are fixed come on top. Tried
for ResNet-8 within the bit operations of 2 bits everywhere (`benchmarks/search`)."""
BEYOND = 1.25
"""What limits of a board allow, as a multiple of the bit operations of the widest network that has the same widths
everywhere and keeps to them: within the lookup tables of 2 bits everywhere searches found up to 1.24 times as many."""


def require_searchable(model: Model) -> None:
    """Refuse what no search can be run for, before anything is trained.

    Raises
    ------
    UserError
        When the model is of another framework, has no recipe, holds out no examples, is not trained or has no hidden
        layer with weights.
    """
    if model.framework != "brevitas":
        raise UserError(f"{model.name} is of the framework {model.framework}; a search takes one of brevitas.")
    if model.recipe is None or not model.recipe.validation:
        raise UserError(
            f"{model.name} holds out no training examples to choose widths by; set recipe.validation and train it "
            "again."
        )
    if not model.checkpoint_path.is_file():
        raise UserError(f"{model.name} is not trained yet; run codesign train {model.name} --record first.")
    if not space_of(model).layers:
        raise UserError(f"{model.name} has no hidden layer with weights, so that there is no width to choose.")


def prepare_supernet(
    model: Model, folder: Path, recipe: SupernetRecipe, progress: bool = True, threads: int = 1
) -> Path:
    """Train the supernet of a model unless it is there already, and return the folder that holds it.

    Parameters
    ----------
    model : codesign.zoo.Model
    folder : Path
        Of all supernets of the model; each lies in a folder named by the content of all that it is trained from.
    recipe : SupernetRecipe
    progress : bool
        Report on standard error.
    threads : int
        Threads of torch.
    """
    key = hashlib.sha256(supernet.fingerprint(model, recipe).encode()).hexdigest()[:16]
    supernet.train(model, folder / key, recipe, progress=progress, threads=threads)
    return folder / key


def evaluator_of(family: str) -> type[AccuracyEvaluator]:
    """Return the class of what evaluates candidates for boards of a family."""
    return BoardEvaluator if estimate.measured(family) else AccuracyEvaluator


def problem_of(
    model: Model,
    supernet_folder: Path,
    board: Board,
    options: Options,
    objective: Objective,
    bit_operations: int | None = None,
    images: int | None = None,
    correction: Correction | None = None,
    fine_tuning: int = 0,
) -> Problem:
    """Return the problem of a model on a board.

    For a family of boards that no synthesis was measured for, bit operations alone are limited and known.

    Parameters
    ----------
    model : codesign.zoo.Model
    supernet_folder : Path
        From `prepare_supernet`.
    board : Board
    options : Options
        Of the designs, where their sizes are known.
    objective : Objective
    bit_operations : int, optional
        Budget of a frame.
    images : int, optional
        Held-out examples of an evaluation; all unless given.
    correction : Correction, optional
        By which sizes are corrected, from reports of another tool.
    fine_tuning : int
        Batches that the supernet is trained on with the widths of a candidate before that is evaluated.

    Raises
    ------
    UserError
        When even the narrowest widths exceed the budget.
    """
    # Absolute paths, for workers elsewhere.
    path = str(Path(model.path).absolute())
    accuracies = ModelEvaluator(path, supernet_folder.absolute(), images=images, fine_tuning=fine_tuning)
    evaluator, constraint = AccuracyEvaluator(accuracies), Constraint(bit_operations)
    if evaluator_of(board.family) is BoardEvaluator:
        evaluator = BoardEvaluator(accuracies, board, options, correction)
        constraint = Constraint.of_board(board, options.wanted, options.dsp, bit_operations, options.lut)
    space = evaluator.space
    problem = Problem(space, constraint, evaluator, objective)
    # Told now, not by the first candidate.
    within_budget(problem, space.uniform(space.weight_bits[0], space.activation_bits[0]))
    return problem


def focus_of(problem: Problem) -> tuple[int, int] | None:
    """Return the bit operations between which a supernet is to be focused, None where nothing says that.

    That is where costs are part of the objective, no network with the same widths everywhere keeps to the limits, or
    the widest one does. What the limits allow is the budget of bit operations, where that is what keeps wider networks
    away, else `BEYOND` times what the widest one takes that has the same widths everywhere and keeps to them.

    Parameters
    ----------
    problem : Problem
        From `problem_of`.
    """
    space, constraint = problem.space, problem.constraint
    widest = space.uniform(space.weight_bits[-1], space.activation_bits[-1])
    if problem.objective.costs or uniform.holds(problem, widest):
        return None
    one = uniform.widest(problem)
    if one is None:
        return None
    fixed = space.fixed_bit_operations
    taken = space.bit_operations(one) - fixed
    allowed = BEYOND * taken
    if constraint.bit_operations is not None:
        budget = constraint.bit_operations - fixed
        unsized = uniform.widest(dataclasses.replace(problem, constraint=Constraint(constraint.bit_operations)))
        binding = unsized is not None and space.bit_operations(unsized) - fixed == taken
        allowed = budget if binding else min(allowed, budget)
    most = min(allowed, space.bit_operations(widest) - fixed)
    return fixed + round(FOCUS[0] * taken), fixed + round(FOCUS[1] * most)


def focused(
    problem: Problem,
    model: Model,
    folder: Path,
    between: tuple[int, int],
    epochs: int,
    progress: bool = True,
    threads: int = 1,
) -> Problem:
    """Return the problem with a focused supernet, which is trained unless it is there.

    Parameters
    ----------
    problem : Problem
        From `problem_of`.
    model : codesign.zoo.Model
    folder : Path
        Of all supernets of the model.
    between : (int, int)
        Bit operations, from `focus_of`.
    epochs : int
        Of the training.
    progress : bool
        Report on standard error.
    threads : int
        Threads of torch.
    """
    evaluator, space = problem.evaluator, problem.space
    assert isinstance(evaluator, AccuracyEvaluator)  # noqa: S101 - see problem_of
    recipe = FocusedRecipe(
        epochs=epochs,
        weight_bits=space.weight_bits,
        activation_bits=space.activation_bits,
        post="post" in space.schemes,
        least=between[0],
        most=between[1],
    )

    def bit_operations(choice: Choice) -> int:
        return space.bit_operations(Assignment(choice.weights, choice.activations, choice.schemes))

    key = hashlib.sha256(supernet.fingerprint(model, recipe).encode()).hexdigest()[:16]
    supernet.train(model, folder / key, recipe, bit_operations=bit_operations, progress=progress, threads=threads)
    return dataclasses.replace(problem, evaluator=evaluator.with_focused((folder / key).absolute()))


def with_room(problem: Problem, room: float = ROOM) -> Problem:
    """Return the problem that candidates are held to, so that what is trained keeps to that of `problem_of`.

    Parameters
    ----------
    problem : Problem
        Returned as it is where lookup tables are not limited.
    room : float
        Share of the lookup tables that stays free. Designs of candidates are folded for what is left of those that
        were given by options, where they are fewer than the board's; of these, folding leaves more than that free.
    """
    limits, evaluator = dict(problem.constraint.limits), problem.evaluator
    if "lut" not in limits:
        return problem
    asked = limits["lut"]
    limits["lut"] = float(math.floor((1 - room) * asked))
    if isinstance(evaluator, BoardEvaluator):
        given = evaluator.options.lut
        if given is not None and given < evaluator.board.lut:
            options = dataclasses.replace(evaluator.options, lut=max(1, math.floor((1 - room) * given)))
            evaluator = BoardEvaluator(evaluator.accuracies, evaluator.board, options, evaluator.correction)
    constraint = Constraint(problem.constraint.bit_operations, limits)
    return dataclasses.replace(problem, constraint=constraint, evaluator=evaluator, reserve=asked - limits["lut"])

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
from codesign.search.strategies.uniform import Uniform
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
"""Bit operations of the networks that a focused supernet is trained with, as shares of those of the widest network with
the same widths everywhere that keeps to the limits; those of layers whose widths are fixed come on top."""


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
    if estimate.measured(board.family):
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
    all do.

    Parameters
    ----------
    problem : Problem
        From `problem_of`.
    """
    space = problem.space
    holding = Uniform(problem).ask()
    if problem.objective.costs or not holding:
        return None
    taken, fixed = space.bit_operations(holding[0]), space.fixed_bit_operations
    if taken == space.bit_operations(space.uniform(space.weight_bits[-1], space.activation_bits[-1])):
        return None
    least, most = (fixed + round(share * (taken - fixed)) for share in FOCUS)
    return max(1, least), max(1, most)


def focused(
    problem: Problem, model: Model, folder: Path, epochs: int, progress: bool = True, threads: int = 1
) -> Problem:
    """Return the problem with a supernet focused on what its limits allow, which is trained unless it is there.

    Parameters
    ----------
    problem : Problem
        From `problem_of`; returned as it is where `focus_of` tells nothing, or there are no epochs.
    model : codesign.zoo.Model
    folder : Path
        Of all supernets of the model.
    epochs : int
        Of the training.
    progress : bool
        Report on standard error.
    threads : int
        Threads of torch.
    """
    evaluator = problem.evaluator
    assert isinstance(evaluator, AccuracyEvaluator)  # noqa: S101 - see problem_of
    between = focus_of(problem) if epochs else None
    if between is None:
        return problem
    accuracies, space = evaluator.accuracies, problem.space
    _, general = supernet.load(model, accuracies.folder)
    recipe = FocusedRecipe(
        epochs=epochs,
        weight_bits=general.weight_bits,
        activation_bits=general.activation_bits,
        post=general.post,
        least=between[0],
        most=between[1],
    )

    def bit_operations(choice: Choice) -> int:
        return space.bit_operations(Assignment(choice.weights, choice.activations, choice.schemes))

    key = hashlib.sha256(supernet.fingerprint(model, recipe).encode()).hexdigest()[:16]
    supernet.train(model, folder / key, recipe, bit_operations=bit_operations, progress=progress, threads=threads)
    return dataclasses.replace(problem, evaluator=evaluator.focused((folder / key).absolute()))


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

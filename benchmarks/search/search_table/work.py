"""What is done for a task: a search on the supernet, or the training of what it found."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, cast

import msgspec

from codesign import boards, estimate, zoo
from codesign.backends.rtl import estimation, hardware
from codesign.backends.rtl.options import Options
from codesign.search import prepare, run
from codesign.search.board_evaluator import BoardEvaluator, cost_of
from codesign.search.candidate_graph import learned_steps
from codesign.search.mixed_model import write_model
from codesign.search.problem import Constraint, Objective, Problem
from codesign.search.space import Assignment
from codesign.search.supernet import ModelEvaluator
from codesign.train import precision
from codesign.train.recipe import Recipe
from codesign.train.run import train
from codesign.train.supernet import SupernetRecipe
from search_table import scenarios
from search_table.scenarios import Scenario
from search_table.tasks import Search, Store, Training


class Work:
    """Does tasks.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store, self.model, self.board = store, zoo.load(scenarios.MODEL), boards.load(scenarios.BOARD)
        self.options = Options(cycles=scenarios.CYCLES, dsp=scenarios.DSP)

    @functools.cached_property
    def supernet(self) -> Path:
        """The folder of the supernet, which is trained when there is none."""
        with self.store.locked("supernet", wait=True):
            recipe = SupernetRecipe(epochs=scenarios.SUPERNET_EPOCHS)
            return prepare.prepare_supernet(self.model, self.store.supernet, recipe)

    @property
    def accuracies(self) -> ModelEvaluator:
        """What evaluates candidates by the supernet."""
        evaluator = self._unlimited.evaluator
        assert isinstance(evaluator, BoardEvaluator)
        return evaluator.accuracies

    def focused(self, scenario: Scenario) -> Path:
        """Return the folder of the supernet that is focused on the limits of a scenario."""
        evaluator = self.problem(scenario).evaluator
        assert isinstance(evaluator, BoardEvaluator)
        return Path(evaluator.accuracies.focused or self.supernet)

    @functools.cached_property
    def _unlimited(self) -> Problem:
        found = prepare.problem_of(
            self.model, self.supernet, self.board, self.options, Objective(), images=scenarios.IMAGES
        )
        return dataclasses.replace(found, constraint=Constraint())

    @functools.cache  # noqa: B019 - lives as long as the process
    def problem(self, scenario: Scenario) -> Problem:
        """Return the problem of a scenario, the board's limits and its own, with a supernet focused on these."""
        free = self._unlimited
        plain = free.space.uniform(*scenario.widths)
        limits = dict(Constraint.of_board(self.board, scenarios.CYCLES, scenarios.DSP).limits)
        budget = None if scenario.lut else free.space.bit_operations(plain)
        if scenario.lut:
            limits["lut"] = free.evaluator.cost(plain)["lut"]
        found = dataclasses.replace(free, constraint=Constraint(budget, limits))
        between = prepare.focus_of(found)
        assert between is not None
        with self.store.locked(f"supernet-{between[0]}-{between[1]}", wait=True):
            return prepare.focused(found, self.model, self.store.supernet, between, scenarios.FOCUS_EPOCHS)

    def search(self, task: Search) -> dict[str, Any]:
        """Return what a search finds."""
        found = run.search(
            self.problem(task.scenario),
            task.strategy,
            evaluations=scenarios.EVALUATIONS,
            seed=task.seed,
            folder=self.store.folder / "journals" / task.scenario.name,
        )
        about = run.summary(found)
        del about["front"]
        assert found.best is not None
        about["best"]["widths"] = msgspec.to_builtins(found.best.assignment)
        about["repaired"] = sum(each.repaired for each in found.evaluations)
        assert self.model.recipe is not None
        about["precision"] = precision.here(self.model.recipe.precision)
        return about

    def train(self, task: Training, found: dict[str, Any]) -> dict[str, Any]:
        """Train what a search found and return its accuracy on the test set, in percent, and its cost."""
        chosen = msgspec.convert(found["best"]["widths"], Assignment)
        recipe = msgspec.convert({**scenarios.recipe(task.seed), "init_from": self.model.name}, Recipe, strict=False)
        recipe = msgspec.structs.replace(recipe, precision=precision.here(recipe.precision))
        # Of the same widths and seed there is one training, whoever found them.
        name = f"w{chosen.digest()}_t{task.seed}"
        folder = self.store.folder / "trainings" / recipe.precision / name
        with self.store.locked(name, wait=True):
            model = write_model(learned_steps(self.model), chosen, folder / f"{name}.toml", recipe=recipe)
            result = train(cast("Any", model), folder, threads=1, answers=folder)
        found_hardware, _ = hardware.chosen(
            zoo.record(model, {k: v for k, v in msgspec.structs.asdict(result).items() if k != "checkpoint"}).graph(),
            self.board,
            self.options,
        )
        cost = cost_of(estimation.of_layout(found_hardware.layout, self.board, estimate.load(self.board.family)))
        return {
            "scenario": task.search.scenario.name,
            "strategy": task.search.strategy,
            "seed": task.seed,
            "accuracy": result.float_accuracy,
            "images": result.images,
            "precision": recipe.precision,
            "bit_operations": found["best"]["bit_operations"],
            **cost,
        }

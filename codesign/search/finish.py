"""From the candidates of a search to a model: finalists are trained for real and held to the constraint again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from codesign import data, zoo
from codesign.backends.rtl import estimation, hardware
from codesign.backends.rtl.options import Options
from codesign.boards import Board
from codesign.estimate import measured
from codesign.ir import Graph, golden
from codesign.search import finalists
from codesign.search.board_evaluator import cost_of
from codesign.search.candidate_graph import learned_steps
from codesign.search.mixed_model import write_model
from codesign.search.problem import Evaluation, Problem
from codesign.train import precision
from codesign.train.run import train
from codesign.verify.accuracy import evaluate

if TYPE_CHECKING:
    from codesign.backends.rtl.estimation import Estimate
    from codesign.estimate.corrections import Correction
    from codesign.train.recipe import Recipe
    from codesign.zoo import Model

MOST_MISSES = 3
"""Candidates that may turn out too large once they are trained before the search gives up."""

Measuring = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Told what is measured and how many frames there are, shows a progress bar and yields what advances it."""


@dataclass(frozen=True)
class Trained:
    """A candidate that was trained.

    Parameters
    ----------
    proposed : Evaluation
        As the search saw it.
    evaluation : Evaluation
        With the accuracy on held-out examples after the training, and the cost of the trained network.
    model : codesign.zoo.Model
        In the working folder, its checkpoint beside it and its result recorded.
    graph : Graph
        Its integers.
    estimate : Estimate or None
        Of the design that ``codesign emit`` writes; None where no synthesis was measured for the board.
    exceeded : dict of str to (float, float)
        What is more than the constraint allows, and how much it allows; empty for a result.
    """

    proposed: Evaluation
    evaluation: Evaluation
    model: Model
    graph: Graph
    estimate: Estimate | None
    exceeded: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Finish:
    """Trains candidates of a search.

    Parameters
    ----------
    problem : Problem
    source : codesign.zoo.Model
        The model that was searched; trainings start from its weights.
    board : Board
    options : Options
    name : str
        Of the new model.
    folder : Path
        Where trainings are kept; each continues after a kill.
    recipe : Recipe
    answers : Path
        Where the answers of teachers are kept.
    correction : Correction, optional
        By which sizes are corrected, from reports of another tool.
    threads : int
        Threads of torch.
    """

    problem: Problem
    source: Model
    board: Board
    options: Options
    name: str
    folder: Path
    recipe: Recipe
    answers: Path
    correction: Correction | None = None
    threads: int = 1

    def best(self, candidates: Sequence[Evaluation], count: int, measuring: Measuring) -> tuple[Trained, list[Trained]]:
        """Train the best candidates and return the one that is best in the end, and all that were trained.

        The best one is trained, and then such as are unlike those before them; see `codesign.search.finalists`. Those
        that exceed the constraint once they are trained count for nothing, and the next best ones are trained in
        their place, a few times. Examples that were held out decide, never the test set. Where all are too large, the
        first one is returned, with what it exceeds.

        Parameters
        ----------
        candidates : sequence of Evaluation
        count : int
            How many of them.
        measuring : callable
        """
        found: list[Trained] = []
        holding: list[Trained] = []
        left = self._ordered(candidates)
        while left:
            one = finalists.following(left, [each.proposed for each in holding])
            left.remove(one)
            found.append(self.trained(one, measuring))
            holding = [each for each in found if not each.exceeded]
            if len(holding) == count or len(found) - len(holding) > MOST_MISSES:
                break
        if not holding:
            return found[0], found
        best = max(holding, key=lambda each: (self.problem.score(each.evaluation), -each.evaluation.bit_operations))
        return best, found

    def _ordered(self, candidates: Sequence[Evaluation]) -> list[Evaluation]:
        """Return each candidate once, the best first."""
        found: dict[str, Evaluation] = {}
        for one in sorted(candidates, key=lambda each: (-self.problem.score(each), each.bit_operations)):
            found.setdefault(one.assignment.digest(), one)
        return list(found.values())

    def trained(self, one: Evaluation, measuring: Measuring) -> Trained:
        """Train a candidate, or continue its training; one that is finished is read."""
        model = self._model(one, measuring)
        graph = model.graph()
        estimate = self._estimate(graph)
        cost = {} if estimate is None else cost_of(estimate)
        accuracy = model.result.validation_accuracy
        assert accuracy is not None  # noqa: S101 - a search needs held-out examples
        return Trained(
            one,
            msgspec.structs.replace(one, accuracy=accuracy, loss=None, cost=cost),
            model,
            graph,
            estimate,
            self.problem.constraint.exceeded(one.bit_operations, cost),
        )

    def _estimate(self, graph: Graph) -> Estimate | None:
        if not measured(self.board.family):
            return None
        layout = hardware.chosen(graph, self.board, self.options)[0].layout
        found = estimation.of_layout(layout, self.board, blocks=self.options.blocks(self.board))
        return found if self.correction is None else estimation.corrected(found, self.correction)

    def _model(self, one: Evaluation, measuring: Measuring) -> Model:
        own = precision.here(self.recipe.precision)
        recipe = msgspec.structs.replace(self.recipe, init_from=self.source.name, precision=own)
        key = hashlib.sha256(
            msgspec.json.encode([one.assignment, recipe, self.source.measured.checkpoint_sha256], order="deterministic")
        ).hexdigest()[:16]
        folder = self.folder / key
        path = folder / f"{self.name}.toml"
        if path.is_file() and zoo.read(path).measured.validation_accuracy is not None:
            return zoo.read(path)
        title = f"{self.source.name} with widths found by codesign search"
        model = write_model(learned_steps(self.source), one.assignment, path, title=title, recipe=recipe)
        result = train(cast("Any", model), folder, threads=self.threads, answers=self.answers)
        values = {key: value for key, value in msgspec.structs.asdict(result).items() if key != "checkpoint"}
        # Recorded last: a model without a result is one whose training goes on.
        return zoo.record(model, {**values, "accuracy": self._golden(model, measuring)})

    @staticmethod
    def _golden(model: Model, measuring: Measuring) -> float:
        """Return the top-1 accuracy of the integers on the whole test set, in percent."""
        graph, dataset = model.graph(), data.load(model.dataset)
        with measuring("Evaluating the integers", len(dataset.x_test)) as advance:
            found = evaluate(lambda x: golden.run(graph, x), dataset.x_test, dataset.y_test, advance=advance)
        return round(found.accuracy, 4)

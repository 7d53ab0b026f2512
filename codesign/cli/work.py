"""What the commands on one model share: where results lie, which frames to send, the compiled project."""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign import boards
from codesign.cli.console import Console
from codesign.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from codesign.backends.base import Project
    from codesign.boards import Board
    from codesign.data import Dataset
    from codesign.ir import Graph
    from codesign.train.recipe import Recipe
    from codesign.verify.compare import Runner, VerifyResult
    from codesign.zoo import Model

# Integers of a trace that are held at once.
_TRACED = 1 << 23

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Work:
    """One model on one board.

    Parameters
    ----------
    model : Model
    board : Board
    console : Console
    """

    model: Model
    board: Board
    console: Console

    @classmethod
    def on(cls, model: str, board: str, console: Console) -> Work:
        """Read the model and the board by name.

        Raises
        ------
        UserError
            When either does not exist, with the close ones.
        """
        return cls(load_model(model), boards.load(board), console)

    @property
    def folder(self) -> Path:
        """Where results go: ``build/<model>/<board>`` below the current folder."""
        return Path("build") / self.model.name / self.board.name

    @functools.cached_property
    def graph(self) -> Graph:
        """The integer graph of the trained model."""
        self.model.require_integers()
        with self.console.progress(f"Converting {self.model.name} to integers"):
            return self.model.graph()

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data set of the model.

        Raises
        ------
        UserError
            When an imported model has none, or it is not to be had.
        """
        from codesign import data

        if not self.model.dataset:
            raise UserError(f"{self.model.name} was imported without a data set; import it again with --data.")
        return data.load(self.model.dataset)

    def frames(self, count: int, seed: int) -> tuple[np.ndarray, str]:
        """Return frames to verify with, and in words where they come from.

        Half are test images, half are random with the extremes first; all are random where the data set
        is not to be had.
        """
        import numpy as np

        from codesign.verify.frames import dataset_frames, random_frames

        try:
            images = self.dataset.x_test
        except UserError as error:
            self.console.say(f"{error} Using random frames.")
            return random_frames(self.graph, count, seed), f"random frames, seed {seed}"
        real = dataset_frames(images, count - count // 2, seed)
        made = random_frames(self.graph, count - len(real), seed)
        words = f"{len(real)} test images and {len(made)} random and extreme frames, seed {seed}"
        return np.concatenate([made, real]), words

    def project_folder(self, backend: str, options: dict[str, Any]) -> Path:
        """Where the project of a backend lies."""
        variant = "_parallel" if options.get("io_type") == "io_parallel" else ""
        return self.folder / f"{backend}{variant}"

    def emit(self, backend: str, **options: Any) -> Project:
        """Write the project of `backend`; options that are None are left to the backend."""
        from codesign import backends

        # Told before the model is converted, which takes seconds.
        backends.load(backend).require_board(self.board)
        chosen = {name: value for name, value in options.items() if value is not None}
        folder = self.project_folder(backend, chosen)
        graph = self.graph
        with self.console.progress(f"Writing the {backend} project"):
            project = backends.load(backend).emit(graph, self.board, folder, **chosen)
        if (retired := getattr(project, "retired", None)) is not None:
            self.console.say(f"{folder} held tool results or edited files; what it was is kept in {retired}.")
        wanted, taken = chosen.get("cycles"), getattr(project, "cycles_per_frame", None)
        if wanted is not None and taken is not None and taken > wanted:
            self.console.say(
                f"A frame takes {taken:,} cycles: none of the ways to lay it out takes the {wanted:,} asked for."
            )
        most, tables = chosen.get("lut"), getattr(project, "tables", None)
        if most is not None and tables is not None and tables > most:
            slower = "" if chosen.get("fastest") else "; more clocks for a frame (--cycles) make it smaller"
            self.console.say(
                f"It takes {tables:,} lookup tables by estimate, more than the {most:,} asked for{slower}."
            )
        return project

    def compiled(self, backend: str, **options: Any) -> Project:
        """Write the project and build its simulation."""
        project = self.emit(backend, **options)
        self.compile(project)
        return project

    def compile(self, project: Project) -> None:
        """Build the simulation of a project."""
        with self.console.progress(f"Compiling the {project.simulation.kind}"):
            project.compile()

    def verify(self, project: Runner, frames: np.ndarray) -> VerifyResult:
        """Compare a compiled project with the golden executor on every edge, batch by batch."""
        from codesign.verify.compare import VerifyResult, verify

        # All edges of all frames at once may not fit the memory.
        batch = max(16, _TRACED // sum(edge.size for edge in self.graph.edges.values()))
        found: list[VerifyResult] = []
        first = None
        with self.console.progress(f"Comparing {len(frames)} vectors with the golden executor", len(frames)) as advance:
            for begin in range(0, len(frames), batch):
                result = verify(self.graph, project, frames[begin : begin + batch])
                if first is None and (first := result.first_difference) and first.element:
                    element = (first.element[0] + begin, *first.element[1:])
                    first = dataclasses.replace(first, element=element)
                found.append(result)
                advance(result.vectors)
        return VerifyResult(
            differences=sum(result.differences for result in found),
            vectors=sum(result.vectors for result in found),
            tensors=found[0].tensors,
            integers=sum(result.integers for result in found),
            first_difference=first,
        )


def load_model(name: str) -> Model:
    """Read a model by name, or from a path that ends in ``.toml``.

    Raises
    ------
    UserError
        When there is no such model, or its name would not be a safe folder name.
    """
    from codesign import zoo

    model = zoo.load(name)
    if not _MODEL.fullmatch(model.name):
        raise UserError(
            f"{model.path}: a model's file name may hold letters, digits, '_', '-' and '.' only; rename it."
        )
    return model


def tell_precision(console: Console, recipe: Recipe) -> None:
    """Say so where this processor computes in another precision than a recipe asks for."""
    from codesign.train import precision

    if (own := precision.here(recipe.precision)) != recipe.precision:
        console.say(f"This processor has no fast {recipe.precision}; training is in {own}, and its result another one.")


def difference(result: Any) -> dict[str, Any] | None:
    """Return the first difference of a `VerifyResult` as JSON wants it."""
    first = result.first_difference
    if first is None:
        return None
    return {
        "node": first.node,
        "operator": first.operator,
        "label": first.label,
        "element": list(first.element),
        "expected": first.expected,
        "found": first.found,
    }

"""`codesign train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import load_model, tell_precision

if TYPE_CHECKING:
    from codesign.zoo import Model


@make(name="train", short_help="Train a model by its recipe, continuing where a killed run stopped.")
@options.model
@click.option("--fresh", is_flag=True, help="Start anew instead of continuing an unfinished training.")
@click.option("--record", is_flag=True, help="Then replace the model's checkpoint and measured accuracy.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads of torch.")
def command(console: Console, model: str, fresh: bool, record: bool, threads: int) -> None:
    """Train a model by the recipe in its TOML file and measure it once on the test set.

    The state is written after every epoch to build/MODEL/train/; the same command continues a run that was
    stopped, with the same result. There the trained model ends up too, as MODEL.toml and MODEL.safetensors:
    every command takes that path in place of a model's name.
    """
    import msgspec

    from codesign import zoo
    from codesign.files import atomic_write
    from codesign.train import precision
    from codesign.train.run import train

    chosen = load_model(model)
    if chosen.recipe is not None:
        tell_precision(console, chosen.recipe)
    folder = Path("build") / chosen.name / "train"
    result = train(
        cast("Any", chosen),
        folder,
        resume=not fresh,
        threads=threads,
        # One place for all students of a teacher: its answers take longer to compute than to read.
        answers=Path("build") / "teacher",
    )
    values = {key: value for key, value in msgspec.structs.asdict(result).items() if key != "checkpoint"}
    assert chosen.recipe is not None  # noqa: S101 - it was trained
    own = precision.here(chosen.recipe.precision)
    values["precision"] = None if own == chosen.recipe.precision else own
    copied = _copy(chosen, folder)
    values["accuracy"] = None if copied.widths.is_float else _golden(console, copied)
    copied = zoo.record(copied, values)
    if record:
        atomic_write(chosen.checkpoint_path, Path(result.checkpoint).read_bytes())
        zoo.record(chosen, values)
    integers = "" if values["accuracy"] is None else f", {values['accuracy']:.2f} % in integers"
    console.result(
        {
            "model": chosen.name,
            "path": copied.path,
            "checkpoint": result.checkpoint,
            "recorded": record,
            **values,
        },
        f"{chosen.name}: {result.float_accuracy:.2f} % in float{integers}, on {result.images:,} test images. "
        f"The trained model is {copied.path}.",
    )


def _copy(model: Model, folder: Path) -> Model:
    """Put the model's file beside its new checkpoint."""
    from codesign import zoo
    from codesign.files import atomic_write

    target = folder / f"{model.name}.toml"
    if target.resolve() != Path(model.path).resolve():
        atomic_write(target, Path(model.path).read_bytes())
    return zoo.read(target)


def _golden(console: Console, model: Model) -> float:
    """Measure the top-1 accuracy of the integers on the whole test set, in percent."""
    from codesign import data
    from codesign.ir import golden
    from codesign.verify.accuracy import evaluate

    graph, dataset = model.graph(), data.load(model.dataset)
    with console.progress("Evaluating the integers", len(dataset.x_test)) as advance:
        found = evaluate(lambda x: golden.run(graph, x), dataset.x_test, dataset.y_test, advance=advance)
    return round(found.accuracy, 4)

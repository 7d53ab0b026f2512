"""`codesign import`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from codesign.data import Info
    from codesign.frontends.qonnx import Imported
    from codesign.ir import Graph, IntType

MAX_COMPARED = 1 << 27
"""Most numbers of all frames that are compared."""


@make(name="import", short_help="Turn a QONNX file into a model like those of `codesign models`.")
@click.argument("file", metavar="FILE")
@click.option("--name", help="Name of the model. [default: that of the file]")
@click.option("--data", "dataset", help="Data set that gives its test inputs. [default: none, random frames]")
@click.option(
    "--input-scale",
    type=click.FloatRange(min=0, min_open=True),
    help="Real value of one step of the sensor's integers, such as 0.00390625. [default: as the file says it]",
)
@click.option(
    "--input-type",
    metavar="TYPE",
    help="Integers that the sensor gives, such as uint8. [default: as the data set or the file says, else uint8]",
)
@click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="Axes of its frames. [default: found out]")
@click.option(
    "--short-multipliers",
    is_flag=True,
    help="Multipliers of 17 bits behind wide quantisers, as the model's own frontend has: fewer DSP blocks, and a "
    "rare integer rounds otherwise than in the file.",
)
@click.option("--strict", is_flag=True, help="Refuse a network where the rounding of float32 decides.")
@click.option(
    "--check",
    type=click.IntRange(0),
    default=0,
    help="Compare so many random frames with the qonnx executor. [default: 0]",
)
@options.seed
@click.option("--force", is_flag=True, help="Replace a model that was imported before.")
def command(
    console: Console, file: str, name: str | None, dataset: str | None, input_scale: float | None,
    input_type: str | None, layout: str | None, short_multipliers: bool, strict: bool, check: int,
    seed: int, force: bool,
) -> int:  # fmt: skip
    """Turn a QONNX file, as Brevitas and FINN write it, into a model of integers in ./models or $CODESIGN_MODELS.

    Every command then takes its name. What the integers of the input mean is said by --input-scale, by the file's
    annotation, or by a quantiser at the input of the network. Nothing is written when the file is refused.
    """
    from codesign import ir, store
    from codesign.frontends.qonnx import convert
    from codesign.frontends.qonnx_file import clean, read_bytes
    from codesign.frontends.qonnx_file import loads as parse
    from codesign.zoo import Source

    if strict and short_multipliers:
        raise UserError("--short-multipliers may round otherwise than the file, which --strict refuses; leave one out.")
    chosen = Path(file).stem if name is None else name
    path = store.require_free(chosen, force)
    info = _described(dataset, input_scale)
    type = _type(input_type, info)
    data = read_bytes(file)
    with console.progress(f"Converting {clean(Path(file).name)} to integers"):
        found = convert(
            parse(data, file), input_type=type, input_scale=input_scale, layout=layout,
            exact=not short_multipliers, name=chosen,
        )  # fmt: skip
    graph = found.graph
    if info is not None:
        _require_fit(graph, info, dataset or "")
    if strict and not found.settled:
        raise UserError(f"{_told(found)}; give scales that are powers of two, or leave out --strict.")
    different, element = _compared(console, found, data, check, seed) if check else (0, None)
    values: dict[str, Any] = {}
    if not different:
        digest = ir.digest(graph)
        source = Source(clean(Path(file).name), hashlib.sha256(data).hexdigest(), digest)
        values = _result(console, graph, dataset)
        store.write(
            path, graph, source, title=f"Imported from {source.file}", dataset=dataset or "",
            result={**values, "checkpoint_sha256": hashlib.sha256(ir.dumps(graph)).hexdigest()},
        )  # fmt: skip
    console.result(
        {
            "model": chosen,
            "path": None if different else path,
            "graph_sha256": ir.digest(graph),
            "input": str(graph.input),
            "input_scale": found.input_scale,
            "layout": found.layout,
            "open_steps": sum(part.steps for part in found.open),
            "open_nodes": [part.label for part in found.open],
            "vectors": check,
            "differences": different,
            "first_difference": element,
            "accuracy": values.get("accuracy"),
        },
        *_sentences(chosen, path, found, values, check, different, element, short_multipliers),
    )
    return 1 if different else 0


def _sentences(
    name: str,
    path: Path,
    found: Imported,
    values: dict[str, Any],
    check: int,
    different: int,
    element: Sequence[int] | None,
    short: bool,
) -> list[str]:
    if different:
        return [
            f"{different:,} integers of {check} frames differ from the qonnx executor, first {element}; "
            "nothing was written.",
            *([f"{_told(found)}."] if not found.settled else []),
        ]
    said = [f"{name} takes {found.graph.input} and gives {found.graph.output}; it is {path}."]
    if check:
        said.append(f"{check} frames give the integers of the qonnx executor.")
    if "accuracy" in values:
        said.append(f"{values['accuracy']:.2f} % of {values['images']:,} test images.")
    if not found.settled:
        said.append(f"{_told(found)}; here exact arithmetic does.")
    if short:
        # Without it the sentence above would hold of them too.
        said.append("Wide quantisers have multipliers of 17 bits, which round a rare integer otherwise than the file.")
    return said


def _told(found: Imported) -> str:
    """Say what float32 leaves open."""
    steps, total = sum(part.steps for part in found.open), sum(part.total for part in found.open)
    if not steps:
        return "the last digits of the output are rounded by float32 sums in the file"
    return (
        f"the rounding of float32 sums decides {steps:,} of {total:,} steps between levels (or ties between logits) in "
        f"{len(found.open)} nodes of the file"
    )


def _described(dataset: str | None, input_scale: float | None) -> Info | None:
    from codesign import data

    if dataset is None:
        return None
    info = data.info(dataset)
    if input_scale is None:
        raise UserError(
            "say by --input-scale what one step of the data set's integers is to the network, such as 0.00390625."
        )
    return info


def _type(text: str | None, info: Info | None) -> IntType | None:
    from codesign.ir import IntType

    if info is not None:
        known = IntType(info.input_bits, info.input_signed)
        if text not in (None, str(known)):
            raise UserError(f"the data set gives {known}; leave out --input-type.")
        return known
    if text is None:
        return None
    kind, bits = text.rstrip("0123456789"), text[len(text.rstrip("0123456789")) :]
    if kind not in ("int", "uint") or not bits or not 1 <= int(bits[:3]) <= 16 or len(bits) > 2:
        raise UserError("--input-type is int or uint with a width of 1 to 16 bits, such as uint8.")
    return IntType(int(bits), kind == "int")


def _require_fit(graph: Graph, info: Info, dataset: str) -> None:
    if graph.input.shape != info.shape:
        other = ", or say its axes by --layout" if sorted(graph.input.shape) == sorted(info.shape) else ""
        raise UserError(
            f"the network takes frames of {graph.input.shape} and {dataset} has {info.shape}; "
            f"choose another data set{other}."
        )


def _compared(
    console: Console, found: Imported, data: bytes, count: int, seed: int
) -> tuple[int, tuple[int, ...] | None]:
    """Return how many integers differ from the executor's, and the first element that does."""
    import numpy as np

    from codesign.frontends.qonnx_reference import compared
    from codesign.verify.frames import random_frames

    batch = found.file.shape[0] or 1
    whole = -(-count // batch) * batch
    if whole * found.graph.input.size > MAX_COMPARED:
        raise UserError(
            f"comparing {count:,} frames in batches of {batch:,} takes more memory than is sensible; choose fewer, or "
            "export the network with a batch of 1."
        )
    frames = random_frames(found.graph, whole, seed)
    with console.progress(f"Comparing {len(frames)} frames with the qonnx executor"):
        expected, integers = compared(found, data, frames)
    unequal: np.ndarray = expected != integers
    if not unequal.any():
        return 0, None
    return int(unequal.sum()), tuple(int(axis) for axis in np.argwhere(unequal)[0])


def _result(console: Console, graph: Graph, dataset: str | None) -> dict[str, Any]:
    """Return the size of the network and, with a data set, its accuracy."""
    from codesign import data
    from codesign.ir import golden
    from codesign.report.layers import describe
    from codesign.verify.accuracy import evaluate

    layers = describe(graph)
    values: dict[str, Any] = {
        "parameters": sum(layer.weights for layer in layers),
        "macs": sum(layer.macs for layer in layers),
    }
    if dataset is None or graph.output.size not in (1, len(data.info(dataset).classes)):
        return values
    try:
        loaded = data.load(dataset)
    except UserError as error:
        console.say(f"{error} The accuracy is not measured.")
        return values
    with console.progress("Evaluating the integers", len(loaded.x_test)) as advance:
        measured = evaluate(lambda x: golden.run(graph, x), loaded.x_test, loaded.y_test, advance=advance)
    return {**values, "accuracy": round(measured.accuracy, 4), "images": measured.images}

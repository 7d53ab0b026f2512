"""Writing an imported integer graph as a model: a TOML file and the graph beside it, as `codesign.zoo` reads them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from codesign import ir, zoo
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.ir.ops import Add, Conv2d, Dense, Dyadic, Flatten, MaxPool, SumPool, Threshold
from codesign.quant.widths import MAX_BITS, Widths
from codesign.zoo import Model, Result, Source

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")


def home() -> Path:
    """Return the folder that new models go to: $CODESIGN_MODELS, else ./models."""
    chosen = os.environ.get("CODESIGN_MODELS")
    return Path(chosen) if chosen else Path.cwd() / "models"


def require_free(name: str, force: bool) -> Path:
    """Return the path of the TOML file of a new model.

    Raises
    ------
    UserError
        When the name would be no safe file name, or is taken: by a trained model for good, by an imported one unless
        `force` is given.
    """
    if not _NAME.fullmatch(name) or name.endswith((".toml", ".")):
        raise UserError(
            "a model's name has up to 60 letters, digits, '_', '-' and '.', the first a letter or digit; "
            "choose another one by --name."
        )
    path = home() / f"{name}.toml"
    if name not in zoo.names() and not path.exists():
        return path
    existing = zoo.load(name)
    if existing.framework != "qonnx" or Path(existing.path).parent != path.parent.absolute():
        raise UserError(f"{name} is another model, in {existing.path}; choose another name by --name.")
    if not force:
        raise UserError(f"{name} was imported before; choose another name by --name, or replace it by --force.")
    return path


def write(path: Path, graph: ir.Graph, source: Source, *, title: str, dataset: str, result: dict[str, Any]) -> Model:
    """Write a model; the TOML file, which makes it known, comes last.

    Parameters
    ----------
    path : Path
        From `require_free`.
    graph : Graph
    source : Source
        Its digest of the graph is that of `graph`.
    title : str
        One line for people.
    dataset : str
        Name of a data set, or "".
    result : dict
        Fields of `Result`.

    Returns
    -------
    Model
        Read again from the files.
    """
    scale = graph.scales[graph.inputs[0]].factor
    lines = [f"title = {_text(title)}", 'framework = "qonnx"', f"input_scale = {scale!r}"]
    lines += [f"dataset = {_text(dataset)}"] if dataset else []
    sections = {
        "widths": msgspec.structs.asdict(widths(graph)),
        "result": result,
        "source": msgspec.structs.asdict(source),
    }
    msgspec.convert(result, Result)
    for name, values in sections.items():
        lines += ["", f"[{name}]"]
        lines += [
            f"{key} = {_text(v) if isinstance(v, str) else repr(v)}" for key, v in values.items() if v is not None
        ]
    beside = path.with_suffix(".graph")
    fresh = not beside.exists()
    ir.save(graph, beside)
    try:
        atomic_write(path, "\n".join(lines) + "\n")
    except BaseException:
        if fresh:
            beside.unlink(missing_ok=True)
        raise
    return zoo.read(path)


def widths(graph: ir.Graph) -> Widths:
    """Return the bit widths of a graph, as the table of models tells them; the greatest where they differ."""
    layers = [(node.op, node.inputs[0]) for node in graph if isinstance(node.op, (Conv2d, Dense))]
    bits = [max(op.channel_bits) for op, _ in layers] or [1]
    last = layers[-1][1] if layers else graph.inputs[0]
    sources = {node.name: node.inputs[0] for node in graph if isinstance(node.op, (Flatten, MaxPool, SumPool))}
    while last in sources:
        last = sources[last]
    made = [node.name for node in graph if isinstance(node.op, (Threshold, Dyadic)) and node.name != last]
    inner = [graph.edges[name].type.bits for name in made if name not in graph.outputs]
    sums = [edge.type.bits for node in graph if isinstance(node.op, Add) for edge in graph.input_edges(node)]

    def kept(value: int, least: int = 1) -> int:
        return min(max(value, least), MAX_BITS)

    return Widths(
        weight_bits=kept(max(bits[1:-1] or bits)),
        activation_bits=kept(max(inner or [graph.edges[last].type.bits])),
        first_weight_bits=kept(bits[0]),
        last_weight_bits=kept(bits[-1]),
        last_activation_bits=kept(graph.edges[last].type.bits),
        residual_bits=kept(max(sums or [8]), 2),
    )


def _text(value: str) -> str:
    """Return a TOML string; JSON's escapes are TOML's too."""
    return json.dumps("".join(c if c.isprintable() else " " for c in value), ensure_ascii=False)

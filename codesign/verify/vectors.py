"""Regression vectors: committed inputs and integers that no part of the flow may change.

`models/NAME.vectors.json` holds a few input frames, the output integers they give, a SHA-256 of every edge of
the golden trace and a digest of the integer graph. `check` compares all of it with what the checkpoint, the
frontend, golden and the C-simulation give today; `update` records anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.ir import Graph, digest, golden
from codesign.verify.compare import Runner
from codesign.verify.frames import dataset_frames, random_frames

VERSION = 1

MAX_INPUT_BYTES = 1 << 26
"""Most that the packed inputs may unpack to."""

_DTYPES = {"uint8": "<u1", "int8": "<i1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "int64": "<i8"}


def path_of(checkpoint: Path) -> Path:
    """Return where the vectors of a model lie: beside its checkpoint."""
    return checkpoint.with_suffix(".vectors.json")


def record(graph: Graph, x_test: np.ndarray | None, count: int) -> dict[str, Any]:
    """Return the vectors of a graph as a JSON document: half from the data set, half random and extreme.

    Parameters
    ----------
    graph : Graph
    x_test : ndarray of int, shape (frames, *input shape), or None
        None where there is no data set: then all frames are random and extreme.
    count : int
        Frames to keep, at least 2; fewer are kept where the data set has not that many.
    """
    if x_test is None:
        frames = random_frames(graph, count, seed=0)
    else:
        real = dataset_frames(x_test, count - count // 2, seed=0)
        frames = np.concatenate([real, random_frames(graph, count // 2, seed=0)])
    traced = golden.run(graph, frames, trace=True)
    return {
        "format": "codesign-vectors",
        "version": VERSION,
        "graph_sha256": digest(graph),
        "shape": list(frames.shape),
        "type": str(graph.input.type),
        "inputs": _pack(frames),
        "outputs": traced[graph.outputs[0]].reshape(len(frames), -1).tolist(),
        "edges": {node.name: _edge_hash(traced[node.name]) for node in graph.nodes},
    }


def dumps(document: Mapping[str, Any]) -> str:
    """Return the document as text with one frame's outputs and one edge per line, for readable diffs."""
    lines = []
    for key, value in document.items():
        if key == "outputs":
            rows = ",\n  ".join(json.dumps(row) for row in value)
            lines.append(f' "outputs": [\n  {rows}\n ]')
        elif key == "edges":
            rows = ",\n  ".join(f"{json.dumps(edge)}: {json.dumps(sha)}" for edge, sha in value.items())
            lines.append(f' "edges": {{\n  {rows}\n }}')
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def load(path: Path) -> dict[str, Any]:
    """Read committed vectors.

    Raises
    ------
    UserError
        When the file is missing, damaged or of another version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] == "codesign-vectors" and document["version"] != VERSION:
            raise UserError(
                f"{path} is of another version; record the vectors anew with `codesign csim MODEL --update`."
            )
        return parse(document)
    except FileNotFoundError as error:
        raise UserError(f"there are no vectors at {path}; record them with `codesign csim MODEL --update`.") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, MemoryError, zlib.error, OSError) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}); restore it from version control.") from error


def parse(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `changes` compares: the unpacked content of a document from `record`, or read from a file.

    Raises
    ------
    ValueError, KeyError, TypeError, OverflowError, zlib.error
        When the document is damaged.
    """
    if document["format"] != "codesign-vectors":
        raise ValueError("another format")
    frames = _unpack(document)
    outputs = np.array(document["outputs"])
    if outputs.dtype != np.int64 or outputs.ndim != 2 or len(outputs) != len(frames):
        raise ValueError("the outputs are not one row of integers per frame")
    edges, graph_sha256 = dict(document["edges"]), str(document["graph_sha256"])
    return {"graph_sha256": graph_sha256, "frames": frames, "outputs": outputs, "edges": edges}


def changes(graph: Graph, committed: Mapping[str, Any], project: Runner | None) -> list[str]:
    """Return one sentence per thing that differs from the committed vectors; an empty list when nothing does.

    Parameters
    ----------
    graph : Graph
        Made from the checkpoint today.
    committed : mapping
        From `load` or `parse`.
    project : Runner or None
        A compiled project to run the vectors through too.
    """
    found: list[str] = []
    if digest(graph) != committed["graph_sha256"]:
        found.append("the integer graph (structure, weights or constants) is another one")
    frames = committed["frames"]
    if frames.shape[1:] != graph.input.shape or not graph.input.type.holds(frames):
        return [*found, f"the graph now takes {graph.input} and the vectors do not fit"]
    traced = golden.run(graph, frames, trace=True)
    found += _against("golden", graph, traced, committed)
    if project is not None:
        simulated = project.run(frames, trace=True)
        found += _against("C-simulation", graph, simulated, committed)
    return found


def _against(who: str, graph: Graph, traced: Mapping[str, np.ndarray], committed: Mapping[str, Any]) -> list[str]:
    for node in graph.nodes:
        expected = committed["edges"].get(node.name)
        if node.name in traced and _edge_hash(traced[node.name]) != expected:
            label = f", layer {node.label!r}" if node.label else ""
            return [f"{who} gives other integers, first at {node.name} ({node.op.name}{label})"]
    output = traced[graph.outputs[0]].reshape(len(committed["frames"]), -1)
    if output.shape != committed["outputs"].shape or (output != committed["outputs"]).any():
        return [f"{who} gives other outputs"]
    if len(committed["edges"]) != len(graph.nodes):
        return [f"the graph has {len(graph.nodes)} operators, the vectors {len(committed['edges'])}"]
    return []


def save(document: Mapping[str, Any], path: Path) -> None:
    """Write vectors to `path`, whole or not at all."""
    atomic_write(path, dumps(document))


def _edge_hash(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<i8").tobytes()).hexdigest()


def _pack(frames: np.ndarray) -> dict[str, str]:
    low, high = int(frames.min()), int(frames.max())
    name = next(n for n, c in _DTYPES.items() if np.iinfo(c).min <= low and high <= np.iinfo(c).max)
    code = _DTYPES[name]
    data = zlib.compress(np.ascontiguousarray(frames, dtype=code).tobytes(), 9)
    return {"dtype": name, "zlib_base64": base64.b64encode(data).decode()}


def _unpack(document: Mapping[str, Any]) -> np.ndarray:
    shape = tuple(int(extent) for extent in document["shape"])
    dtype = np.dtype(_DTYPES[document["inputs"]["dtype"]])
    if not shape or min(shape) < 1:
        raise ValueError("the shape of the inputs is empty")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_INPUT_BYTES:
        raise ValueError("the inputs claim more than vectors need")
    raw = base64.b64decode(document["inputs"]["zlib_base64"], validate=True)
    data = zlib.decompressobj().decompress(raw, size + 1)
    if len(data) != size:
        raise ValueError("the inputs have another size than their shape says")
    return np.frombuffer(data, dtype=dtype).reshape(shape).astype(np.int64)

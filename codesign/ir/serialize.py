"""The file format of the integer graph: one zip of `graph.json` and NumPy arrays, without pickle.

Version 1 holds `graph.json` (structure, attributes, types, scales) and `arrays/<n>.npy` (int64, at most five
axes). Members are stored with fixed dates in a fixed order, so the same graph makes the same bytes. A reader
refuses other versions, unknown operators or attributes, and members larger than they say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.ir.graph import Graph, GraphBuilder
from codesign.ir.operator import OperatorError
from codesign.ir.ops import by_name
from codesign.ir.types import IntType

FORMAT = "codesign-integer-graph"
VERSION = 1
MAX_MEMBER_BYTES = 1 << 31
"""Largest member a reader unpacks: far above any network here, far below exhausting the memory."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def dumps(graph: Graph) -> bytes:
    """Return the file's bytes; equal graphs give equal bytes."""
    arrays: list[np.ndarray] = []

    def encode(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {"array": len(arrays) - 1}
        if isinstance(value, IntType):
            return {"type": [value.bits, value.signed]}
        return list(value) if isinstance(value, tuple) else value

    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "inputs": [
            {
                "shape": list(graph.edges[edge].shape),
                "type": [graph.edges[edge].type.bits, graph.edges[edge].type.signed],
                "scale": graph.scales[edge].factor.hex(),
            }
            for edge in graph.inputs
        ],
        "nodes": [
            {
                "op": node.op.name,
                "inputs": list(node.inputs),
                "label": node.label,
                "attributes": {key: encode(value) for key, value in node.op.attributes().items()},
            }
            for node in graph.nodes
        ],
        "outputs": [{"edge": edge, "scale": graph.scales[edge].factor.hex()} for edge in graph.outputs],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo("graph.json", _EPOCH),
            json.dumps(document, indent=1).encode(),
            zipfile.ZIP_DEFLATED,
        )
        for index, array in enumerate(arrays):
            member = io.BytesIO()
            np.save(member, np.ascontiguousarray(array, dtype="<i8"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"arrays/{index}.npy", _EPOCH), member.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def digest(graph: Graph) -> str:
    """Return a SHA-256 over structure and integers; names for people, labels and scales do not count."""
    sha = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, np.ndarray):
            sha.update(repr(value.shape).encode())
            sha.update(np.ascontiguousarray(value, dtype="<i8").tobytes())
        else:
            sha.update(repr(value).encode())
        sha.update(b"\0")

    feed([(edge, graph.edges[edge].shape, str(graph.edges[edge].type)) for edge in graph.inputs])
    for node in graph.nodes:
        feed((node.name, node.op.name, node.inputs))
        for key, value in node.op.attributes().items():
            feed(key)
            feed(str(value) if isinstance(value, IntType) else value)
    feed(graph.outputs)
    return sha.hexdigest()


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write the graph to `path`, whole or not at all.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    atomic_write(path, dumps(graph))


def load(path: str | os.PathLike[str]) -> Graph:
    """Read a graph and check every operator's rules again.

    Raises
    ------
    UserError
        When the file is missing, damaged, of another version, or describes no legal graph.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    return loads(data, str(path))


def loads(data: bytes, source: str = "the graph file") -> Graph:
    """Read a graph from bytes; see `load`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            document = json.loads(_member(archive, "graph.json"))
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise UserError(
                    f"{source} is not an integer graph of codesign; give a file written by `codesign emit`."
                )
            if document.get("version") != VERSION:
                raise UserError(
                    f"{source} has graph format version {document.get('version')!r}, this codesign reads {VERSION}; "
                    "emit it again with this version."
                )
            return _graph(document, archive)
    except UserError:
        raise
    except (
        zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, KeyError, IndexError, TypeError, ValueError,
        EOFError, NotImplementedError, RecursionError, AttributeError, OverflowError, zipfile.LargeZipFile, OSError,
        MemoryError,
    ) as error:  # fmt: skip
        detail = str(error) if isinstance(error, OperatorError) else type(error).__name__
        raise UserError(f"{source} is damaged or no legal integer graph ({detail}); emit it again.") from error
    except Exception as error:
        # zlib.error is not importable through zipfile, and a damaged stream may raise it.
        if type(error).__module__ in ("zlib", "zipfile"):
            raise UserError(f"{source} is damaged ({error}); emit it again.") from error
        raise


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"{name} claims {info.file_size} bytes")
    with archive.open(info) as stream:
        data = stream.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise ValueError(f"{name} is not as long as it says")
    return data


def _graph(document: dict[str, Any], archive: zipfile.ZipFile) -> Graph:
    classes = by_name()

    def decode(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == {"array"}:
                return _array(_member(archive, f"arrays/{int(value['array'])}.npy"))
            if set(value) == {"type"}:
                return _type(value["type"])
            raise ValueError("unknown attribute encoding")
        if isinstance(value, list):
            return tuple(decode(item) for item in value)
        return value

    builder = GraphBuilder(str(document["name"]))
    for entry in document["inputs"]:
        builder.input(tuple(int(v) for v in entry["shape"]), _type(entry["type"]), float.fromhex(entry["scale"]))
    for entry in document["nodes"]:
        if entry["op"] not in classes:
            raise OperatorError(f"unknown operator {entry['op']!r}")
        operator = classes[entry["op"]]
        attributes = {key: decode(value) for key, value in entry["attributes"].items()}
        known = {field.name for field in dataclasses.fields(operator)}
        if set(attributes) != known:
            raise OperatorError(f"{entry['op']} has the attributes {sorted(known)}, not {sorted(attributes)}")
        builder.add(operator(**attributes), *entry["inputs"], label=str(entry["label"]))
    scales = {entry["edge"]: float.fromhex(entry["scale"]) for entry in document["outputs"]}
    return builder.build(*(entry["edge"] for entry in document["outputs"]), scales=scales)


def _type(value: Any) -> IntType:
    bits, signed = value
    if not isinstance(bits, int) or not isinstance(signed, bool):
        raise ValueError("a type is [bits, signed]")
    return IntType(bits, signed)


def _array(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    array = np.load(stream, allow_pickle=False)
    if array.dtype != np.dtype("<i8"):
        raise ValueError("arrays hold 64-bit integers")
    return array

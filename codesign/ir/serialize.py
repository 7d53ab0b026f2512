"""The file format of the integer graph: one zip of `graph.json` and NumPy arrays, without pickle.

Version 1 holds `graph.json` (structure, attributes, types, scales) and `arrays/<n>.npy` (int64, at most five
axes). Members are stored with fixed dates in a fixed order, so the same graph makes the same bytes. A reader
refuses other versions, unknown operators or attributes, and more than they say or than `MAX_UNPACKED_BYTES` in all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.ir.graph import Graph, GraphBuilder
from codesign.ir.operator import OperatorError, integer
from codesign.ir.ops import by_name
from codesign.ir.types import IntType

FORMAT = "codesign-integer-graph"
VERSION = 1
MAX_UNPACKED_BYTES = 1 << 28
"""Most a reader unpacks of one file: 32 million weights, more than any FPGA holds, in a small share of the memory."""

MAX_DOCUMENT_BYTES = 1 << 24
"""Largest `graph.json`, some ten thousand operators; parsed JSON takes many times its size."""

_ARRAY_HEADER = re.compile(
    rb"\{'descr': '<i8', 'fortran_order': False, 'shape': \(((?:[0-9]{1,18}, ){0,4}[0-9]{1,18},?)\), \} *\n"
)
"""What `numpy.save` writes for int64 arrays, and all that is read: no pickle, no other parser of NumPy's."""

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
            members = _Members(archive)
            document = json.loads(members.read("graph.json", MAX_DOCUMENT_BYTES))
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise UserError(
                    f"{source} is not an integer graph of codesign; give a file written by `codesign emit`."
                )
            if document.get("version") != VERSION:
                raise UserError(
                    f"{source} has graph format version {document.get('version')!r}, this codesign reads {VERSION}; "
                    "emit it again with this version."
                )
            return _graph(document, members)
    except UserError:
        raise
    except Exception as error:
        # Damaged bytes make zipfile, its decompressors and json raise a dozen unrelated kinds.
        detail = str(error) if isinstance(error, OperatorError) else type(error).__name__
        raise UserError(f"{source} is damaged or no legal integer graph ({detail}); emit it again.") from error


class _Members:
    """Unpacks members of an archive, refusing more bytes in all than a reader should take."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.left = MAX_UNPACKED_BYTES

    def read(self, name: str, most: int = MAX_UNPACKED_BYTES) -> bytes:
        info = self.archive.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is packed in an unknown way")
        if info.file_size > min(most, self.left):
            raise OperatorError(f"{name} claims {info.file_size} bytes")
        self.left -= info.file_size
        with self.archive.open(info) as stream:
            data = stream.read(info.file_size + 1)
        if len(data) != info.file_size:
            raise ValueError(f"{name} is not as long as it says")
        return data


def _graph(document: dict[str, Any], members: _Members) -> Graph:
    classes = by_name()

    def decode(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == {"array"}:
                return _array(members.read(f"arrays/{integer(value['array'], 'an array number')}.npy"))
            if set(value) == {"type"}:
                return _type(value["type"])
            raise ValueError("unknown attribute encoding")
        if isinstance(value, list):
            return tuple(decode(item) for item in value)
        return value

    builder = GraphBuilder(str(document["name"]))
    for entry in document["inputs"]:
        shape = tuple(integer(extent, "an extent") for extent in entry["shape"])
        builder.input(shape, _type(entry["type"]), _scale(entry["scale"]))
    for entry in document["nodes"]:
        if entry["op"] not in classes:
            raise OperatorError(f"unknown operator {entry['op']!r}")
        operator = classes[entry["op"]]
        attributes = {key: decode(value) for key, value in entry["attributes"].items()}
        known = {field.name for field in dataclasses.fields(operator)}
        if set(attributes) != known:
            raise OperatorError(f"{entry['op']} has the attributes {sorted(known)}, not {sorted(attributes)}")
        builder.add(operator(**attributes), *entry["inputs"], label=str(entry["label"]))
    scales = {entry["edge"]: _scale(entry["scale"]) for entry in document["outputs"]}
    return builder.build(*(entry["edge"] for entry in document["outputs"]), scales=scales)


def _type(value: Any) -> IntType:
    bits, signed = value
    if not isinstance(signed, bool):
        raise ValueError("a type is [bits, signed]")
    return IntType(integer(bits, "a width"), signed)


def _scale(text: str) -> float:
    scale = float.fromhex(text)
    if not math.isfinite(scale):
        raise ValueError("a scale is finite")
    return scale


def _array(data: bytes) -> np.ndarray:
    # Magic, version 1.0, length of the header in two bytes, header, values.
    size = int.from_bytes(data[8:10], "little")
    header = _ARRAY_HEADER.fullmatch(data[10 : 10 + size])
    if data[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise OperatorError("an array is not stored as 64-bit integers")
    shape = tuple(int(extent) for extent in header[1].rstrip(b",").split(b", "))
    values = np.frombuffer(data, dtype="<i8", offset=10 + size)
    if values.size != math.prod(shape):
        raise OperatorError("an array has another size than it says")
    return values.reshape(shape)

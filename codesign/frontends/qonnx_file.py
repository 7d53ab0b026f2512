"""Reading an ONNX file into plain nodes and arrays, refusing what no network of this package needs.

The file is the user's. `onnx` only parses it: nothing in it is executed, and nothing outside it is read.
"""

from __future__ import annotations

import heapq
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_wire

MAX_FILE_BYTES = 1 << 27
"""Largest file: 32 million float weights, more than any FPGA holds."""

MAX_NODES = 5000

GENERAL, CHANNELS_LAST = "qonnx.custom_op.general", "qonnx.custom_op.channels_last"
_DOMAINS = {
    "": "",
    "ai.onnx": "",
    GENERAL: GENERAL,
    "onnx.brevitas": GENERAL,
    "finn.custom_op.general": GENERAL,
    CHANNELS_LAST: CHANNELS_LAST,
}
"""Known operator domains under the names that they have had."""

# Numbers of TensorProto.DataType: NumPy type, field of values that are not raw, type there.
_TYPES: dict[int, tuple[str, str]] = {
    1: ("<f4", "float_data"),
    2: ("u1", "int32_data"),
    3: ("i1", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    11: ("<f8", "double_data"),
}
_UNDEFINED, _EXTERNAL = 0, 1
_ANNOTATION = "finn_datatype"


@dataclass(frozen=True, eq=False)
class Node:
    """One operator.

    Parameters
    ----------
    op, domain : str
        The domain is "", `GENERAL` or `CHANNELS_LAST`.
    version : int
        Of the domain's operators.
    inputs, outputs : tuple of str
        "" for one that is left out.
    attributes : dict
        Numbers, strings, arrays, or lists of these.
    label : str
        For people.
    """

    op: str
    domain: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    label: str

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute of the type of `default`, a list one of whole numbers, or `default` without it."""
        value = self.attributes.get(name, default)
        wrong = isinstance(value, bool) or type(value) is not type(default)
        if wrong or (isinstance(value, list) and not all(isinstance(number, int) for number in value)):
            raise UserError(
                f"node {self.label!r} ({self.op}): the attribute {name!r} has the wrong type; export it again."
            )
        return value

    def numbers(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers, None without it."""
        found: list[int] | None = self.attribute(name, []) if name in self.attributes else None
        return found


@dataclass(frozen=True, eq=False)
class File:
    """A network as the file holds it.

    Parameters
    ----------
    nodes : tuple of Node
        In execution order; those that do not lead to the output are left out.
    constants : dict of str to ndarray
        Initializers.
    input : str
    shape : tuple of int or None
        Of the input; None for an extent that is not fixed.
    output : str
    annotations : dict of str to str
        QONNX data types of tensors, such as "UINT8".
    """

    nodes: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    input: str
    shape: tuple[int | None, ...]
    output: str
    annotations: dict[str, str] = field(default_factory=dict)


def read(path: str | os.PathLike[str]) -> File:
    """Read an ONNX file.

    Raises
    ------
    UserError
        When `onnx` is not installed; when the file is missing, too large or damaged, keeps tensors elsewhere, or
        uses what is not supported; one sentence that names it.
    """
    return loads(read_bytes(path), clean(str(path)))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file, one more than allowed at most; see `read`."""
    try:
        with open(Path(path), "rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {clean(str(path))}: {getattr(error, 'strerror', None) or error}.") from error


def loads(data: bytes, source: str = "the file") -> File:
    """Read the bytes of an ONNX file; see `read`."""
    try:
        import onnx
    except ImportError as error:
        raise UserError(
            "reading QONNX files needs the package onnx; install it with pip install 'codesign[qonnx]'."
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise UserError(f"{source} is larger than {MAX_FILE_BYTES >> 20} MiB, more than any FPGA here holds; prune it.")
    qonnx_wire.check(data, source)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's own kinds differ between its implementations
        raise UserError(f"{source} is damaged or no ONNX file; export it again.") from error
    try:
        return _file(model, source)
    except UnicodeDecodeError as error:
        raise UserError(f"{source} holds names that are not UTF-8; export it again.") from error


def _file(model: Any, source: str) -> File:
    graph = model.graph
    if model.functions or graph.sparse_initializer:
        raise UserError(f"{source} holds functions or sparse tensors, which are not supported; export it without them.")
    if not graph.node:
        raise UserError(f"{source} holds no network; export it again.")
    if len(graph.node) > MAX_NODES:
        raise UserError(f"{source} has {len(graph.node):,} nodes; at most {MAX_NODES:,} are supported.")
    versions: dict[str, int] = {}
    for opset in model.opset_import:
        if (domain := _text(opset.domain)) in _DOMAINS:
            versions[_DOMAINS[domain]] = int(opset.version)
    constants: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        name = _text(tensor.name)
        if not name or name in constants:
            raise UserError(f"{source} holds two initializers named {_shown(name)}; export it again.")
        constants[name] = array(tensor, f"the initializer {_shown(name)}")
    inputs = [value for value in graph.input if _text(value.name) not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise UserError(
            f"{source} has {len(inputs)} inputs and {len(graph.output)} outputs; only networks with one of each are "
            "supported, so export the part between."
        )
    (entry,), (leaving,) = inputs, graph.output
    nodes = [_node(node, versions) for node in graph.node]
    annotations = {
        _text(note.tensor_name): _text(pair.value)
        for note in graph.quantization_annotation
        for pair in note.quant_parameter_tensor_names
        if pair.key == _ANNOTATION
    }
    first, last = _text(entry.name), _text(leaving.name)
    ordered = _needed(_sorted(nodes, {first, *constants}, source), last, source)
    return File(tuple(ordered), constants, first, _shape(entry, source), last, annotations)


def _shape(value: Any, source: str) -> tuple[int | None, ...]:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape"):
        raise UserError(
            f"{source} does not tell the shape of its input {_shown(_text(value.name))}; export it with shapes."
        )
    if tensor.elem_type != 1:
        raise UserError(
            f"the input {_shown(_text(value.name))} of {source} is not float32, as QONNX wants it; export it again."
        )
    return tuple(
        int(dim.dim_value) if dim.WhichOneof("value") == "dim_value" and dim.dim_value > 0 else None
        for dim in tensor.shape.dim
    )


def _node(proto: Any, versions: dict[str, int]) -> Node:
    inputs, outputs = (tuple(_text(name) for name in names) for names in (proto.input, proto.output))
    made = [name for name in outputs if name]
    label = clean(_text(proto.name)) or clean(made[0] if made else "") or "?"
    op = clean(_text(proto.op_type))
    where = f"node {label!r} ({op})"
    domain = _text(proto.domain)
    if domain not in _DOMAINS:
        raise UserError(f"{where} is of the domain {clean(domain)!r}, which is not supported; export it for QONNX.")
    if not made or len(set(made)) != len(made):
        raise UserError(f"{where} has no output, or one twice; export the file again.")
    attributes = {}
    for attribute in proto.attribute:
        name = _text(attribute.name)
        if name in attributes or attribute.ref_attr_name:
            raise UserError(f"{where} has an attribute twice, or one of a function; export the file again.")
        attributes[name] = _attribute(attribute, where)
    domain = _DOMAINS[domain]
    return Node(op, domain, versions.get(domain, 1), inputs, outputs, attributes, label)


def _attribute(proto: Any, where: str) -> Any:
    # Numbers of AttributeProto.AttributeType.
    match proto.type:
        case 1:
            return float(proto.f)
        case 2:
            return int(proto.i)
        case 3:
            return proto.s.decode("utf-8")
        case 4:
            return array(proto.t, where)
        case 6:
            return [float(value) for value in proto.floats]
        case 7:
            return [int(value) for value in proto.ints]
        case 8:
            return [value.decode("utf-8") for value in proto.strings]
    raise UserError(
        f"{where} has the attribute {clean(_text(proto.name))!r} of a kind that is not supported, such as a graph; "
        "export it unrolled."
    )


def array(tensor: Any, where: str) -> np.ndarray:
    """Return the values of a `TensorProto`, checked against its shape before memory is taken.

    Raises
    ------
    UserError
        When they lie in another file, are of an unknown type, are not as many as the shape says, or not finite.
    """
    if tensor.data_location == _EXTERNAL or tensor.external_data:
        raise UserError(f"{where} keeps its values in another file, which is not read; save the model in one file.")
    if tensor.data_type not in _TYPES:
        raise UserError(f"{where} has a data type that is not supported; export the model in float32.")
    if tensor.HasField("segment"):
        raise UserError(f"{where} is cut into segments; save the model in one piece.")
    kind, name = _TYPES[tensor.data_type]
    dtype = np.dtype(kind)
    dims = tuple(int(extent) for extent in tensor.dims)
    if len(dims) > 8 or any(extent < 0 for extent in dims):
        raise UserError(f"{where} has the shape {dims[:8]}, which makes no sense; export the model again.")
    size = math.prod(dims)
    raw, typed = tensor.raw_data, getattr(tensor, name)
    held = len(raw) // dtype.itemsize if raw else len(typed)
    if size != held or (raw and len(raw) != size * dtype.itemsize):
        raise UserError(f"{where} has the shape {dims} but {held} values; export the model again.")
    values = np.frombuffer(raw, dtype=dtype) if raw else _typed(typed, dtype, where)
    values = values.reshape(dims).astype(dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{where} holds NaN or infinity; train the network again or mend the file.")
    values.setflags(write=False)
    return values


def _typed(typed: Any, dtype: np.dtype, where: str) -> np.ndarray:
    values = np.array(typed, dtype=dtype if dtype.kind == "f" else np.int64)
    narrow = values.astype(dtype)
    if not np.array_equal(narrow, values, equal_nan=dtype.kind == "f"):
        raise UserError(f"{where} holds values outside its type; export the model again.")
    return narrow


def _sorted(nodes: list[Node], known: set[str], source: str) -> list[Node]:
    """Return nodes in execution order (as in the file where that is one)."""
    made: dict[str, int] = {}
    for position, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in made or name in known:
                raise UserError(f"{source} makes the tensor {_shown(name)} twice; export it again.")
            made[name] = position
    missing = [0] * len(nodes)
    readers: dict[int, list[int]] = {}
    for position, node in enumerate(nodes):
        for name in filter(None, set(node.inputs)):
            if name in made:
                missing[position] += 1
                readers.setdefault(made[name], []).append(position)
            elif name not in known:
                raise UserError(
                    f"node {node.label!r} ({node.op}) reads the tensor {_shown(name)}, which nothing makes; "
                    "export it again."
                )
    ready = [position for position in range(len(nodes)) if not missing[position]]
    ordered = []
    while ready:
        position = heapq.heappop(ready)  # the first of the file that can run
        ordered.append(nodes[position])
        for reader in readers.get(position, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(ordered) != len(nodes):
        raise UserError(f"{source} has nodes that wait for one another in a circle; export it again.")
    return ordered


def _needed(nodes: list[Node], output: str, source: str) -> list[Node]:
    """Return the nodes that lead to the output."""
    wanted = {output}
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            kept.append(node)
            wanted |= set(filter(None, node.inputs))
    if not kept:
        raise UserError(f"no node of {source} makes its output {_shown(output)}; export it again.")
    return kept[::-1]


def _text(value: str | bytes) -> str:
    """Return a name; protobuf gives bytes for one that is not UTF-8."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


def clean(text: str) -> str:
    """Return a name of the user's, short and printable, for messages and labels."""
    kept = "".join(c if c.isprintable() else "?" for c in text[:60])
    return kept if len(text) <= 60 else f"{kept}..."


def _shown(name: str) -> str:
    return repr(clean(name))

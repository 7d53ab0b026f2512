"""Operators between constants of a QONNX graph, computed while it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_float32 as float32
from codesign.frontends.qonnx_constants import MAX_ELEMENTS, Constant
from codesign.frontends.qonnx_elementwise import constant_arithmetic
from codesign.frontends.qonnx_file import GENERAL, Node
from codesign.frontends.qonnx_quantizers import bipolar_scale, read_quant

Folder = Callable[[Node, Sequence[Constant | None], str], Constant]


def fold(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    """Return what a node makes of constants.

    Raises
    ------
    UserError
        When the operator is not known between constants, or its operands do not fit.
    """
    folder = (_QUANTIZERS if node.domain == GENERAL else _FOLDERS if node.domain == "" else {}).get(node.op)
    if folder is None:
        raise UserError(
            f"{where} computes with constants alone, which is not supported for it; fold constants when exporting."
        )
    try:
        made = folder(node, inputs, where)
    except UserError:
        raise
    except (ValueError, IndexError, TypeError, OverflowError, AttributeError) as error:
        raise UserError(f"{where} has operands that do not fit one another; export the network again.") from error
    if made.values.dtype.kind == "f" and not np.isfinite(made.values).all():
        raise UserError(f"{where} makes NaN or infinity of its constants; export the network again.")
    return made


def _first(inputs: Sequence[Constant | None], where: str) -> Constant:
    if not inputs or inputs[0] is None:
        raise UserError(f"{where} has no input; export the network again.")
    return inputs[0]


def _at(inputs: Sequence[Constant | None], place: int) -> np.ndarray | None:
    found = inputs[place] if place < len(inputs) else None
    return None if found is None else found.values


def _require_size(shape: Sequence[int], where: str) -> None:
    if math.prod(shape) > MAX_ELEMENTS:
        raise UserError(f"{where} makes a constant of more than {MAX_ELEMENTS:,} numbers; export the network again.")


def _arithmetic(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    a, b = inputs
    if a is None or b is None or a.values.dtype != b.values.dtype:
        raise UserError(f"{where} needs two operands of one type; export the network again.")
    _require_size(np.broadcast_shapes(a.values.shape, b.values.shape), where)
    values = constant_arithmetic(node.op, a.values, b.values)
    if values.dtype != a.values.dtype:
        raise UserError(f"{where} divides integers, which is not supported; fold constants when exporting.")
    if node.op == "Mul":
        return a.scaled(b.values, values) if a.integers is not None else b.scaled(a.values, values)
    if node.op == "Div" and a.integers is not None and (b.values > 0).all():
        return a.scaled(1 / b.values.astype(np.float64), values)
    return Constant(values)


def _quant(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    x = _first(inputs, where).values
    p = read_quant(node, inputs[1:])
    shape = np.broadcast_shapes(x.shape, p.scale.shape, p.zero.shape)
    _require_size(shape, where)
    if x.dtype != np.float32 or shape != x.shape:
        raise UserError(
            f"{where} has a scale of shape {p.scale.shape} for a tensor of shape {x.shape}; export it again."
        )
    if p.rounding == "sign":
        codes = np.where(x / p.scale + p.zero >= 0, np.float32(1), np.float32(-1))
    else:
        codes = float32.quantize(x, p.scale, p.zero, p.low, p.high, p.rounding)
    integers = codes - p.zero
    scale = np.broadcast_to(p.scale.astype(np.float64), shape)
    bits = None if p.zero.any() else 1 if p.rounding == "sign" else p.bits + (not p.signed)
    return Constant(integers * p.scale, integers.astype(np.int64), scale, bits)


def _bipolar(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    x = _first(inputs, where).values
    scale = bipolar_scale(node, inputs[1] if len(inputs) > 1 else None)
    if x.dtype != np.float32 or np.broadcast_shapes(x.shape, scale.shape) != x.shape:
        raise UserError(f"{where} has a scale of shape {scale.shape} for a tensor of shape {x.shape}; export it again.")
    signs = np.where(x >= 0, np.float32(1), np.float32(-1))
    return Constant(signs * scale, signs.astype(np.int64), np.broadcast_to(scale.astype(np.float64), x.shape), 1)


def _reshape(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    x, target = _first(inputs, where), _at(inputs, 1)
    wanted = [] if target is None else [int(extent) for extent in target.reshape(-1)]
    if not node.attribute("allowzero", 0):
        wanted = [x.values.shape[i] if extent == 0 else extent for i, extent in enumerate(wanted)]
    return x.rearranged(lambda part: part.reshape(wanted))


def _flatten(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    x = _first(inputs, where)
    axis = node.attribute("axis", 1)
    rows = math.prod(x.values.shape[:axis])
    return x.rearranged(lambda part: part.reshape(rows, -1))


def _axes(node: Node, inputs: Sequence[Constant | None]) -> list[int] | None:
    given = _at(inputs, 1)
    axes = node.attributes.get("axes") if given is None else given.reshape(-1).tolist()
    return None if axes is None else [int(axis) for axis in axes]


def _unsqueeze(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    axes = _axes(node, inputs) or []
    return _first(inputs, where).rearranged(lambda part: np.expand_dims(part, tuple(axes)))


def _squeeze(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    axes = _axes(node, inputs)
    return _first(inputs, where).rearranged(lambda part: np.squeeze(part, None if axes is None else tuple(axes)))


def _transpose(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    order = node.attributes.get("perm")
    return _first(inputs, where).rearranged(lambda part: part.transpose(order))


def _concat(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    parts = [part.values for part in inputs if part is not None]
    _require_size([sum(part.size for part in parts)], where)
    return Constant(np.concatenate(parts, axis=node.attribute("axis", 0)))


def _gather(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    x, index = _first(inputs, where), _at(inputs, 1)
    if index is None or x.values.ndim > 1 or index.size > x.values.size:
        raise UserError(
            f"{where} gathers from a constant of several axes, which is not supported; fold constants when exporting."
        )
    return Constant(np.take(x.values, index, axis=0))


def _slice(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    x = _first(inputs, where)
    starts, ends, axes, steps = (_at(inputs, place) for place in range(1, 5))
    if starts is None or ends is None:
        raise UserError(f"{where} slices by attributes, which is not supported; export with a newer opset.")
    places = range(len(starts)) if axes is None else [int(axis) for axis in axes]
    cuts = [slice(None)] * x.values.ndim
    for i, axis in enumerate(places):
        cuts[axis] = slice(int(starts[i]), int(ends[i]), 1 if steps is None else int(steps[i]))
    return x.rearranged(lambda part: part[tuple(cuts)])


def _cast(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    # Numbers of TensorProto.DataType.
    kinds = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}
    kind = kinds.get(node.attribute("to", 0))
    if kind is None:
        raise UserError(f"{where} casts to a type that is not supported; export the network in float32.")
    x = _first(inputs, where)
    return x if x.values.dtype == kind else Constant(x.values.astype(kind))


def _constant(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    kinds: dict[str, Callable[[object], np.ndarray]] = {
        "value": np.asarray,
        "value_float": lambda v: np.asarray(v, dtype=np.float32),
        "value_floats": lambda v: np.asarray(v, dtype=np.float32),
        "value_int": lambda v: np.asarray(v, dtype=np.int64),
        "value_ints": lambda v: np.asarray(v, dtype=np.int64),
    }
    found = [(kinds[name], value) for name, value in node.attributes.items() if name in kinds]
    if len(found) != 1:
        raise UserError(f"{where} needs one value; export the network again.")
    return Constant(found[0][0](found[0][1]))


def _same(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    return _first(inputs, where)


def _negative(node: Node, inputs: Sequence[Constant | None], where: str) -> Constant:
    return Constant(-_first(inputs, where).values)


_QUANTIZERS: dict[str, Folder] = {"BipolarQuant": _bipolar, "IntQuant": _quant, "Quant": _quant}

_FOLDERS: dict[str, Folder] = {
    "Add": _arithmetic,
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "Div": _arithmetic,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _same,
    "Mul": _arithmetic,
    "Neg": _negative,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _arithmetic,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

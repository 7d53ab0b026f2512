"""Elementwise operators of a QONNX graph: arithmetic with constants, batch norm, clamps, and sums of activations."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_file import CHANNELS_LAST, Node
from codesign.frontends.qonnx_float32 import Step, batch_norm
from codesign.frontends.qonnx_stream import Stream
from codesign.frontends.requantize import Affine, fraction
from codesign.ir.types import IntType

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk


def arithmetic(walk: Walk, node: Node) -> Stream:
    """Lower Add, Sub, Mul or Div of an activation and a constant, or the sum or difference of two activations."""
    where = walk.where(node)
    if len(node.inputs) != 2:
        raise UserError(f"{where} needs two operands; export the network again.")
    streams = [walk.is_stream(node, place) for place in range(2)]
    if all(streams):
        if node.op not in ("Add", "Sub"):
            raise UserError(
                f"{where} combines two activations, which is not supported; only their sum and difference is."
            )
        return _sum(walk, node, walk.stream(node, 0), walk.stream(node, 1))
    forward = streams[0]
    x, constant = walk.stream(node, 0 if forward else 1), walk.constant(node, 1 if forward else 0)
    return with_constant(walk, node, x, constant.values, forward)


def with_constant(walk: Walk, node: Node, x: Stream, values: np.ndarray, forward: bool) -> Stream:
    """Lower Add, Sub, Mul or Div of an activation and a constant, the activation first with `forward`."""
    where = walk.where(node)
    c = walk.per_channel(x, values, where)
    exact = [fraction(float(value), where) for value in c.reshape(-1)]
    zero, one = Fraction(0), Fraction(1)
    match node.op:
        case "Add":
            return _step(x, "add", c, [one], exact, node.label)
        case "Mul":
            return _step(x, "mul", c, exact, [zero], node.label)
        case "Sub" if forward:
            return _step(x, "add", -c, [one], [-value for value in exact], node.label)
        case "Sub":
            return _step(x, "rsub", c, [-one], exact, node.label)
        case "Div" if forward and all(exact):
            return _step(x, "div", c, [1 / value for value in exact], [zero], node.label)
    raise UserError(f"{where} divides by an activation or by zero; only division by a constant is supported.")


def negative(walk: Walk, node: Node) -> Stream:
    """Lower a Neg."""
    return _negated(walk.stream(node, 0), node.label)


def _negated(x: Stream, label: str) -> Stream:
    minus_one: np.ndarray = np.asarray(-1, dtype=x.precision.dtype)
    return _step(x, "mul", minus_one, [Fraction(-1)], [Fraction(0)], label)


def _step(
    x: Stream, kind: str, constant: np.ndarray, factors: list[Fraction], shifts: list[Fraction], label: str
) -> Stream:
    channels = len(x.affines)
    factors, shifts = (part * channels if len(part) == 1 else part for part in (factors, shifts))
    affines = _then(x.affines, factors, shifts)
    return x.with_step(Step(kind, (constant,)), affines, label)


def _then(affines: tuple[Affine, ...], factors: list[Fraction], shifts: list[Fraction]) -> list[Affine]:
    known: dict[tuple[Affine, Fraction, Fraction], Affine] = {}
    found = []
    for key in zip(affines, factors, shifts, strict=True):
        if key not in known:
            known[key] = key[0].then(key[1], key[2])
        found.append(known[key])
    return found


def normalisation(walk: Walk, node: Node) -> Stream:
    """Lower a BatchNormalization in evaluation."""
    where = walk.where(node)
    if len([name for name in node.outputs if name]) > 1 or node.attribute("training_mode", 0):
        raise UserError(f"{where} is in training mode; export the network in evaluation mode.")
    x = walk.stream(node, 0)
    if x.axes != "NF" and x.axes.index("C") != (3 if node.domain == CHANNELS_LAST else 1):
        raise UserError(f"{where} finds its channels at another axis of {x.axes}; transpose before it.")
    parts = []
    for place in range(1, 5):
        values = walk.constant(node, place).values
        if values.dtype != np.float32 or values.shape != (len(x.affines),):
            raise UserError(f"{where} has parameters of shape {values.shape} for {len(x.affines)} channels.")
        parts.append(values if x.order is None else values[x.order])
    gain, bias, mean, variance = parts
    epsilon = node.attribute("epsilon", 1e-5)
    if not ((variance.astype(np.float64) + epsilon) > 0).all():
        raise UserError(f"{where} has a variance that is not positive; train the network again.")
    factor, shift = batch_norm(gain, bias, mean, variance, epsilon)
    if not (np.isfinite(factor).all() and np.isfinite(shift).all()):
        raise UserError(f"{where} scales beyond float32; train the network again.")
    # The real meaning, as the network was trained, in float64.
    exact = gain.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    offset = bias.astype(np.float64) - mean.astype(np.float64) * exact
    affines = _then(x.affines, [Fraction(v) for v in exact.tolist()], [Fraction(v) for v in offset.tolist()])
    return x.with_step(Step("affine", (factor, shift)), affines, node.label)


def cast(walk: Walk, node: Node) -> Stream:
    """Carry on in another float."""
    # Numbers of TensorProto.DataType.
    kind = {1: "single", 11: "double"}.get(node.attribute("to", 0))
    if kind is None:
        raise UserError(
            f"{walk.where(node)} casts activations to another type than float32 and float64, which is not supported."
        )
    x, step = walk.stream(node, 0, keep_padding=True), Step(kind, ())
    return x if step.precision(x.precision) is x.precision else x.with_step(step, x.affines, node.label)


def relu(walk: Walk, node: Node) -> Stream:
    """Lower a Relu."""
    return clamped(walk, walk.stream(node, 0), np.float32(0), None, node.label)


def clip(walk: Walk, node: Node) -> Stream:
    """Lower a Clip, with its bounds as attributes or inputs."""
    where, x = walk.where(node), walk.stream(node, 0)
    bounds: list[np.floating | None] = []
    for place, name in ((1, "min"), (2, "max")):
        bound = walk.optional(node, place)
        value = node.attributes.get(name) if bound is None else bound.values
        if value is not None and (
            np.size(value) != 1 or np.asarray(value).dtype.kind != "f" or not np.isfinite(value).all()
        ):
            raise UserError(f"{where} needs one finite number as {name}.")
        bounds.append(None if value is None else x.precision.dtype(np.reshape(value, ())))
    low, high = bounds
    if low is not None and high is not None and low > high:
        raise UserError(f"{where} has a least value above its greatest; swap them.")
    return clamped(walk, x, low, high, node.label)


def extreme(walk: Walk, node: Node) -> Stream:
    """Lower a Max or Min of an activation and one number."""
    where = walk.where(node)
    streams = [place for place in range(len(node.inputs)) if walk.is_stream(node, place)]
    if len(node.inputs) != 2 or len(streams) != 1:
        raise UserError(f"{where} compares several activations; only one with a constant is supported.")
    x = walk.stream(node, streams[0])
    bound = walk.per_channel(x, walk.constant(node, 1 - streams[0]).values, where)
    if bound.size != 1:
        raise UserError(f"{where} has a bound per channel; use one number.")
    limit: np.floating = x.precision.dtype(bound.reshape(()))
    return clamped(walk, x, limit if node.op == "Max" else None, limit if node.op == "Min" else None, node.label)


def clamped(walk: Walk, x: Stream, low: np.floating | None, high: np.floating | None, label: str) -> Stream:
    """Return min(max(x, low), high); nothing where no integer of the edge is outside."""
    exact = [None if bound is None else Fraction(float(bound)) for bound in (low, high)]
    type = walk.edge(x).type
    if all(affine.linear and _inside(affine, type, exact[0], exact[1]) for affine in x.affines):
        exact = [None, None]
    affines = [affine.clamped(exact[0], exact[1]) for affine in x.affines]
    for kind, bound in (("max", low), ("min", high)):
        if bound is not None:
            x = x.with_step(Step(kind, (np.asarray(bound),)), affines, label)
    return dataclasses.replace(x, affines=tuple(affines))


def _inside(affine: Affine, type: IntType, low: Fraction | None, high: Fraction | None) -> bool:
    ends = [affine.scale * end + affine.offset for end in (type.min, type.max)]
    return (low is None or min(ends) >= low) and (high is None or max(ends) <= high)


def _sum(walk: Walk, node: Node, a: Stream, b: Stream) -> Stream:
    """Lower the sum or difference of two activations."""
    a, b = walk.linear(a, node), walk.linear(b, node)
    if a.axes != b.axes or walk.edge(a).shape != walk.edge(b).shape or not same_order(a, b):
        raise UserError(
            f"{walk.where(node)} adds activations of different shapes or orders of axes; give both the same shape."
        )
    if node.op == "Sub":
        b = _negated(b, node.label)
    parts = [x.actual(walk.edge(x).type) for x in (a, b)]
    total, error = (parts[0].largest + parts[1].largest), (parts[0].error + parts[1].error)
    units = [part.unit for part in parts]
    if a.precision is not b.precision:
        raise UserError(f"{walk.where(node)} adds a float32 and a float64 activation; cast one of them.")
    if not all(units) or not a.precision.holds(total, min(units)).all():
        error = error + a.precision.ulp * 1.01 * total
    value = walk.lowering.add(a.value, b.value, node.label)
    return a.rerooted(value, error)


def same_order(a: Stream, b: Stream) -> bool:
    """Tell whether the features of two edges come in the same order."""
    one, other = (np.arange(len(x.affines)) if x.order is None else x.order for x in (a, b))
    return a.axes != "NF" or bool(np.array_equal(one, other))


def constant_arithmetic(op: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return what the executor makes of two constants."""
    with np.errstate(all="ignore"):
        match op:
            case "Add":
                return a + b
            case "Sub":
                return a - b
            case "Mul":
                return a * b
        return a / b

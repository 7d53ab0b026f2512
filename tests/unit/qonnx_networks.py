"""QONNX files that the import tests build: single operators, and random networks of all supported ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorAnnotation, TensorProto, helper

GENERAL = "qonnx.custom_op.general"
ROUNDINGS = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
F = np.float32


class Maker:
    """Collects the nodes and constants of a file.

    Parameters
    ----------
    shape : tuple of int
        Of the input, frames first.
    seed : int
    exact : bool
        Draw scales that are powers of two, so that float32 sums are exact.
    """

    def __init__(self, shape: tuple[int, ...], seed: int = 0, exact: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        self.exact = exact
        self.shape = shape
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.annotations: list[Any] = []
        self.version = 2

    def const(self, values: Any, dtype: Any = F) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(values, dtype=dtype)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.constants.append(helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True))
        return name

    def annotate(self, kind: str, *tensors: str) -> None:
        """Say what integers tensors hold, which the executor wants to be told for some operators."""
        for name in tensors:
            note = TensorAnnotation(tensor_name=name)
            note.quant_parameter_tensor_names.add(key="finn_datatype", value=kind)
            self.annotations.append(note)

    def node(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, list(inputs), names, name=f"{op}{len(self.nodes)}", domain=domain, **attributes)
        )
        return names[-1]

    def scale(self, low: int = -5, high: int = 0, count: tuple[int, ...] = ()) -> np.ndarray:
        exponents = self.rng.integers(low, high + 1, size=count)
        mantissa = 1.0 if self.exact else self.rng.uniform(0.6, 1.4, size=count)
        return np.asarray(mantissa * 2.0**exponents, dtype=F)

    def quant(
        self, x: str, bits: int, scale: Any, signed: bool = True, narrow: bool = False, zero: float = 0.0,
        rounding: str = "ROUND",
    ) -> str:  # fmt: skip
        return self.node(
            "Quant", x, self.const(scale), self.const(zero), self.const(float(bits)), domain=GENERAL,
            signed=int(signed), narrow=int(narrow), rounding_mode=rounding,
        )  # fmt: skip

    def weights(self, shape: tuple[int, ...], outputs: int = 0) -> str:
        """A quantised weight tensor whose axis `outputs` is the output channel."""
        bits = int(self.rng.integers(2, 6))
        per_channel = bool(self.rng.integers(2))
        extents = tuple(n if axis == outputs else 1 for axis, n in enumerate(shape)) if per_channel else ()
        scale = self.scale(-4, -2, extents)
        values = self.rng.normal(size=shape) * 2.0 ** (bits - 2) * scale
        if self.rng.random() < 0.15:
            return self.node("BipolarQuant", self.const(values), self.const(scale), domain=GENERAL)
        return self.quant(self.const(values), bits, scale, narrow=bool(self.rng.integers(2)))

    def batch_norm(self, x: str, channels: int, domain: str = "") -> str:
        rng = self.rng
        gain = rng.normal(size=channels) + 0.5
        gain[rng.random(channels) < 0.1] = 0.0
        parts = [gain, rng.normal(size=channels) * 0.3, rng.normal(size=channels) * 0.2, rng.random(channels) + 0.2]
        return self.node("BatchNormalization", x, *(self.const(part) for part in parts), domain=domain, epsilon=1e-5)

    def build(self, output: str, integers: bool = False) -> bytes:
        entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        leaving = helper.make_tensor_value_info(output, TensorProto.INT64 if integers else TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "g", [entry], [leaving], self.constants)
        graph.quantization_annotation.extend(self.annotations)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(GENERAL, self.version)]
        opsets.append(helper.make_opsetid("qonnx.custom_op.channels_last", 14))
        return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def activation(m: Maker, x: str, channels: int, rank: int) -> tuple[str, bool]:
    """A random quantised activation; tells whether it is never negative."""
    rng = m.rng
    kind = rng.integers(10)
    bits = int(rng.integers(2, 7))
    scale = m.scale(-2, 1)
    if kind == 0:
        return m.node("BipolarQuant", x, m.const(scale), domain=GENERAL), False
    if kind == 8:
        return m.node("Sign", x), False
    if kind == 9:
        return _truncated(m, x, bits, scale)
    if kind == 1:
        levels = int(rng.integers(1, 9))
        rows = np.sort(rng.normal(size=(channels if rng.integers(2) else 1, levels)) * 4, axis=1)
        if m.exact:
            rows = np.round(rows * 4) / 4  # so that some are met exactly
        low = float(rng.choice([0.0, -levels // 2]))
        bias = low * float(scale)
        return m.node(
            "MultiThreshold", x, m.const(rows), domain=GENERAL, out_dtype="INT8", out_scale=float(scale), out_bias=bias
        ), low == 0.0
    rounding = str(rng.choice(ROUNDINGS))
    if kind == 2:
        return m.quant(x, bits, scale, True, bool(rng.integers(2)), rounding=rounding), False
    if kind == 3:
        x = m.node("Clip", x, m.const(-1.0), m.const(1.0))
        return m.quant(x, bits, scale / 4, True, rounding=rounding), False
    if kind == 4 and rank == 2:
        x = m.node("Add", x, m.const(rng.normal(size=channels)))
    return m.quant(m.node("Relu", x), bits, scale, False, rounding=rounding), True


def _truncated(m: Maker, x: str, bits: int, scale: np.ndarray) -> tuple[str, bool]:
    """An activation that loses its low bits a step later; the first version of Trunc keeps scale and zero point."""
    rng = m.rng
    drop, rounding = int(rng.integers(1, 9 - bits)), str(rng.choice(ROUNDINGS))
    signed = bool(rng.integers(2))
    x = m.quant(x if signed else m.node("Relu", x), bits + drop, scale, signed)
    numbers = [scale, 0.0, float(bits + drop), *([scale * F(2**drop)] if m.version > 1 else []), float(bits)]
    attributes = {"signed": int(signed), "narrow": 0} if m.version > 1 else {}
    x = m.node("Trunc", x, *(m.const(number) for number in numbers), domain=GENERAL, rounding_mode=rounding,
               **attributes)  # fmt: skip
    return x, not signed


def network(
    seed: int, exact: bool, batch: int = 8, frames: bool | None = None, last: bool = False
) -> tuple[bytes, float]:
    """A random network and the scale of its input; `last` has frames come channels last."""
    rng = np.random.default_rng(seed)
    as_frames = bool(rng.integers(3)) if frames is None else frames
    shape = (batch, int(rng.integers(1, 4)), 8, 8) if as_frames else (batch, int(rng.integers(4, 20)))
    last &= as_frames
    m = Maker((batch, *shape[2:], shape[1]) if last else shape, seed, exact)
    m.version = 1 + seed % 2
    entry = float(m.scale(-4, -2)) if exact else 1 / 16
    x, channels = "x", shape[1]
    if last:
        x = m.node("Transpose", x, perm=[0, 3, 1, 2])
    if as_frames:
        x, channels = _frames(m, x, channels)
    for _ in range(int(m.rng.integers(0, 3))):
        outputs = int(m.rng.integers(3, 10))
        x = _dense(m, x, channels, outputs)
        if m.rng.random() < 0.5:
            x = m.batch_norm(x, outputs)
        x, _ = activation(m, x, outputs, 2)
        channels = outputs
    outputs = int(m.rng.integers(2, 6))
    x = _dense(m, x, channels, outputs)
    match m.rng.integers(4):
        case 0:
            x = m.quant(x, int(m.rng.integers(4, 9)), m.scale(-3, 0), True, rounding=str(m.rng.choice(ROUNDINGS)))
        case 1:
            x = m.node("Mul", x, m.const(m.scale(-2, 0)))
        case 2:
            if m.rng.random() < 0.8:  # else the biases of the logits may have no small common step, which is refused
                x = m.quant(x, 8, m.scale(-3, 0), rounding=str(m.rng.choice(ROUNDINGS)))
            x = m.node("TopK", x, m.const([1], np.int64), axis=-1, largest=1, sorted=1, outputs=2)
            return m.build(x, integers=True), entry
    return m.build(x), entry


def _dense(m: Maker, x: str, inputs: int, outputs: int) -> str:
    bias = m.rng.normal(size=outputs) * 0.5
    match m.rng.integers(3):
        case 0:
            return m.node("Gemm", x, m.weights((outputs, inputs)), m.const(bias), transB=1)
        case 1:
            return m.node("Gemm", x, m.weights((inputs, outputs), 1))
    return m.node("Add", m.node("MatMul", x, m.weights((inputs, outputs), 1)), m.const(bias))


def _frames(m: Maker, x: str, channels: int) -> tuple[str, int]:
    rng = m.rng
    side = 8
    for _ in range(int(rng.integers(1, 4))):
        groups = 1
        outputs = int(rng.integers(1, 5)) * 2
        if rng.random() < 0.3:
            groups, outputs = channels, channels * int(rng.integers(1, 3))
        kernel = int(rng.integers(1, 4))
        pads = [int(rng.integers(0, 2)) if kernel == 3 else 0] * 4
        if kernel > side:
            break
        stride = 2 if kernel == 3 and side >= 7 and rng.random() < 0.3 else 1
        inputs = [x, m.weights((outputs, channels // groups, kernel, kernel))]
        if rng.random() < 0.5:
            inputs.append(m.const(rng.normal(size=outputs) * 0.3))
        if kernel == 3 and rng.random() < 0.3:
            inputs[0] = m.node("Pad", x, m.const([0, 0, *pads[:2], 0, 0, *pads[:2]], np.int64))
            x = m.node("Conv", *inputs, group=groups, strides=[stride, stride])
        else:
            x = m.node("Conv", *inputs, group=groups, strides=[stride, stride], pads=pads)
        side = (side + 2 * pads[0] - kernel) // stride + 1
        channels = outputs
        if rng.random() < 0.5:
            x = m.batch_norm(x, channels)
        elif rng.random() < 0.5:
            x = _shifted(m, x, channels)
        if side >= 4 and rng.random() < 0.3:
            x, side = m.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), side // 2
        x, positive = activation(m, x, channels, 4)
        if rng.random() < 0.2:
            x, positive, channels = *_across(m, x, channels), 6
        if rng.random() < 0.3:
            x, positive = _residual(m, x, channels), False
        if side >= 3 and positive and rng.random() < 0.3:
            x = m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
            side = (side - 1) // 2 + 1
        elif rng.random() < 0.2:
            other, _ = activation(m, m.node("Mul", x, m.const(m.scale(-1, 1))), channels, 4)
            x, channels = m.node("Concat", x, x, axis=1) if rng.random() < 0.5 else _joined(m, x, other), 2 * channels
    match rng.integers(4):
        case 0:
            x = m.node("GlobalAveragePool", x)
            side = 1
        case 1:
            if side >= 2:
                x, side = m.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), side // 2
        case 2:
            x = m.node("ReduceMean", x, m.const([2, 3], np.int64), keepdims=1)
            side = 1
    if rng.random() < 0.5:
        return m.node("Flatten", x), channels * side * side
    return m.node("Reshape", x, m.const([m.shape[0], -1], np.int64)), channels * side * side


def _shifted(m: Maker, x: str, channels: int) -> str:
    """Arithmetic with constants, one for each channel or one for all."""
    extents = (1, channels, 1, 1) if m.rng.integers(2) else ()
    x = m.node("Sub", x, m.const(m.rng.integers(-4, 5, size=extents) / 4))
    return m.node("Div", x, m.const(m.scale(-1, 2, extents)))


def _across(m: Maker, x: str, channels: int) -> tuple[str, bool]:
    """A layer across 6 channels, which are last for as long as it takes."""
    x = m.node("Transpose", x, perm=[0, 2, 3, 1])
    x = m.node("MatMul", x, m.weights((channels, 6), 1))
    if m.rng.integers(2):
        rows = np.sort(np.round(m.rng.normal(size=(6, 5)) * 8) / 4, axis=1)
        x = m.node("MultiThreshold", x, m.const(rows), domain=GENERAL, out_dtype="UINT3", data_layout="NHWC")
    else:
        x = m.quant(m.node("Relu", x), 3, m.scale(-2, 1), False)
    return m.node("Transpose", x, perm=[0, 3, 1, 2]), True


def _joined(m: Maker, a: str, b: str) -> str:
    """Two activations side by side on one scale."""
    scale = m.scale(-1, 0)
    return m.node("Concat", m.quant(a, 6, scale), m.quant(b, 6, scale), axis=1)


def _residual(m: Maker, x: str, channels: int) -> str:
    scale = m.scale(-2, 0)
    branch = m.node("Conv", x, m.weights((channels, channels, 3, 3)), pads=[1, 1, 1, 1])
    branch = m.quant(m.batch_norm(branch, channels), int(m.rng.integers(3, 9)), scale)
    total = m.node("Add", branch, m.quant(x, 8, scale))
    return m.quant(m.node("Relu", total), int(m.rng.integers(2, 6)), m.scale(-1, 1), False)

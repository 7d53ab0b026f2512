"""Mutated QONNX files: each is converted or refused in one sentence, in little time; never a crash."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")

import onnx

from codesign.backends.finn import ops as finn_ops
from codesign.backends.finn.place import FinnPlace
from codesign.backends.qonnx import ops
from codesign.backends.qonnx.export import export
from codesign.errors import UserError
from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import Imported, convert
from codesign.ir import IntType
from codesign.verify.random_graphs import random_graph

from .qonnx_networks import network

SECONDS = 20.0
"""No file takes the processor longer; whole ones take it tenths."""


def mutated_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Change, drop, repeat or exchange a few bytes."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(changed)))
        match rng.integers(4):
            case 0:
                changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                del changed[place : place + int(rng.integers(1, 40))]
            case 2:
                changed[place:place] = changed[place : place + int(rng.integers(1, 40))]
            case 3:
                changed[place : place + 2] = rng.bytes(2)
        if not changed:
            return b""
    return bytes(changed)


NUMBERS = (0, 1, -1, 2, 3, 1 << 31, -(1 << 31), 1 << 40, -(1 << 62), 7)
FLOATS = (0.0, -1.0, 1e-40, 1e38, float("nan"), float("inf"), 0.3, 1e9)
OPERATORS = (
    "Add", "ArgMax", "AveragePool", "BatchNormalization", "BipolarQuant", "Cast", "Clip", "Concat", "Constant",
    "Ceil", "Conv", "Div", "Flatten", "Floor", "Gather", "Gemm", "GlobalAveragePool", "Identity", "Im2Col", "MatMul",
    "Max", "MaxPool", "Min", "Mul", "MultiThreshold", "Neg", "Pad", "Quant", "QuantAvgPool2d", "ReduceMean", "Relu",
    "Reshape", "Round", "Shape", "Sign", "Slice", "Squeeze", "Sub", "TopK", "Transpose", "Trunc", "Unsqueeze",
    "XnorPopcountMatMul",
)  # fmt: skip


def mutated_model(data: bytes, rng: np.random.Generator) -> bytes:
    """Change the meaning of a file: operators, inputs, attributes, shapes, numbers."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    if not graph.initializer:
        return data
    tensors = [name for node in graph.node for name in (*node.input, *node.output)]
    for _ in range(int(rng.integers(1, 4))):
        node = graph.node[rng.integers(len(graph.node))]
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        match rng.integers(9):
            case 0:
                node.op_type = str(rng.choice(OPERATORS))
            case 1 if node.input:
                node.input[rng.integers(len(node.input))] = str(rng.choice(tensors))
            case 2 if node.attribute:
                attribute = node.attribute[rng.integers(len(node.attribute))]
                attribute.i = int(NUMBERS[rng.integers(len(NUMBERS))])
                if attribute.ints:
                    attribute.ints[rng.integers(len(attribute.ints))] = attribute.i
                attribute.f = float(FLOATS[rng.integers(len(FLOATS))])
            case 3 if node.attribute:
                del node.attribute[rng.integers(len(node.attribute))]
            case 4 if tensor.dims:
                tensor.dims[rng.integers(len(tensor.dims))] = int(NUMBERS[rng.integers(len(NUMBERS))])
            case 5 if tensor.data_type in (1, 11):
                values = np.frombuffer(tensor.raw_data, dtype="<f4" if tensor.data_type == 1 else "<f8").copy()
                values[rng.integers(len(values))] = FLOATS[rng.integers(len(FLOATS))]
                tensor.raw_data = values.tobytes()
            case 6 if len(node.input) > 1:
                del node.input[rng.integers(len(node.input))]
            case 7:
                del graph.node[rng.integers(len(graph.node))]
                if not graph.node:
                    break
            case 8 if graph.input:
                dims = graph.input[0].type.tensor_type.shape.dim
                dims[rng.integers(len(dims))].dim_value = int(NUMBERS[rng.integers(len(NUMBERS))])
    return model.SerializeToString()


def whole(seed: int, rng: np.random.Generator) -> tuple[bytes, dict[str, object]]:
    """A random network and what its import is told: one of other tools, or one that this package writes."""
    if seed % 3:
        data, scale = network(int(rng.integers(40)), exact=bool(rng.integers(4)), batch=1)
        return data, {"input_type": IntType(4, signed=True), "input_scale": scale}
    graph = random_graph(int(rng.integers(40)))
    if rng.integers(2):
        with contextlib.suppress(UserError):
            return export(graph, finn_ops.by_name(), FinnPlace), {}
    return export(graph, ops.by_name()), {}


def survivor(seed: int) -> tuple[Imported, bytes] | None:
    """Mutate a random network; returns what it became when it was converted all the same."""
    rng = np.random.default_rng(seed)
    data, options = whole(seed, rng)
    data = mutated_bytes(data, rng) if seed % 2 else mutated_model(data, rng)
    begun = time.process_time()
    try:
        return convert(qonnx_file.loads(data), **options), data
    except UserError as error:
        sentence = str(error)
        assert "\n" not in sentence, f"seed {seed}: {sentence}"
        assert len(sentence) < 600, f"seed {seed}: {sentence}"
        return None
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    finally:
        assert time.process_time() - begun < SECONDS, f"seed {seed}"


def test_mutated_files():
    survived = sum(survivor(seed) is not None for seed in range(60))
    assert 3 < survived < 57, "mutations that change nothing, or all, show nothing"


@pytest.mark.slow
def test_many_mutated_files_give_the_integers_of_the_executor():
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
    pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")
    from codesign.frontends.qonnx_reference import compared

    agreed = 0
    for seed in range(1000, 2500):
        if (found := survivor(seed)) is None:
            continue
        imported, data = found
        batch = imported.file.shape[0] or 1
        shape = (-(-4 // batch) * batch, *imported.graph.input.shape)
        if batch > 64 or imported.open:
            continue
        try:
            type = imported.graph.input.type
            x = np.random.default_rng(seed).integers(type.min, type.max + 1, size=shape)
            expected, integers = compared(imported, data, x)
        except UserError:
            continue  # the executor refuses what it need not
        assert (expected == integers).all(), f"seed {seed}"
        agreed += 1
    assert agreed > 50

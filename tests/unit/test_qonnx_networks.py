"""Imported QONNX networks against the qonnx executor, and against the frontend of the framework they come from."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")

from codesign import data, zoo
from codesign.errors import UserError
from codesign.frontends import qonnx_file, qonnx_walk
from codesign.frontends.lowering import Lowering
from codesign.frontends.qonnx import convert, import_qonnx, input_stream
from codesign.frontends.qonnx_reference import compared, executable
from codesign.ir import IntType, digest, golden

from .qonnx_networks import network

REFUSED = re.compile(r"node 'TopK\d+' \(TopK\) compares logits whose scales or biases have no small common step; ")


def frames(type: IntType, shape: tuple[int, ...], seed: int, count: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(type.min, type.max + 1, size=(count, *shape))


def kind(seed: int) -> IntType:
    return IntType(4, signed=seed % 2 == 1)


def assert_equal(seed: int, exact: bool) -> str:
    """Compare a random network with the executor.

    Returns
    -------
    str
        "equal"; "open" when the rounding of float32 decides in it; "refused" when it takes the largest of logits that
        have no common step.
    """
    file, scale = network(seed, exact, last=seed % 4 == 3)
    try:
        found = convert(qonnx_file.loads(file), input_type=kind(seed), input_scale=scale)
    except UserError as error:
        if REFUSED.match(str(error)):
            return "refused"
        raise
    expected, integers = compared(found, file, frames(found.graph.input.type, found.graph.input.shape, seed))
    if not found.open:
        assert (expected == integers).all(), f"seed {seed}"
    return "open" if found.open else "equal"


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_whose_scales_are_powers_of_two(seed: int):
    assert_equal(seed, exact=True)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_with_float_scales(seed: int):
    assert_equal(seed, exact=False)
    assert_within_bounds(seed, exact=False)


@pytest.mark.slow
def test_many_random_networks():
    found = Counter(assert_equal(seed, exact=True) for seed in range(1000, 1200))
    assert found["equal"] > 150
    assert found["refused"] < 20
    assert sum(assert_equal(seed, exact=False) == "equal" for seed in range(1000, 1200)) > 50


@pytest.mark.slow
def test_bounds_of_many_random_networks():
    for seed in range(2000, 2100):
        assert_within_bounds(seed, exact=seed % 2 == 0)


def assert_within_bounds(seed: int, exact: bool) -> None:
    """Every number of the executor lies where the frontend says it does, up to the first step that is left open."""
    from qonnx.core.onnx_exec import execute_onnx

    data_, scale = network(seed, exact)
    file = qonnx_file.loads(data_)
    lowering = Lowering("bounds")
    axes = "NF" if len(file.shape) == 2 else "NCHW"
    walk = qonnx_walk.Walk(file, lowering, {"x": input_stream(lowering, file, axes, kind(seed), scale)}, 8, True)
    try:
        walk.run()
    except UserError as error:
        if REFUSED.match(str(error)):
            return
        raise
    unsimplified = lowering.unsimplified()
    x = frames(unsimplified.input.type, unsimplified.input.shape, seed, 8)
    real = np.moveaxis(x.astype(np.float32) * np.float32(scale), -1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numbers = execute_onnx(executable(data_), {"x": np.ascontiguousarray(real)}, True)
    integers = golden.run(unsimplified, x, trace=True)
    left_open = {part.label for part in walk.open}
    checked = 0
    for node in file.nodes:
        if node.label in left_open:
            break
        stream = walk.streams.get(node.outputs[0])
        if stream is None or any(stream.padding):
            continue
        value = numbers[node.outputs[0]]
        if stream.order is None:
            value = value.transpose([stream.axes.index(axis) for axis in "NHWCF" if axis in stream.axes])
        else:
            value = value[:, stream.order]
        low, high = stream.numbers(integers[stream.edge])
        assert ((low <= value) & (value <= high)).all(), f"seed {seed}, {node.label}"
        checked += 1
    assert checked


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory):
    """Files that Brevitas writes of models of this package."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra qonnx-check)")
    import torch
    from brevitas.export import export_qonnx

    folder = tmp_path_factory.mktemp("exported")

    def export(name: str) -> Path:
        model = zoo.load(name)
        shape = data.info(model.dataset).shape
        path = folder / f"{name}.onnx"
        if not path.exists():
            frame = shape if len(shape) == 1 else (shape[2], *shape[:2])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                export_qonnx(model.build(), torch.zeros(1, *frame), str(path))
        return path

    return export


def options(name: str) -> dict:
    model = zoo.load(name)
    info = data.info(model.dataset)
    return {"input_type": IntType(info.input_bits, info.input_signed), "input_scale": model.input_scale, "name": name}


RESNETS = ("resnet8_w2", "resnet8_w3", "resnet8_w4")
"""The others hold what Brevitas cannot export: bits 0 and 1, codebooks, adaptive steps."""


@pytest.mark.parametrize(
    "name", ["digits_cnn_w3", "unsw_mlp_w2", *(pytest.param(name, marks=pytest.mark.slow) for name in RESNETS)]
)
def test_exported_models_come_back(exported, name: str):
    path, own = exported(name), zoo.load(name).graph()
    # With the same multipliers behind wide quantisers the graphs are the same; exact ones are other constants.
    same = import_qonnx(path, exact=False, **options(name)).graph
    assert same.same_as(own)
    assert digest(same) == digest(own), "structure and integers; names for people and scales do not count"
    found = import_qonnx(path, **options(name)).graph
    assert [node.op.name for node in found] == [node.op.name for node in own]
    x = frames(own.input.type, own.input.shape, 0, 64)
    assert (golden.run(found, x) == golden.run(own, x)).mean() > 0.99
    for ours, theirs in zip(found, own, strict=True):
        assert ours.op.name == "dyadic" or ours.op.same_as(theirs.op)


@pytest.mark.parametrize("name", ["digits_cnn_w3", "unsw_mlp_w2"])
def test_exported_models_equal_the_executor(exported, name: str):
    path = exported(name)
    found = import_qonnx(path, **options(name))
    expected, integers = compared(
        found, path.read_bytes(), frames(found.graph.input.type, found.graph.input.shape, 1, 6)
    )
    assert (expected == integers).all()

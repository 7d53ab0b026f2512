"""Broken hardware is noticed: a constant or a line of the emitted C++ changes, and verification names the operator."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import hls4ml
from codesign.backends.hls4ml import Hls4mlProject
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import (
    Add,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    SelectDyadic,
    SelectThreshold,
    SumPool,
    Threshold,
)
from codesign.verify.compare import verify
from codesign.verify.frames import random_frames

BINARY = np.array([-1, 1])


def graph() -> Graph:
    """Every kind of constant table: n0 plain weights, n1 thresholds, n2 codebook, n3 dyadic, n4 a join, n6 binary."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder()
    x = builder.input((6, 6, 2), IntType(4, signed=True))
    conv = builder.add(Conv2d(rng.integers(-4, 4, (3, 3, 2, 3)), padding=1, bias=rng.integers(-9, 9, 3)), x)
    low = builder.add(Threshold(np.array([[-40, -10, 8]] * 3)), conv)
    book = builder.add(Conv2d(rng.integers(0, 3, (3, 3, 3, 3)), padding=1, codebook=np.array([-3, 1, 5])), low)
    wide = builder.add(Dyadic(np.array([9, 10, 11]), np.array([5, 6, 7]), np.full(3, 4), IntType(6, True)), book)
    join = builder.add(Add(), wide, low)
    bit = builder.add(Threshold(np.array([[12]])), join)
    binary = builder.add(Conv2d(rng.integers(0, 2, (2, 2, 3, 4)), codebook=BINARY), bit)
    pooled = builder.add(SumPool(5), binary)
    flat = builder.add(Flatten(), pooled)
    return builder.build(builder.add(Dense(rng.integers(-9, 9, (4, 3)), bias=rng.integers(-9, 9, 3)), flat))


def adaptive_graph() -> Graph:
    """What an index chooses: n4 holds the frame, n5 thresholds and n7 constants by index, n6 weights in two sums."""
    rng = np.random.default_rng(4)
    builder = GraphBuilder()
    x = builder.input((5, 5, 2), IntType(6, signed=False))
    total = builder.add(Flatten(), builder.add(SumPool(5), x))
    total = builder.add(Dense(np.array([[1], [-1]])), total)
    index = builder.add(Threshold(np.array([[-150, 0, 150]])), total)
    held = builder.add(FrameBuffer(), x)
    codes = builder.add(SelectThreshold(np.sort(rng.integers(1, 60, (4, 2, 3)), axis=2)), held, index)
    book = np.array([0, 128, 181, 256, 362, -128, -181, -256, -362])
    weight = rng.integers(0, 9, (3, 3, 2, 4))
    post = builder.add(Conv2d(weight, codebook=book, bias=rng.integers(-99, 99, 4)), codes)
    tables = rng.integers(20, 90, (4, 4)), rng.integers(-9000, 9000, (4, 4)), rng.integers(11, 14, (4, 4))
    return builder.build(builder.add(SelectDyadic(*tables, IntType(8, True)), post, index))


def emitted(graph: Graph, io_type: str, tmp_path: Path) -> Hls4mlProject:
    return hls4ml.emit(graph, boards.load("pynq-z2"), tmp_path / "project", io_type=io_type, reuse_factor=2)


IO_TYPES = ["io_stream", pytest.param("io_parallel", marks=pytest.mark.slow)]


@pytest.fixture(params=IO_TYPES)
def project(request, tmp_path) -> Hls4mlProject:
    return emitted(graph(), request.param, tmp_path)


@pytest.fixture(params=IO_TYPES)
def adaptive(request, tmp_path) -> Hls4mlProject:
    return emitted(adaptive_graph(), request.param, tmp_path)


class Unoptimised:
    """A project compiled for the sake of one run."""

    def __init__(self, project: Hls4mlProject) -> None:
        self.project = project

    def run(self, x, trace=False):
        return self.project.run(x, trace, optimise=False)


def first_difference(project: Hls4mlProject) -> str | None:
    """Return the node that verification names, or None when all integers are equal."""
    result = verify(project.graph, Unoptimised(project), random_frames(project.graph, 40, seed=1))
    return result.first_difference.node if result.first_difference else None


def change_entry(project: Hls4mlProject, table: str, entry: int, change) -> None:
    """Change one literal of a constant table."""
    path = project.folder / "firmware" / "weights" / f"{table}.h"
    head, body = path.read_text().split("] = ", 1)
    literals = list(re.finditer(r"-?\d+", body))
    place = literals[entry]
    value = change(int(place.group()))
    assert value != int(place.group())
    path.write_text(f"{head}] = {body[: place.start()]}{value}{body[place.end() :]}")


def change_line(folder: Path, header: str, old: str, new: str) -> None:
    """Change one piece of a kernel."""
    path = folder / "firmware" / "nnet_utils" / header
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new))


# The text of a kernel that a test changes in each of its two versions.
HELD = {"io_stream": ("frame[p][i] = pack[i]", "frame[0][i] = pack[i]"), "io_parallel": ("data[i];", "data[i / 2];")}


def test_the_unchanged_project_is_exact(project):
    assert first_difference(project) is None


@pytest.mark.parametrize(
    ("table", "entry", "change"),
    [
        pytest.param("n0_weight", 7, lambda w: w ^ 1, id="weight"),
        pytest.param("n0_bias", 2, lambda b: b + 1, id="bias"),
        pytest.param("n1_threshold", 4, lambda t: t + 3, id="threshold"),
        pytest.param("n2_weight", 11, lambda code: (code + 1) % 3, id="codebook code"),
        pytest.param("n3_multiplier", 1, lambda m: m + 1, id="multiplier"),
        pytest.param("n3_constant", 0, lambda c: c + 8, id="rounding constant"),
        pytest.param("n3_shift", 2, lambda s: s - 1, id="shift"),
        pytest.param("n6_weight", 5, lambda w: 1 - w, id="binary weight"),
        pytest.param("n6_bias", 3, lambda b: b + 1, id="binary constant"),
        pytest.param("n9_weight", 8, lambda w: w + 1, id="dense weight"),
    ],
)
def test_a_changed_constant(project, table, entry, change):
    change_entry(project, table, entry, change)
    assert first_difference(project) == table.split("_")[0]


@pytest.mark.parametrize(
    ("header", "old", "new", "node"),
    [
        pytest.param("threshold.h", "x >= threshold_t", "x > threshold_t", "n1", id="comparison"),
        pytest.param("dyadic.h", "wide += constant;", "", "n3", id="no rounding"),
        pytest.param("dyadic.h", "shifted > high ? high :", "", "n3", id="no upper clamp"),
        pytest.param("add.h", "] + ", "] - ", "n4", id="join"),
        pytest.param("mac.h", "ap_uint<1>(x == w)", "ap_uint<1>(x != w)", "n6", id="exclusive nor"),
        pytest.param("sum_pool.h", "sofar + next", "sofar", "n7", id="pooling"),
    ],
)
def test_a_changed_kernel(project, header, old, new, node):
    change_line(project.folder, header, old, new)
    assert first_difference(project) == node


def test_a_changed_product_of_the_codebook(project):
    path = project.folder / "firmware" / "parameters.h"
    text = path.read_text()
    assert "// 5" in text
    path.write_text(re.sub(r"return [^;]*; // 5", "return 4 * x; // 5", text))
    assert first_difference(project) == "n2"


def test_the_unchanged_adaptive_project_is_exact(adaptive):
    assert first_difference(adaptive) is None


@pytest.mark.parametrize(
    ("table", "entry", "change"),
    [
        pytest.param("n5_threshold", 9, lambda t: t + 3, id="threshold"),
        pytest.param("n6_weight", 20, lambda code: (code + 1) % 9, id="code of a weight"),
        pytest.param("n6_bias", 1, lambda b: b + 1000, id="bias"),
        pytest.param("n7_multiplier", 5, lambda m: m + 9, id="multiplier"),
        pytest.param("n7_constant", 10, lambda c: c + 4000, id="rounding constant"),
        pytest.param("n7_shift", 0, lambda s: s - 1, id="shift"),
    ],
)
def test_a_changed_constant_of_an_entry(adaptive, table, entry, change):
    change_entry(adaptive, table, entry, change)
    assert first_difference(adaptive) == table.split("_")[0]


@pytest.mark.parametrize(
    ("header", "old", "new", "node"),
    [
        pytest.param("select_threshold.h", "thresholds[entry]", "thresholds[0]", "n5", id="thresholds of the index"),
        pytest.param("select_dyadic.h", "multiplier[entry]", "multiplier[0]", "n7", id="multiplier of the index"),
        pytest.param("select_dyadic.h", "constant[entry]", "constant[0]", "n7", id="constant of the index"),
        pytest.param("select_dyadic.h", "shift[entry]", "shift[0]", "n7", id="shift of the index"),
        pytest.param("running_sum.h", "sum.odd += CONFIG_T::product::odd(x, weight);", "", "n6", id="odd sum"),
        pytest.param("running_sum.h", " << CONFIG_T::even_shift", "", "n6", id="shift of a sum"),
        pytest.param("running_sum.h", "bias + even", "even", "n6", id="bias"),
        pytest.param("running_sum.h", "zero.odd = 0;", "zero.odd = 1;", "n6", id="start of a sum"),
    ],
)
def test_a_changed_kernel_behind_an_index(adaptive, header, old, new, node):
    change_line(adaptive.folder, header, old, new)
    assert first_difference(adaptive) == node


@pytest.mark.parametrize("io_type", IO_TYPES)
def test_a_changed_frame_buffer(io_type, tmp_path):
    adaptive = emitted(adaptive_graph(), io_type, tmp_path)
    change_line(adaptive.folder, "frame_buffer.h", *HELD[io_type])
    assert first_difference(adaptive) == "n4"


def test_a_changed_factor_of_the_odd_sum(adaptive):
    path = adaptive.folder / "firmware" / "parameters.h"
    text = path.read_text()
    assert "// 181" in text
    path.write_text(re.sub(r"return [^;]*; // 181", "return 180 * x; // 181", text))
    assert first_difference(adaptive) == "n6"

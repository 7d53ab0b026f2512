"""Regression vectors: what is committed comes back, and any change is named."""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.graph import rebuild
from codesign.ir.ops import Dense, Flatten, Threshold
from codesign.verify import vectors


@pytest.fixture
def x_test() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, size=(9, 8, 8, 3)).astype(np.uint8)


@pytest.fixture
def path(residual: Graph, x_test: np.ndarray, tmp_path: Path) -> Path:
    place = vectors.path_of(tmp_path / "model.safetensors")
    vectors.save(vectors.record(residual, x_test, 6), place)
    return place


def test_vectors_come_back(residual: Graph, x_test: np.ndarray, path: Path):
    assert path.name == "model.vectors.json"
    committed = vectors.load(path)
    assert committed["frames"].shape == (6, 8, 8, 3)
    assert (golden.run(residual, committed["frames"]) == committed["outputs"]).all()
    assert set(committed["edges"]) == {node.name for node in residual.nodes}
    assert vectors.changes(residual, committed, None) == []
    assert vectors.dumps(vectors.record(residual, x_test, 6)) == path.read_text()


def with_op(graph: Graph, name: str, change: Callable) -> Graph:
    keep = [(n.name, change(n.op) if n.name == name else n.op, n.inputs, n.label) for n in graph.nodes]
    return rebuild(graph, keep, {})


def nudged_threshold(op: Threshold) -> Threshold:
    return dataclasses.replace(op, thresholds=op.thresholds + 50)


def test_a_changed_constant_is_named(residual: Graph, path: Path):
    found = vectors.changes(with_op(residual, "n3", nudged_threshold), vectors.load(path), None)
    assert found[0] == "the integer graph (structure, weights or constants) is another one"
    assert found[1] == "golden gives other integers, first at n3 (threshold, layer 'stack1.activation1')"


def test_a_change_without_effect_is_still_another_graph(residual: Graph, path: Path):
    name = residual.outputs[0]
    wider = with_op(residual, name, lambda op: dataclasses.replace(op, weight_bits=20))
    assert vectors.changes(wider, vectors.load(path), None) == [
        "the integer graph (structure, weights or constants) is another one"
    ]


class Project:
    def __init__(self, graph: Graph, fault: str | None = None, only: str | None = None) -> None:
        self.graph, self.fault, self.only = graph, fault, only

    def run(self, x, trace=False):
        traced = golden.run(self.graph, x, trace=True)
        if self.fault:
            traced[self.fault] = traced[self.fault].copy()
            traced[self.fault].flat[-1] += 1
        return traced if self.only is None else {self.only: traced[self.only]}


def test_a_simulation_is_checked_too(residual: Graph, path: Path):
    committed, output = vectors.load(path), residual.outputs[0]
    assert vectors.changes(residual, committed, Project(residual)) == []
    assert vectors.changes(residual, committed, Project(residual, only=output)) == []
    assert vectors.changes(residual, committed, Project(residual, fault="n4")) == [
        "C-simulation gives other integers, first at n4 (conv2d, layer 'stack1.conv2')"
    ]
    assert vectors.changes(residual, committed, Project(residual, fault=output, only=output)) == [
        f"C-simulation gives other integers, first at {output} (dense, layer 'classifier')"
    ]


def test_vectors_of_another_shape_do_not_fit(path: Path):
    builder = GraphBuilder()
    x = builder.input((4, 4, 1), IntType(8, signed=False))
    flat = builder.add(Flatten(), x)
    graph = builder.build(builder.add(Dense(np.ones((16, 2), dtype=np.int64)), flat))
    found = vectors.changes(graph, vectors.load(path), None)
    assert found[-1] == "the graph now takes uint8[4x4x1] and the vectors do not fit"


def test_recording_anew_replaces(residual: Graph, x_test: np.ndarray, path: Path):
    other = with_op(residual, "n3", nudged_threshold)
    vectors.save(vectors.record(other, x_test, 4), path)
    assert vectors.changes(other, vectors.load(path), None) == []
    assert vectors.changes(residual, vectors.load(path), None)


@pytest.mark.parametrize("kind", [IntType(1, False), IntType(8, True), IntType(16, False), IntType(40, True)])
def test_inputs_of_any_width_are_kept(kind: IntType, tmp_path: Path):
    builder = GraphBuilder()
    x = builder.input((3,), kind)
    graph = builder.build(builder.add(Dense(np.ones((3, 2), dtype=np.int64)), x))
    data = np.random.default_rng(0).integers(kind.min, kind.max + 1, size=(5, 3))
    vectors.save(vectors.record(graph, data, 4), tmp_path / "v.json")
    committed = vectors.load(tmp_path / "v.json")
    assert vectors.changes(graph, committed, None) == []
    assert committed["frames"].min() == kind.min


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no format": lambda d: d.pop("format"),
    "other format": lambda d: d.update(format="something"),
    "no digest": lambda d: d.pop("graph_sha256"),
    "no inputs": lambda d: d.pop("inputs"),
    "inputs a list": lambda d: d.update(inputs=[1, 2]),
    "unknown kind": lambda d: d["inputs"].update(dtype="float64"),
    "not base64": lambda d: d["inputs"].update(zlib_base64="%%%"),
    "not zlib": lambda d: d["inputs"].update(zlib_base64="AAAA"),
    "short": lambda d: d["inputs"].update(zlib_base64=base64.b64encode(zlib.compress(b"abc")).decode()),
    "other shape": lambda d: d.update(shape=[6, 8, 8, 4]),
    "negative shape": lambda d: d.update(shape=[-6, -8, 8, 3]),
    "empty shape": lambda d: d.update(shape=[]),
    "no frames": lambda d: d.update(shape=[0, 8, 8, 3]),
    "huge shape": lambda d: d.update(shape=[10**6, 10**6, 10**6, 10**6]),
    "shape a text": lambda d: d.update(shape="many"),
    "ragged outputs": lambda d: d["outputs"][0].append(1),
    "float outputs": lambda d: d["outputs"][0].__setitem__(0, 0.5),
    "huge outputs": lambda d: d["outputs"][0].__setitem__(0, 10**30),
    "missing outputs": lambda d: d["outputs"].pop(),
    "outputs null": lambda d: d.update(outputs=None),
    "edges a number": lambda d: d.update(edges=7),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_sentence(path: Path, name: str):
    edited(path, DAMAGE[name])
    with pytest.raises(UserError, match=r"is damaged \(\w+\); restore it from version control\.$"):
        vectors.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "[" * 100_000, "\x00"])
def test_what_is_no_document_is_damaged(path: Path, text: str):
    path.write_text(text)
    with pytest.raises(UserError, match="damaged"):
        vectors.load(path)


def test_bytes_that_are_no_text_are_damaged(path: Path):
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="damaged"):
        vectors.load(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        vectors.load(path)


def test_truncated_files_are_damaged(path: Path):
    text = path.read_text()
    for keep in np.linspace(0, len(text) - 3, 40).astype(int):
        path.write_text(text[:keep])
        with pytest.raises(UserError, match="damaged"):
            vectors.load(path)


def test_a_missing_file_and_another_version_say_what_to_do(path: Path):
    with pytest.raises(UserError, match=r"no vectors at .*--update"):
        vectors.load(path.with_name("absent.json"))
    edited(path, lambda d: d.update(version=2, inputs="elsewhere"))
    with pytest.raises(UserError, match=r"another version; .*--update"):
        vectors.load(path)


def test_a_document_is_checked_before_it_is_saved(residual: Graph, x_test: np.ndarray, path: Path):
    document = vectors.record(residual, x_test, 4)
    assert vectors.changes(residual, vectors.parse(document), None) == []
    vectors.save(document, path)
    loaded, parsed = vectors.load(path), vectors.parse(document)
    assert loaded.keys() == parsed.keys()
    assert all(np.array_equal(loaded[key], parsed[key]) for key in ("frames", "outputs"))


def test_a_small_data_set_gives_fewer_vectors(residual: Graph, x_test: np.ndarray):
    document = vectors.record(residual, x_test[:1], 8)
    assert len(document["outputs"]) == len(vectors.parse(document)["frames"]) == 1 + 4

"""The file format: round trips, equal bytes, and every damage answered by one sentence."""

from __future__ import annotations

import io
import json
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, digest, dumps, golden, load, loads, save, serialize
from codesign.ir.ops import (
    ArgMax,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    MaxPool,
    SelectDyadic,
    SelectThreshold,
    SumPool,
    Threshold,
)


def every_operator() -> Graph:
    """All operators with unusual attributes: codebooks, groups, odd padding, wide constants."""
    builder = GraphBuilder('a name with "quotes", ümlauts and \\')
    rng = np.random.default_rng(0)
    x = builder.input((6, 5, 4), IntType(8, signed=True), scale=1 / 3)
    book = np.array([-8, -1, 0, 5])
    y = builder.add(
        Conv2d(rng.integers(0, 4, size=(3, 2, 2, 6)), None, (1, 2), (0, 1, 2, 0), 2, rng.integers(-9, 9, 6), book),
        x,
        label='"; system("rm -rf /")',
    )
    y = builder.add(MaxPool((2, 1), 1), y)
    y = builder.add(Dyadic(np.array([-(1 << 17)]), np.array([1 << 40]), np.array([25]), IntType(9, signed=True)), y)
    y = builder.add(Threshold(np.array([[-(1 << 62), -1, -1, 1 << 62]]), -2), y)
    y = builder.add(SumPool(2), y)
    y = builder.add(Flatten(), y)
    features = builder.edge(y).size
    y = builder.add(Dense(rng.integers(-3, 4, size=(features, 3)), weight_bits=(3, 4, 24)), y)
    index = builder.add(ArgMax(), y)
    extremes = np.array([[[-(1 << 63), (1 << 63) - 1]], [[0, 0]], [[-1, 1]], [[7, 7]]])
    z = builder.add(SelectThreshold(extremes, -1), builder.add(FrameBuffer(), y), index)
    constants = np.array([[-(1 << 17)], [0], [1], [9]]), np.array([[1 << 40], [0], [-1], [3]]), np.arange(4)[:, None]
    z = builder.add(SelectDyadic(*constants, IntType(9, signed=True)), z, index)
    return builder.build(index, y, z, scales={y: 1e-300, z: 2.0})


GRAPH = every_operator()
DATA = dumps(GRAPH)


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_document(change: Callable[[dict[str, Any]], object]) -> bytes:
    contents = members(DATA)
    document = json.loads(contents["graph.json"])
    change(document)
    return packed({**contents, "graph.json": json.dumps(document).encode()})


def npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_a_graph_comes_back_whole():
    again = loads(DATA)
    assert again.same_as(GRAPH)
    assert again.name == GRAPH.name
    assert again.scales == GRAPH.scales
    assert [node.label for node in again] == [node.label for node in GRAPH]
    assert digest(again) == digest(GRAPH)


def test_integers_survive(residual: Graph, tmp_path: Path):
    path = tmp_path / "residual.graph"
    save(residual, path)
    again = load(path)
    x = np.random.default_rng(0).integers(0, 256, size=(4, 8, 8, 3))
    assert (golden.run(again, x) == golden.run(residual, x)).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["residual.graph"]


def test_equal_graphs_make_equal_bytes():
    assert dumps(every_operator()) == DATA
    assert dumps(loads(DATA)) == DATA


def simple(weight: int = 3, scale: float = 1.0, label: str = "", name: str = "a", bits: int = 4) -> Graph:
    builder = GraphBuilder(name)
    x = builder.input((2,), IntType(bits, signed=False), scale=scale)
    return builder.build(builder.add(Dense(np.full((2, 2), weight), weight_bits=8), x, label=label))


def test_the_digest_counts_integers_and_structure_only():
    base = digest(simple())
    assert base == digest(simple(label="elsewhere", name="b", scale=0.5))
    others = [simple(weight=2), simple(bits=5)]
    assert len({base, *(digest(other) for other in others)}) == 3


def outcome(data: bytes) -> str:
    """What a reader says: "same", "other" graph, or "refused"; anything else is an error of the test."""
    try:
        graph = loads(data)
    except UserError as error:
        return "refused" if str(error).endswith(".") and "\n" not in str(error) else f"refused badly: {error}"
    return "same" if graph.same_as(GRAPH) else "other"


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_flipped_bits_and_bytes_are_noticed(first: int):
    for seed in range(first, first + 100):
        rng = np.random.default_rng(seed)
        data = bytearray(DATA)
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(len(data)))
            if rng.random() < 0.5:
                data[place] ^= 1 << int(rng.integers(8))
            else:
                data[place] = int(rng.integers(256))
        assert outcome(bytes(data)) in ("same", "refused"), f"seed {seed}"


def test_every_bit_of_the_directory_may_flip():
    # The structures around the content, where flags, methods, sizes and offsets lie.
    start = DATA.index(b"PK\x01\x02")
    places = [*range(40), *range(start, min(start + 60, len(DATA))), *range(len(DATA) - 22, len(DATA))]
    for place in places:
        for bit in range(8):
            data = bytearray(DATA)
            data[place] ^= 1 << bit
            assert outcome(bytes(data)) in ("same", "refused"), (place, bit)


@pytest.mark.parametrize("keep", np.linspace(0, len(DATA) - 1, 60).astype(int).tolist())
def test_truncated_files_are_refused(keep: int):
    assert outcome(DATA[:keep]) == "refused"


def test_pieces_moved_inserted_or_doubled():
    rng = np.random.default_rng(0)
    for _ in range(60):
        a, b = sorted(int(v) for v in rng.integers(0, len(DATA), size=2))
        for data in (DATA[:a] + DATA[b:], DATA[:b] + DATA[a:], DATA[a:b] + DATA, DATA[:a] + bytes(b - a) + DATA[b:]):
            assert outcome(data) in ("same", "refused")


class Boom:
    """Unpickling it raises what no reader may let through."""

    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('unpickled')",))


ARRAY = "arrays/0.npy"
HEADER = b"\x93NUMPY\x01\x00"


def header(text: bytes, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Boom()),
        npy(np.array([Boom()], dtype=object), allow_pickle=True),
        npy(np.zeros((3, 2, 2, 6))),
        npy(np.zeros((3, 2, 2, 6), dtype=">i8")),
        npy(np.zeros((3, 2, 2, 6), dtype=np.int32)),
        npy(np.asfortranarray(np.zeros((3, 2, 2, 6), dtype=np.int64))),
        npy(np.int64(7)),
        b"",
        b"\x93NUMPY",
        header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999, 9999), }\n"),
        header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (999999999999999999999999, ), }\n"),
        header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2, 2, 6), }\n", b"\x09\x00"),
        header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (-1,), }\n"),
        header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (((((\n"),
        header(b"__import__('os').system('true')\n"),
        npy(np.zeros((3, 2, 2, 6), dtype=np.int64)) + b"\0",
        npy(np.zeros((3, 2, 2, 6), dtype=np.int64))[:-8],
        npy(np.zeros((3, 2, 2, 6), dtype=np.int64))[:-1],
        npy(np.full((3, 2, 2, 6), 4, dtype=np.int64)),  # codes outside the codebook
    ],
)
def test_hostile_arrays_are_refused(content: bytes):
    assert outcome(packed({**members(DATA), ARRAY: content})) == "refused"


def node(document: dict[str, Any], index: int) -> dict[str, Any]:
    return document["nodes"][index]["attributes"]


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "no format": lambda d: d.pop("format"),
    "other format": lambda d: d.update(format=["codesign-integer-graph"]),
    "version 2": lambda d: d.update(version=2),
    "version text": lambda d: d.update(version="1"),
    "no name": lambda d: d.pop("name"),
    "no inputs": lambda d: d.update(inputs=[]),
    "inputs a number": lambda d: d.update(inputs=3),
    "nodes a text": lambda d: d.update(nodes="none"),
    "nodes a dict": lambda d: d.update(nodes={"op": "add"}),
    "no outputs": lambda d: d.update(outputs=[]),
    "unknown output": lambda d: d["outputs"][0].update(edge="n99"),
    "output a list": lambda d: d["outputs"][0].update(edge=["n1"]),
    "scale a number": lambda d: d["outputs"][0].update(scale=0.5),
    "scale NaN": lambda d: d["outputs"][0].update(scale="nan"),
    "scale infinite": lambda d: d["inputs"][0].update(scale="inf"),
    "scale too large": lambda d: d["inputs"][0].update(scale="0x1p99999"),
    "shape float": lambda d: d["inputs"][0].update(shape=[6.0, 5, 4]),
    "shape text": lambda d: d["inputs"][0].update(shape="654"),
    "shape true": lambda d: d["inputs"][0].update(shape=[True, 5, 4]),
    "shape empty": lambda d: d["inputs"][0].update(shape=[]),
    "shape huge": lambda d: d["inputs"][0].update(shape=[10**400, 5, 4]),
    "shape negative": lambda d: d["inputs"][0].update(shape=[-6, 5, 4]),
    "type wide": lambda d: d["inputs"][0].update(type=[63, True]),
    "type float": lambda d: d["inputs"][0].update(type=[8.0, True]),
    "type true": lambda d: d["inputs"][0].update(type=[True, True]),
    "type number": lambda d: d["inputs"][0].update(type=[8, 1]),
    "type short": lambda d: d["inputs"][0].update(type=[8]),
    "unknown operator": lambda d: d["nodes"][0].update(op="conv3d"),
    "operator a list": lambda d: d["nodes"][0].update(op=[]),
    "operator os": lambda d: d["nodes"][0].update(op="__init__"),
    "later input": lambda d: d["nodes"][0].update(inputs=["n5"]),
    "own input": lambda d: d["nodes"][0].update(inputs=["n0"]),
    "inputs a text": lambda d: d["nodes"][0].update(inputs="x0"),
    "two inputs": lambda d: d["nodes"][0].update(inputs=["x0", "x0"]),
    "attribute missing": lambda d: node(d, 0).pop("groups"),
    "attribute added": lambda d: node(d, 0).update(dilation=1),
    "groups zero": lambda d: node(d, 0).update(groups=0),
    "groups text": lambda d: node(d, 0).update(groups="2"),
    "groups float": lambda d: node(d, 0).update(groups=2.0),
    "weight a number": lambda d: node(d, 0).update(weight=7),
    "weight inline": lambda d: node(d, 0).update(weight=[[1.5]]),
    "array missing": lambda d: node(d, 0).update(weight={"array": 99}),
    "array elsewhere": lambda d: node(d, 0).update(weight={"array": "../../etc/passwd"}),
    "array null": lambda d: node(d, 0).update(weight={"array": None}),
    "weight null": lambda d: node(d, 0).update(weight=None),
    "unknown encoding": lambda d: node(d, 0).update(weight={"pickle": 0}),
    "narrow widths": lambda d: node(d, 6).update(weight_bits=[1, 1, 1]),
    "float widths": lambda d: node(d, 6).update(weight_bits=[3.5, 4, 24]),
    "padding text": lambda d: node(d, 0).update(padding="none"),
    "stride zero": lambda d: node(d, 1).update(stride=[0, 0]),
    "stride null": lambda d: node(d, 1).update(stride=[None, 1]),
    "offset float": lambda d: node(d, 3).update(offset=0.5),
    "offset huge": lambda d: node(d, 3).update(offset=1 << 80),
    "dyadic type": lambda d: node(d, 2).update(type=[9, True]),
    "dyadic null": lambda d: node(d, 2).update(type=None),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_documents_are_refused(name: str):
    assert outcome(with_document(lambda document: None)) == "same"
    assert outcome(with_document(WRONG[name])) == "refused"


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"7", b'"codesign-integer-graph"', b"{", b"\xff\xfe", b'{"format": NaN}',
        b"[" * 200_000, b'{"a":' * 200_000, b"1" * 10_000,
        b'{"format": "codesign-integer-graph", "version": 1, "nodes": ' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_documents_that_are_no_graph_are_refused(text: bytes):
    assert outcome(packed({"graph.json": text})) == "refused"


def test_other_archives_are_refused():
    for data in (b"", b"PK", b"not a zip at all" * 99, packed({}), packed({"other": b""}), b"PK\x05\x06" + bytes(18)):
        assert outcome(data) == "refused"
    contents = members(DATA)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        assert outcome(buffer.getvalue()) == "refused"


def peak_of_refusal(data: bytes) -> int:
    """Bytes taken, at most, while a file is refused."""
    tracemalloc.start()
    found = outcome(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == "refused"
    return peak


def claiming(data: bytes, name: bytes, size: int) -> bytes:
    """The archive with another size of one member in its directory."""
    entry = data.index(b"PK\x01\x02", data.index(name) + 1)
    while data[entry + 46 : entry + 46 + len(name)] != name:
        entry = data.index(b"PK\x01\x02", entry + 1)
    return data[: entry + 24] + size.to_bytes(4, "little") + data[entry + 28 :]


@pytest.mark.parametrize("name", [b"graph.json", b"arrays/0.npy"])
@pytest.mark.parametrize("size", [0, 1, serialize.MAX_DOCUMENT_BYTES + 1, serialize.MAX_UNPACKED_BYTES + 1, 2**32 - 2])
def test_sizes_that_lie_are_refused_without_taking_memory(name: bytes, size: int):
    assert peak_of_refusal(claiming(DATA, name, size)) < 1 << 24


def test_bombs_do_not_unfold():
    bomb = packed({**members(DATA), "graph.json": bytes(serialize.MAX_DOCUMENT_BYTES + 1)})
    assert peak_of_refusal(bomb) < 1 << 24
    shy = claiming(packed({**members(DATA), ARRAY: bytes(1 << 26)}), ARRAY.encode(), 1000)
    assert peak_of_refusal(shy) < 1 << 24


def test_many_small_members_share_one_allowance(monkeypatch: pytest.MonkeyPatch):
    sizes = [len(content) for content in members(DATA).values()]
    monkeypatch.setattr(serialize, "MAX_UNPACKED_BYTES", sum(sizes))
    assert outcome(DATA) == "same"
    monkeypatch.setattr(serialize, "MAX_UNPACKED_BYTES", sum(sizes) - 1)
    assert outcome(DATA) == "refused"


def test_a_missing_file_is_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="No such file"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match="directory"):
        load(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UserError, match="empty is damaged"):
        load(tmp_path / "empty")

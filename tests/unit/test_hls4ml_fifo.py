"""Streams of the emitted network are deep enough: it is played with blocking reads and writes, as in hardware."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from codesign import boards
from codesign.backends.hls4ml import fifo, ops
from codesign.backends.hls4ml.kernels import Place
from codesign.backends.hls4ml.model import Model, build, token_sizes
from codesign.backends.hls4ml.options import Options
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Add, Conv2d, Dense, Flatten, FrameBuffer, SelectDyadic, SelectThreshold, SumPool, Threshold
from codesign.verify.random_graphs import random_graph

FRAMES = 3


class Stream:
    def __init__(self, places: int) -> None:
        self.places, self.held, self.moves = places, 0, 0


def played(model: Model, depths: dict[str, int], seed: int = 0) -> bool:
    """Run all operators at once, in random order, on streams of these depths; tell whether the output comes."""
    graph = model.graph
    packs = token_sizes(graph)
    reads = {node.name: ops.reads(Place(node, graph, "io_stream", 1, packs)) for node in model.nodes}
    tokens = {edge: tensor.size // packs[edge] for edge, tensor in graph.edges.items()}
    names = {name for layer in model.layers for name in layer.get("outputs", [layer["name"]])}
    streams = {name: Stream(depths.get(name, fifo.SHALLOW)) for name in names}
    output = model.hls4ml.get_output_variables()[0].name

    def read(name: str) -> Iterator[None]:
        while not streams[name].held:
            yield
        streams[name].held -= 1
        streams[name].moves += 1

    def write(name: str) -> Iterator[None]:
        while streams[name].held == streams[name].places:
            yield
        streams[name].held += 1
        streams[name].moves += 1

    def edge_of(name: str) -> str:
        return name.split("_")[0]

    def actor(layer: dict) -> Iterator[None]:
        outputs = layer.get("outputs", [layer["name"]])
        inputs = layer.get("inputs", [])
        for _ in range(FRAMES):
            if layer["name"] in reads:
                done = [0] * len(inputs)
                own = reads[layer["name"]]
                for token in range(tokens[layer["name"]]):
                    for operand in own.order:
                        while done[operand] < own.needed[operand][token]:
                            yield from read(inputs[operand])
                            done[operand] += 1
                    yield from write(outputs[0])
                node = graph.node(layer["name"])
                for operand, name in enumerate(inputs):
                    while done[operand] < tokens[node.inputs[operand]]:
                        yield from read(name)
                        done[operand] += 1
            else:
                source = edge_of((inputs or outputs)[0])
                for _ in range(tokens[source]):
                    for name in inputs:
                        yield from read(name)
                    for name in outputs:
                        yield from write(name)

    def sink() -> Iterator[None]:
        for _ in range(FRAMES * tokens[graph.outputs[0]]):
            yield from read(output)

    end = sink()
    actors = [actor(layer) for layer in model.layers]
    rng = random.Random(seed)
    while True:
        before = sum(stream.moves for stream in streams.values())
        alive = []
        rng.shuffle(actors)
        for running in actors:
            if next(running, "done") != "done":
                alive.append(running)
        finished = len(actors) - len(alive)
        actors = alive
        if next(end, "done") == "done":
            return True
        if not finished and before == sum(stream.moves for stream in streams.values()):
            return False


def model_of(graph: Graph) -> Model:
    return build(graph, boards.load("pynq-z2"), Options())


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_run_to_the_end(seed):
    model = model_of(random_graph(seed))
    assert played(model, dict(model.depths), seed), str(model.graph)


def test_a_residual_network_stops_on_streams_half_as_deep(residual):
    model = model_of(residual)
    depths = dict(model.depths)
    assert played(model, depths)
    # The first fork: an 8x8 frame around two 3x3 convolutions, each a row and a pixel late.
    name = "n1_rest0"
    least = depths[name] - fifo.SLACK
    assert least == 2 * (8 + 1) + 1
    assert played(model, {**depths, name: least})
    assert not played(model, {**depths, name: least // 2})


def adaptive(buffer: bool = True, after: int = 1) -> Graph:
    """An activation whose step follows the frame, the index read again behind convolutions."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((8, 8, 2), IntType(4, signed=False))
    total = builder.add(Flatten(), builder.add(SumPool(8), x))
    index = builder.add(
        Threshold(np.array([[40, 80, 120]])), builder.add(Dense(np.ones((2, 1), dtype=np.int64)), total)
    )
    held = builder.add(FrameBuffer(), x) if buffer else x
    edge = builder.add(SelectThreshold(np.sort(rng.integers(0, 16, (4, 1, 3)), axis=2)), held, index)
    for _ in range(after):
        edge = builder.add(Conv2d(rng.integers(-2, 3, (3, 3, 2, 2)), padding=1), edge)
        edge = builder.add(SelectDyadic(*[np.ones((4, 1), dtype=np.int64)] * 3, IntType(5, True)), edge, index)
    return builder.build(edge)


@pytest.mark.parametrize("buffer", [True, False])
def test_the_index_of_a_frame_may_need_all_of_it(buffer):
    model = model_of(adaptive(buffer))
    depths = dict(model.depths)
    for seed in range(3):
        assert played(model, depths, seed)
    frame = "n4" if buffer else "x0_rest0"
    if buffer:
        # The buffer holds the frame, so that streams are shallow.
        assert depths[frame] == fifo.SHALLOW
        assert played(model, dict.fromkeys(depths, 1))
    else:
        # The stream holds all of it, for the index is read first; the fork before it may keep one token in hand.
        assert depths[frame] == 64
        assert not played(model, {**depths, frame: 62})


def test_an_index_waits_for_the_frames_ahead_of_its_own():
    """Readers far behind do not stop the index on its way to readers in front, and no stream holds a frame."""
    model = model_of(adaptive(after=4))
    depths = dict(model.depths)
    assert played(model, depths)
    index = [name for name in depths if name.startswith("n3")]
    assert len(index) == 5
    assert {depths[name] for name in index} == {fifo.SLACK}
    assert max(depths[name] for name in depths if name not in index) <= 8


def test_the_short_way_around_a_buffer_holds_the_frame():
    """A residual fork with an adaptive activation in one branch: the other waits for a whole frame."""
    builder = GraphBuilder()
    x = builder.input((8, 8, 2), IntType(4, signed=False))
    total = builder.add(Flatten(), builder.add(SumPool(8), x))
    index = builder.add(Threshold(np.array([[90]])), builder.add(Dense(np.ones((2, 1), dtype=np.int64)), total))
    codes = builder.add(SelectThreshold(np.array([[[4]], [[9]]])), builder.add(FrameBuffer(), x), index)
    model = model_of(builder.build(builder.add(Add(), codes, x)))
    depths = dict(model.depths)
    assert played(model, depths)
    short = [name for name in depths if depths[name] >= 64]
    assert len(short) == 1
    assert not played(model, {**depths, short[0]: 32})

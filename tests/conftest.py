"""What the tests share."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Add, Conv2d, Dense, Dyadic, Flatten, SumPool, Threshold


def residual_graph(seed: int = 0, blocks: int = 3, name: str = "resnet8_like") -> Graph:
    """A small residual network of random 3-bit weights: identity and 1x1 shortcuts, both re-quantisations."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder(name)

    def conv(edge: str, kernel: int, channels: int, stride: int, label: str, limit: int = 3) -> str:
        entering = builder.edge(edge).channels
        weight = rng.integers(-limit, limit + 1, size=(kernel, kernel, entering, channels))
        padding = (1 if stride == 1 else 0, 1, 1 if stride == 1 else 0, 1) if kernel == 3 else 0
        return builder.add(Conv2d(weight, stride=stride, padding=padding), edge, label=label)

    def threshold(edge: str, levels: int, label: str) -> str:
        spread = builder.edge(edge).type.max // 2
        rows = np.sort(rng.integers(-spread, spread + 1, size=(builder.edge(edge).channels, levels - 1)), axis=1)
        return builder.add(Threshold(rows), edge, label=label)

    def dyadic(edge: str, label: str) -> str:
        channels = builder.edge(edge).channels
        multiplier = rng.integers(1, 8, size=channels)
        bias, shift = rng.integers(-50, 50, size=channels), np.full(channels, 5)
        return builder.add(Dyadic(multiplier, bias, shift, IntType(8, signed=True)), edge, label=label)

    edge = builder.input((8, 8, 3), IntType(8, signed=False), scale=1 / 256)
    edge = threshold(conv(edge, 3, 4, 1, "stem", limit=127), 8, "stem.activation")
    for block in range(blocks):
        channels, stride, stack = 4 * 2**block, 1 if block == 0 else 2, f"stack{block + 1}"
        inner = threshold(conv(edge, 3, channels, stride, f"{stack}.conv1"), 8, f"{stack}.activation1")
        inner = dyadic(conv(inner, 3, channels, 1, f"{stack}.conv2"), f"{stack}.residual")
        if block == 0:
            short = dyadic(edge, f"{stack}.shortcut")
        else:
            short = dyadic(conv(edge, 1, channels, stride, f"{stack}.shortcut"), f"{stack}.shortcut")
        last = block == blocks - 1
        edge = threshold(builder.add(Add(), inner, short), 256 if last else 8, f"{stack}.activation2")
    edge = builder.add(SumPool(builder.edge(edge).shape[:2]), edge, label="pool")
    edge = builder.add(Flatten(), edge)
    features = builder.edge(edge).shape[0]
    edge = builder.add(
        Dense(rng.integers(-127, 128, size=(features, 10)), bias=rng.integers(-500, 500, size=10)),
        edge,
        label="classifier",
    )
    return builder.build(edge)


@pytest.fixture(scope="session")
def residual() -> Graph:
    """See `residual_graph`."""
    return residual_graph()

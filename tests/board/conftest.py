"""A small network behind the serial shell, compiled once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Dense
from codesign.toolchain import verilator

from .twin import Board, Twin


def network() -> Graph:
    """Words of 9 bits, which take two bytes; answers whose bytes take all values, flags and escapes among them."""
    weights = np.random.default_rng(3).integers(-4, 4, (4, 24))
    builder = GraphBuilder("serial")
    return builder.build(builder.add(Dense(weights), builder.input((4,), IntType(9, signed=True))))


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    if verilator.locate() is None:
        pytest.skip("needs Verilator, which comes with the extra rtl")
    return Board(tmp_path_factory.mktemp("board") / "project", network())


@pytest.fixture
def twin(board: Board) -> Iterator[Twin]:
    with Twin(board) as running:
        yield running

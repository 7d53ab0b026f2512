"""Frames as bytes: what packs comes back, and the bytes are those of words."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.backends.rtl import memory
from codesign.deploy.packing import Packing
from codesign.ir import IntType, Tensor


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("bits", "shape", "lanes"),
    [
        (1, (9,), 9),
        (2, (4, 4, 3), 3),
        (5, (8, 8, 1), 1),
        (6, (8,), 2),
        (8, (5, 6), 6),
        (9, (4,), 1),
        (23, (10,), 5),
        (62, (3,), 1),
    ],
)
def test_frames_come_back_and_bytes_are_those_of_words(bits: int, shape: tuple[int, ...], lanes: int, signed: bool):
    kind = IntType(bits, signed)
    packing = Packing(Tensor(shape, kind), lanes)
    frame = np.random.default_rng(bits).integers(kind.min, kind.max, shape, endpoint=True)
    frame.flat[:2] = kind.min, kind.max
    data = packing.pack(frame)
    words = [memory.packed(word, bits) for word in frame.reshape(-1, lanes).tolist()]
    parts = -(-bits * lanes // 8)
    assert data == b"".join(word.to_bytes(parts, "little") for word in words)
    assert (len(data), packing.words, packing.word_bits) == (packing.frame_bytes, len(words), bits * lanes)
    back = packing.unpack(data)
    assert back.dtype == np.int64
    assert np.array_equal(back, frame)


def test_other_lanes_make_other_bytes_of_as_many():
    # Why a device tells its lanes.
    tensor = Tensor((4,), IntType(6, signed=False))
    frame = np.array([1, 2, 3, 4])
    assert Packing(tensor, 1).pack(frame) == bytes([1, 2, 3, 4])
    assert Packing(tensor, 2).pack(frame) == bytes([0x81, 0, 0x03, 1])


def test_bits_above_a_word_are_not_read():
    packing = Packing(Tensor((2,), IntType(3, signed=True)), 1)
    assert packing.unpack(bytes([0xFF, 0xFB])).tolist() == [-1, 3]


@pytest.mark.parametrize("lanes", [0, 3, 8])
def test_lanes_divide_a_frame(lanes: int):
    with pytest.raises(ValueError, match=f"words of {lanes} elements do not make a frame of 4"):
        Packing(Tensor((4,), IntType(6, signed=False)), lanes)


def test_frames_are_whole():
    with pytest.raises(ValueError, match="a frame has 4 bytes, not 3"):
        Packing(Tensor((4,), IntType(6, signed=False)), 1).unpack(bytes(3))

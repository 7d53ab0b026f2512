"""Blocks as `codesign.estimate` takes them: module, parameters, contents of memory files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codesign import estimate
from codesign.backends.rtl.unit import Block, Packed


def described(block: Block, dsp: bool) -> estimate.Block:
    """Return a block for the estimator.

    Parameters
    ----------
    block : Block
    dsp : bool
        Multiplications may take multiplier blocks.
    """
    parameters: dict[str, Any] = {
        name: value.values if isinstance(value, Packed) else value for name, value in block.parameters.items()
    }
    made = block.function.made if block.function is not None else {}
    return estimate.Block(block.module, parameters, _contents(block), dsp, made)


def _contents(block: Block) -> Callable[[str, int], np.ndarray]:
    def bits(file: str, width: int) -> np.ndarray:
        digits = -(-width // 4)
        lines = block.files[file]().split()
        packed = np.frombuffer(bytes.fromhex("".join(line.zfill(digits + digits % 2) for line in lines)), dtype=np.uint8)
        # Hexadecimal digits begin with the highest bit.
        return np.unpackbits(packed.reshape(len(lines), -1), axis=1)[:, ::-1][:, :width]

    return bits

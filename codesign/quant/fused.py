"""Elementwise torch functions as one pass over memory, where the machine can compile C++.

Quantisers are bound by memory: as torch's own operations, they pass over an activation five to ten times.
`torch.compile` makes one pass of them. It needs a C++ compiler and Python's headers; without these, or with
``TORCHDYNAMO_DISABLE=1``, the functions run as they are written.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")

LEAST = 1 << 16
"""Values of a tensor from which the compiled function is taken: below, its call costs more than it spares."""


def fused(function: Callable[..., Result]) -> Callable[..., Result]:
    """Return `function`, compiled for large tensors where that is possible.

    Parameters
    ----------
    function : callable
        Takes a tensor first, then tensors, floats (which it sees as tensors), integers or None. No gradient
        passes it.
        Elementwise, with sums at most, in float32 or wider: the results are then those of the plain
        function, but for the order of a sum.
    """
    # One thread compiles: a pool of processes costs more than these few kernels.
    compiled = torch.compile(function, dynamic=True, fullgraph=True, options={"compile_threads": 1})

    @functools.wraps(function)
    def call(*arguments: Any) -> Result:
        global _broken
        # One compiled function serves all numbers, tensors with and without gradients, and every precision
        # of the layers around.
        values = [_constant(argument) for argument in arguments]
        x = values[0]
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            if x.device.type == "cpu" and x.numel() >= LEAST and not _broken and _has_compiler():
                try:
                    return compiled(*values)
                except torch._dynamo.exc.FailOnRecompileLimitHit:
                    # As many kinds of tensors as torch compiles for: the next kind is served by the plain function.
                    pass
                except torch._dynamo.exc.TorchDynamoException:
                    # Python's headers are missing, or the compiler does not work: go on without.
                    _broken = True
            return function(*values)

    return call


def _constant(argument: Any) -> Any:
    if isinstance(argument, float):
        return torch.tensor(argument)
    return argument.detach() if isinstance(argument, Tensor) else argument


_broken = False


@functools.cache
def _has_compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++", "c++") if name)


def wide(x: Tensor) -> Tensor:
    """Return `x` in float32 or wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def flat(x: Tensor, like: Tensor | None = None) -> Tensor:
    """Return the values of `x` in one dimension, in the order in which those of `like` lie in memory.

    Compiled functions are kept for each number of dimensions and order of them; this makes one of all.

    Parameters
    ----------
    x : Tensor
    like : Tensor, optional
        Of the shape of `x`, which it is itself unless given.
    """
    return (x.movedim(1, -1) if _channels_last(x if like is None else like) else x).reshape(-1)


def unflat(values: Tensor, like: Tensor) -> Tensor:
    """Return values in the order of `flat` as a tensor of the shape and order of `like`."""
    if _channels_last(like):
        return values.view(like.shape[0], *like.shape[2:], like.shape[1]).movedim(-1, 1)
    return values.view(like.shape)


def _channels_last(x: Tensor) -> bool:
    return x.ndim > 2 and not x.is_contiguous() and x.movedim(1, -1).is_contiguous()

"""The precision that forward passes are computed in on this processor.

The same recipe makes other weights where it is another one, as it does for other reasons on unlike processors.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


@functools.cache
def has_bfloat16() -> bool:
    """Tell whether this processor has instructions that bfloat16 is fast with, as oneDNN says.

    Without them, AVX2 for one, a convolution in bfloat16 takes six times as long as in float32, or longer.
    """
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(asked()) if asked is not None else False


def here(wanted: Precision) -> Precision:
    """Return a precision as this processor is to compute it: bfloat16 in float32 where it has no instructions for it.

    Parameters
    ----------
    wanted : {"float32", "bfloat16"}
        Of a recipe.
    """
    return wanted if has_bfloat16() else "float32"


def autocast(wanted: Precision) -> torch.autocast:
    """Return the context of a forward pass in a precision, or in float32; see `here`.

    Parameters
    ----------
    wanted : {"float32", "bfloat16"}
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=here(wanted) == "bfloat16")

"""The precision that forward passes are computed in on this processor.

The same recipe makes other weights where it is another one, as it does for other reasons on unlike processors.
"""

from __future__ import annotations

import functools

import torch

from codesign.train.recipe import Precision


@functools.cache
def has_bfloat16() -> bool:
    """Tell whether oneDNN has kernels for bfloat16 on this processor: with AVX-512, and with what came after it.

    Without them, AVX2 for one, a convolution in bfloat16 takes six times as long as in float32, or longer. Processors
    with AVX-512 and no instructions for bfloat16 have kernels that convert.

    Returns
    -------
    bool
    """
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(asked()) if asked is not None else False


def here(wanted: Precision) -> Precision:
    """Tell what a precision becomes on this processor: float32 in place of a bfloat16 that it has no kernels for.

    Parameters
    ----------
    wanted : {"float32", "bfloat16"}
        Of a recipe.

    Returns
    -------
    {"float32", "bfloat16"}
    """
    return wanted if has_bfloat16() else "float32"


def autocast(wanted: Precision) -> torch.autocast:
    """Make the context of a forward pass in a precision, or in float32; see `here`.

    Parameters
    ----------
    wanted : {"float32", "bfloat16"}

    Returns
    -------
    torch.autocast
        Disabled for float32.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=here(wanted) == "bfloat16")

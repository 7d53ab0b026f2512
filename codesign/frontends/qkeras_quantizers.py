"""Quantizer objects of QKeras: which are known, and what they make of values."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.errors import UserError


def is_quantizer(value: Any) -> bool:
    """Tell whether an object is a quantizer of QKeras itself or of a method of ours, not of a user's subclass."""
    return type(value).__module__ == "qkeras.quantizers" or is_method(value)


def is_method(value: Any) -> bool:
    """Tell whether an object is a quantizer of `codesign.quant.keras`."""
    return type(value).__module__.rpartition(".")[0] == "codesign.quant.keras"


def kind(quantizer: Any) -> str:
    """Return the name of the quantizer, with its module when it is not QKeras' own."""
    name = type(quantizer).__name__
    return name if is_quantizer(quantizer) else f"{type(quantizer).__module__}.{name}"


def require_deterministic(quantizer: Any, label: str) -> None:
    """Raise `UserError` for a quantizer that rounds at random or mixes float values in."""
    if getattr(quantizer, "use_stochastic_rounding", False):
        raise UserError(
            f"the quantizer of layer {label!r} rounds at random; build the trained layer anew with "
            "use_stochastic_rounding=False, which is how it computes after training."
        )
    if float(getattr(quantizer, "qnoise_factor", 1.0)) != 1.0:
        raise UserError(
            f"the quantizer of layer {label!r} mixes float values in (qnoise_factor is not 1); "
            "call update_qnoise_factor(1.0) on it."
        )


def read_constants(quantizer: Any, values: np.ndarray, label: str) -> np.ndarray:
    """Return constants that need no integer form (bias, batch norm) as a quantizer makes them, float64."""
    if quantizer is None:
        return np.asarray(values, dtype=np.float64)
    if not is_quantizer(quantizer):
        raise UserError(
            f"layer {label!r} quantizes a constant by {kind(quantizer)}, which is not a quantizer of QKeras."
        )
    require_deterministic(quantizer, label)
    return apply(quantizer, values, label).astype(np.float64)


def apply(quantizer: Any, values: np.ndarray, label: str) -> np.ndarray:
    """Return what a quantizer object makes of float32 values."""
    import tensorflow as tf

    try:
        return np.asarray(quantizer(tf.constant(values, dtype=tf.float32)))
    except (tf.errors.OpError, AssertionError, TypeError, ValueError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"the quantizer of layer {label!r} fails on its values ({detail}); build it with other parameters."
        ) from error

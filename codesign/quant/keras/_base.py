"""What all quantizers for QKeras share: variables that training sees, strings and configurations that rebuild them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from codesign.quant.qkeras_runtime import runtime
from codesign.quant.steps import SMALLEST_STEP

tf, keras, qkeras = runtime()

_Class = TypeVar("_Class", bound=type)


def public(kind: _Class) -> _Class:
    """Make a quantizer known to Keras' registry and, by its name, to `qkeras.get_quantizer`."""
    keras.utils.register_keras_serializable(package="codesign")(kind)
    setattr(qkeras.quantizers, kind.__name__, kind)
    return kind


_Layer: Any = keras.layers.Layer


class Quantizer(_Layer):
    """Base of the quantizers.

    Arguments of a subclass's `__init__` are kept by it as attributes of the same names, of which
    `get_config` and `str` are made.
    """

    # The result is the quantised value, not x + (q - x) as in QKeras, which may miss it by an ulp.
    use_ste = False

    # QKeras then neither scales the initial weights nor, with `max` as below, clips them: the scale follows them.
    alpha = "auto"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # What computes in a lower precision around it does not change the codes.
        self._autocast = False

    def max(self) -> float:
        """Return what QKeras clips weights to."""
        return float(np.finfo(np.float32).max)

    def min(self) -> float:
        """Return the negative of `max`."""
        return -self.max()

    @property
    def integer_bits(self) -> int:
        """Width of the integers of a weight, in two's complement."""
        return int(self.bits)

    def _arguments(self) -> dict[str, Any]:
        parameters = inspect.signature(type(self).__init__).parameters.values()
        return {p.name: getattr(self, p.name) for p in parameters if p.name not in ("self", "kwargs")}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same quantizer."""
        return {**super().get_config(), **self._arguments()}

    def __str__(self) -> str:
        """Return what `qkeras.get_quantizer` makes the same quantizer of."""
        # QKeras reads numbers, truth values and texts, but not None, which is a default here.
        given = (f"{name}={value!r}" for name, value in self._arguments().items() if value is not None)
        return f"{type(self).__name__}({', '.join(given)})"

    def parameter(self, name: str, shape: tuple[int, ...], start: Any = "zeros") -> Any:
        """Add a variable that is learned; `start` is a Keras initializer.

        By the name, `codesign.train.checkpoint.is_quantizer` and `is_step` know what it is: no weight decay is for
        it, and it learns at the rate of steps, unless it is a weight or bias of a network within the quantizer
        (".adapter.") or a shift (".shift_quant.").
        """
        # A dot would cut the paths of TensorFlow's SavedModel; `keras_model.variables` puts it back.
        name = name.replace(".", "-")
        return self.add_weight(name=name, shape=shape, initializer=start, trainable=True, dtype="float32")

    def settled(self, variable: Any, x: Any, first: Callable[[Any], Any]) -> Any:
        """Return a variable's value, set from the first values seen; 0 stands for not set yet.

        Parameters
        ----------
        variable : tf.Variable
        x : tf.Variable or Tensor
            Weights, or a batch of activations.
        first : callable
            Returns what the variable is set to, from `x`.
        """
        with tf.init_scope():
            known = bool(tf.reduce_all(variable != 0))
            if not known and isinstance(x, tf.Variable):
                variable.assign(first(tf.convert_to_tensor(x)))
                known = True
        if known:
            return tf.convert_to_tensor(variable)
        unset = tf.reduce_any(tf.equal(variable, 0))
        value = tf.cond(unset, lambda: tf.stop_gradient(first(x)), variable.read_value)
        with tf.control_dependencies([variable.assign(tf.stop_gradient(value))]):
            return variable.read_value()


def channel_axes(rank: int, depthwise: bool) -> list[int]:
    """Return the axes of a kernel that one output channel shares: all but the last, or the last two if depthwise."""
    return list(range(rank - (2 if depthwise else 1)))


def scale_shape(shape: tuple[int, ...], per_channel: bool, depthwise: bool) -> tuple[int, ...]:
    """Return the shape of one scale per output channel of a kernel of `shape`, or () for one in all."""
    if not per_channel:
        return ()
    shared = len(channel_axes(len(shape), depthwise))
    return (1,) * shared + tuple(shape[shared:])


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Return the sum of `x` over the axes along which `shape` is 1, or all for ()."""
    if not shape:
        return tf.reduce_sum(x)
    return tf.reduce_sum(x, [axis for axis, extent in enumerate(shape) if extent == 1], keepdims=True)


def positive(parameter: Any) -> Any:
    """Return the magnitude of a parameter, at least `SMALLEST_STEP`."""
    return tf.maximum(tf.abs(parameter), SMALLEST_STEP)

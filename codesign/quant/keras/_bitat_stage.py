"""What a BiTAT quantizer for QKeras makes of its weights while a training is under way; see `codesign.quant.bitat`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from codesign.quant.keras._base import tf
from codesign.quant.keras.sign import binarize

_BINARY, _REAL, _PARTLY = range(3)


class Stage:
    """How far a layer is, in variables that a traced training step reads; they are part of no model and no checkpoint.

    Parameters
    ----------
    kernel : tf.Variable
    depthwise : bool
        Whether it is that of a depthwise convolution.
    correlation, block, penalty, progressive
        Of the quantizer; see `codesign.quant.bitat.weight`.

    Attributes
    ----------
    active : bool
        Whether a training is under way. Otherwise weights are binary, whatever the variables say.
    matrix : tf.Variable
        Blocks of C, (groups, block, block) float32; 0 before the layer's turn.
    """

    def __init__(
        self, kernel: Any, depthwise: bool, correlation: str, block: int, penalty: float, progressive: float
    ) -> None:
        self.correlation, self.block, self.penalty, self.progressive = correlation, block, penalty, progressive
        self.depthwise, self.active = depthwise, True
        self.dimensions = int(rows(kernel, depthwise).shape[1])
        shape = (-(-self.dimensions // block), block, block)
        with tf.init_scope():
            self._mode = tf.Variable(_BINARY, trainable=False, dtype=tf.int32)
            self._projection = tf.Variable(tf.zeros(shape), trainable=False)
            self.matrix = tf.Variable(tf.zeros(shape), trainable=False)

    # The names are those that the companion of torch networks sets.

    @property
    def real(self) -> bool:
        """Whether the weights stay as they are."""
        return int(self._mode) == _REAL

    @real.setter
    def real(self, value: bool) -> None:
        self._mode.assign(_REAL if value else _BINARY)

    @property
    def projection(self) -> Any:
        """The projection on the binary directions, (groups, block, block) float32; None where there are none or all."""
        return self._projection if int(self._mode) == _PARTLY else None

    @projection.setter
    def projection(self, value: Tensor | None) -> None:
        if value is not None:
            self._projection.assign(value.numpy())
            self._mode.assign(_PARTLY)

    def release(self) -> None:
        """Make the weights binary."""
        self.real = False

    def end(self) -> None:
        """Make the weights binary and their error 0, also in what was traced before."""
        self.release()
        self.matrix.assign(tf.zeros_like(self.matrix))
        self.active = False

    def binary(self, w: Any, scale: Any) -> Any:
        """Return the weights that the layer uses at this point of a training."""
        own, scale, projection = tf.cast(w, tf.float32), tf.cast(scale, tf.float32), tf.identity(self._projection)
        found = tf.switch_case(
            tf.identity(self._mode),
            {
                _BINARY: lambda: binarize(own, scale),
                _REAL: lambda: tf.identity(own),
                _PARTLY: lambda: partly_binary(own, scale, projection, self.depthwise),
            },
        )
        return tf.cast(found, w.dtype)

    def error(self, w: Any, scale: Any) -> Any:
        """Return the relative error of binary weights, 0 before the layer's turn."""
        own, scale = tf.cast(w, tf.float32), tf.cast(scale, tf.float32)
        return relative_error(own, scale, tf.identity(self.matrix), self.depthwise)


def partly_binary(w: Any, scale: Any, projection: Any, depthwise: bool) -> Any:
    """Return w - ((w - B) V_S^T) V_S; see `codesign.quant.bitat_transform.PartlyBinaryFunction`."""

    @tf.custom_gradient
    def function(w: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            lost = project(upstream, projection, depthwise)
            return upstream - tf.where(tf.abs(w) >= 1, lost, tf.zeros_like(lost))

        return w - project(w - tf.where(w >= 0, scale, -scale), projection, depthwise), gradient

    return function(w)


def relative_error(w: Any, scale: Any, matrix: Any, depthwise: bool) -> Any:
    """Return tr(E C E^T) / tr(W C W^T), E = W - B; see `codesign.quant.bitat_transform.PenaltyFunction`."""

    @tf.custom_gradient
    def function(w: Any) -> Any:
        error = w - tf.where(w >= 0, scale, -scale)
        spread = project(error, matrix, depthwise)
        whole = tf.reduce_sum(w * project(w, matrix, depthwise))

        def gradient(upstream: Any) -> Any:
            # 0 before the layer's turn, when C is.
            return 2 * upstream * tf.math.divide_no_nan(spread, whole)

        return tf.math.divide_no_nan(tf.reduce_sum(error * spread), whole), gradient

    return function(w)


def rows(w: Any, depthwise: bool) -> Any:
    """Return a kernel as (outputs, dimensions), dimensions in the order of torch: input channels, height, width."""
    w = tf.convert_to_tensor(w)
    if len(w.shape) == 2:
        return tf.transpose(w)
    return tf.reshape(tf.transpose(w, _order(depthwise)), (_outputs(w.shape, depthwise), -1))


def unrows(parts: Any, shape: Any, depthwise: bool) -> Any:
    """Undo `rows`."""
    if len(shape) == 2:
        return tf.transpose(parts)
    order = _order(depthwise)
    moved = tf.reshape(parts, [shape[axis] for axis in order])
    return tf.transpose(moved, [order.index(axis) for axis in range(len(shape))])


def project(w: Any, blocks: Any, depthwise: bool) -> Any:
    """Multiply a kernel's rows with a symmetric block-diagonal matrix (groups, block, block)."""
    found = rows(w, depthwise)
    groups, block, _ = blocks.shape
    outputs, dimensions = found.shape
    filled = tf.pad(found, ((0, 0), (0, groups * block - dimensions)))
    parts = tf.transpose(tf.reshape(filled, (outputs, groups, block)), (1, 0, 2))
    product = tf.transpose(tf.matmul(parts, blocks), (1, 0, 2))
    return unrows(tf.reshape(product, (outputs, groups * block))[:, :dimensions], w.shape, depthwise)


def _order(depthwise: bool) -> list[int]:
    return [2, 3, 0, 1] if depthwise else [3, 2, 0, 1]


def _outputs(shape: Any, depthwise: bool) -> int:
    return int(shape[2] * shape[3] if depthwise else shape[3])

"""Walking a Keras model, layer by layer, into frozen steps.

Only layers of exactly the classes listed here are read. Anything else, a user's subclass included, is refused
by name: its `call` may do what it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qkeras_adaptive
from codesign.frontends import qkeras_quantizers as quantizers
from codesign.frontends import qkeras_steps as steps
from codesign.frontends.qkeras_activations import read_activation
from codesign.frontends.qkeras_weights import Weights, read_weights
from codesign.quant.qkeras_runtime import runtime


def read(model: Any) -> steps.Network:
    """Return the frozen steps of a trained Keras model.

    Raises
    ------
    UserError
        Naming the layer that is not supported and what to do instead.
    """
    keras = runtime().keras
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        raise UserError(
            f"a {kind} is not a model of Keras 2 (tf_keras), for which QKeras is written; "
            "build it with tf_keras layers, or set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported."
        )
    if keras.backend.image_data_format() != "channels_last":
        raise UserError("Keras is set to channels first; set image_data_format to channels_last.")
    return _Reader(keras).network(model)


class _Reader:
    """Turns the nodes of a model into steps."""

    def __init__(self, keras: Any) -> None:
        self.keras = keras
        self.steps: list[steps.Step] = []
        self.shapes: list[tuple[int, ...]] = []
        self.padded: dict[int, tuple[int, tuple[int, int, int, int]]] = {}

    def network(self, model: Any) -> steps.Network:
        _check_graph(model)
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise UserError(
                f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
                "only one of each is supported."
            )
        shape = _frame(model.inputs[0].shape, "the model's input")
        if len(shape) not in (1, 3):
            raise UserError(
                f"the model reads frames of shape {shape}; only (height, width, channels) and (features,) "
                "are supported."
            )
        output = self.walk(model, self.new(shape))
        return steps.Network(shape, tuple(self.steps), self.plain(output, model.layers[-1].name))

    def walk(self, model: Any, start: int) -> int:
        """Read the nodes of a model in execution order; values are found by the identity of Keras tensors."""
        known = {str(id(model.inputs[0])): start}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                layer = node.layer
                sources = [known[name] for name in node.flat_input_ids if name in known]
                if not sources or len(sources) != len(node.flat_input_ids) or len(node.flat_output_ids) != 1:
                    raise UserError(
                        f"layer {layer.name!r} reads or makes something that is not one activation of "
                        "the model; connect layers of Keras and QKeras only."
                    )
                known[node.flat_output_ids[0]] = self.layer(layer, sources)
        return known[str(id(model.outputs[0]))]

    def layer(self, layer: Any, sources: list[int]) -> int:
        if isinstance(layer, self.keras.Model):
            _check_graph(layer)
            if len(layer.inputs) != 1 or len(layer.outputs) != 1:
                raise UserError(f"the inner model {layer.name!r} needs one input and one output.")
            return self.walk(layer, sources[0])
        kind = type(layer).__name__
        origin = type(layer).__module__.split(".")[0]
        handler = _LAYERS.get(kind) if origin in ("tf_keras", "qkeras") else None
        if handler is None:
            raise UserError(
                f"layer {layer.name!r} is a {kind}, which is not supported; {_WAYS_OUT.get(kind, _WAY_OUT)}."
            )
        if layer.compute_dtype != "float32":
            raise UserError(f"layer {layer.name!r} computes in {layer.compute_dtype}; build it in float32.")
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise UserError(f"layer {layer.name!r} has channels first; build it with channels_last.")
        if tuple(np.ravel(getattr(layer, "dilation_rate", 1))) not in ((1,), (1, 1)):
            raise UserError(f"layer {layer.name!r} is dilated, which is not supported; use dilation_rate=1.")
        if len(sources) != 1 and kind != "Add":
            raise UserError(f"layer {layer.name!r} reads {len(sources)} activations; it may read one.")
        return handler(self, layer, sources)

    # Values -------------------------------------------------------------------------------------------------

    def new(self, shape: tuple[int, ...]) -> int:
        self.shapes.append(shape)
        return len(self.shapes) - 1

    def plain(self, value: int, label: str) -> int:
        """Return a value after making sure that no zero padding is pending on it."""
        if value in self.padded:
            raise UserError(f"layer {label!r} reads a ZeroPadding2D; only a convolution may follow one directly.")
        return value

    def add(
        self,
        make: Callable[..., steps.Step],
        layer: Any,
        sources: list[int],
        shape: tuple[int, ...],
        *args: Any,
    ) -> int:
        inputs = tuple(self.plain(value, layer.name) for value in sources)
        output = self.new(shape)
        self.steps.append(make(layer.name, inputs, output, *args))
        return output

    def same_shape(self, make: Callable[..., steps.Step], layer: Any, source: int, *args: Any) -> int:
        return self.add(make, layer, [source], self.shapes[source], *args)

    def activation(self, layer: Any, function: Any, source: int) -> int:
        """Apply an activation function or quantizer."""
        activations = self.keras.activations
        if function is None or function is activations.linear:
            return source
        if function is activations.relu:
            return self.same_shape(steps.Clamp, layer, source, 0.0, None)
        if function is activations.softmax:
            raise UserError(
                f"layer {layer.name!r} applies softmax; end the model with the logits, whose order is the "
                "same: Model(model.inputs, <output before the softmax>)."
            )
        if not quantizers.is_quantizer(function):
            name = getattr(function, "__name__", type(function).__name__)
            raise UserError(
                f"layer {layer.name!r} applies {name}, which has no exact integer form here; "
                "use relu, quantized_relu or quantized_bits."
            )
        if qkeras_adaptive.is_adaptive(function):
            step = qkeras_adaptive.read_step(function, layer.name)
            return self.same_shape(steps.QuantizeAdaptively, layer, source, step)
        if quantizers.is_method(function) and hasattr(function, "shift"):
            shift = _array(function.shift).astype(np.float64)
            source = self.same_shape(steps.ScaleShift, layer, source, np.ones_like(shift), shift)
        activation = read_activation(function, layer.name)
        return self.same_shape(steps.Quantize, layer, source, activation)

    # Layers -------------------------------------------------------------------------------------------------

    def conv(self, layer: Any, sources: list[int]) -> int:
        weights = read_weights(layer.kernel_quantizer_internal, _array(layer.kernel), layer.name)
        return self._convolution(layer, sources[0], weights, int(layer.groups))

    def depthwise(self, layer: Any, sources: list[int]) -> int:
        kernel = _array(layer.depthwise_kernel)
        weights = read_weights(layer.depthwise_quantizer_internal, kernel, layer.name, depthwise=True)
        return self._convolution(layer, sources[0], weights, kernel.shape[2])

    def _convolution(self, layer: Any, source: int, weights: Weights, groups: int) -> int:
        source, before = self.padded.get(source, (source, steps.NO_PADDING))
        height, width, _ = self._image(source, layer.name)
        kernel, stride = weights.values.shape[:2], _pair(layer.strides)
        frame = height + before[0] + before[1], width + before[2] + before[3]
        padding = steps.window_padding(layer.padding, frame, kernel, stride)
        rows, columns = ((frame[i] + padding[2 * i] + padding[2 * i + 1] - kernel[i]) // stride[i] + 1 for i in (0, 1))
        total = tuple(a + b for a, b in zip(before, padding, strict=True))
        shape = (rows, columns, weights.values.shape[3])
        value = self.add(steps.Conv, layer, [source], shape, weights, _bias(layer), stride, total, groups)
        return self.activation(layer, layer.activation, value)

    def dense(self, layer: Any, sources: list[int]) -> int:
        weights = read_weights(layer.kernel_quantizer_internal, _array(layer.kernel), layer.name)
        shape = (*self.shapes[sources[0]][:-1], weights.values.shape[1])
        if len(shape) == 3:
            # A dense layer on a frame acts on every pixel: a 1x1 convolution.
            pixel = Weights(weights.values[None, None], weights.scale, weights.bits, weights.codebook)
            value = self.add(steps.Conv, layer, sources, shape, pixel, _bias(layer), (1, 1), steps.NO_PADDING, 1)
        else:
            value = self.add(steps.FullyConnected, layer, sources, shape, weights, _bias(layer))
        return self.activation(layer, layer.activation, value)

    def quantized_activation(self, layer: Any, sources: list[int]) -> int:
        return self.activation(layer, layer.quantizer, sources[0])

    def keras_activation(self, layer: Any, sources: list[int]) -> int:
        return self.activation(layer, layer.activation, sources[0])

    def relu(self, layer: Any, sources: list[int]) -> int:
        if float(layer.negative_slope) != 0 or float(layer.threshold) != 0:
            raise UserError(f"layer {layer.name!r} is a ReLU with a slope or threshold; use a plain one.")
        high = None if layer.max_value is None else float(np.float32(layer.max_value))
        return self.same_shape(steps.Clamp, layer, sources[0], 0.0, high)

    def batch_norm(self, layer: Any, sources: list[int]) -> int:
        shape = self.shapes[sources[0]]
        if [int(axis) for axis in np.ravel(layer.axis)] not in ([len(shape)], [-1]):
            raise UserError(f"layer {layer.name!r} normalises another axis than the channels; use axis=-1.")
        channels = shape[-1]

        def constant(name: str, default: float) -> np.ndarray:
            variable = getattr(layer, name, None)
            if variable is None:
                return np.full(channels, default)
            # QBatchNormalization also quantizes these; they are constants, so any quantizer will do.
            quantizer = getattr(layer, f"{name.removeprefix('moving_')}_quantizer_internal", None)
            return quantizers.read_constants(quantizer, _array(variable), layer.name)

        gamma, beta = constant("gamma", 1.0), constant("beta", 0.0)
        mean, variance = constant("moving_mean", 0.0), constant("moving_variance", 1.0)
        factor = gamma / np.sqrt(variance + float(layer.epsilon))
        shift = beta - mean * factor
        if not (np.isfinite(factor).all() and np.isfinite(shift).all()):
            raise UserError(f"layer {layer.name!r} holds statistics that are not finite; train it again.")
        return self.same_shape(steps.ScaleShift, layer, sources[0], factor, shift)

    def rescaling(self, layer: Any, sources: list[int]) -> int:
        channels = self.shapes[sources[0]][-1]
        factor, shift = (np.float32(np.ravel(v)).astype(np.float64) for v in (layer.scale, layer.offset))
        wide = np.ones(channels)
        return self.same_shape(steps.ScaleShift, layer, sources[0], factor * wide, shift * wide)

    def sum(self, layer: Any, sources: list[int]) -> int:
        shape = self.shapes[sources[0]]
        if any(self.shapes[value] != shape for value in sources):
            raise UserError(f"layer {layer.name!r} adds frames of different shapes; give all one shape.")
        value = sources[0]
        for other in sources[1:]:
            value = self.add(steps.Sum, layer, [value, other], shape)
        return value

    def max_pool(self, layer: Any, sources: list[int]) -> int:
        return self._pool(steps.MaxPool, layer, sources)

    def average_pool(self, layer: Any, sources: list[int]) -> int:
        value = self._pool(steps.AveragePool, layer, sources)
        return self._after_average(layer, value, int(np.prod(_pair(layer.pool_size))))

    def _pool(self, make: Callable[..., steps.Step], layer: Any, sources: list[int]) -> int:
        height, width, channels = self._image(sources[0], layer.name)
        kernel, stride = _pair(layer.pool_size), _pair(layer.strides)
        if steps.window_padding(layer.padding, (height, width), kernel, stride) != steps.NO_PADDING:
            raise UserError(
                f"the pooling layer {layer.name!r} pads its input; use padding='valid', or windows that fit."
            )
        shape = (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1, channels
        return self.add(make, layer, sources, shape, kernel, stride)

    def global_max_pool(self, layer: Any, sources: list[int]) -> int:
        return self._global(steps.MaxPool, layer, sources)

    def global_average_pool(self, layer: Any, sources: list[int]) -> int:
        height, width, _ = self._image(sources[0], layer.name)
        return self._after_average(layer, self._global(steps.AveragePool, layer, sources), height * width)

    def _global(self, make: Callable[..., steps.Step], layer: Any, sources: list[int]) -> int:
        height, width, channels = self._image(sources[0], layer.name)
        value = self.add(make, layer, sources, (1, 1, channels), (height, width), (height, width))
        return value if layer.keepdims else self.add(steps.Flatten, layer, [value], (channels,))

    def _after_average(self, layer: Any, value: int, area: int) -> int:
        """Apply what QKeras adds to average pooling: a quantized 1/area, and an activation."""
        quantizer = getattr(layer, "average_quantizer_internal", None)
        if quantizer is not None:
            reciprocal = float(quantizers.read_constants(quantizer, np.asarray(1.0 / area), layer.name))
            factor = np.full(self.shapes[value][-1], reciprocal * area)
            value = self.same_shape(steps.ScaleShift, layer, value, factor, np.zeros_like(factor))
        return self.activation(layer, getattr(layer, "activation", None), value)

    def flatten(self, layer: Any, sources: list[int]) -> int:
        shape = self.shapes[sources[0]]
        if len(shape) == 1:
            return sources[0]
        return self.add(steps.Flatten, layer, sources, (int(np.prod(shape)),))

    def reshape(self, layer: Any, sources: list[int]) -> int:
        shape, target = self.shapes[sources[0]], tuple(layer.target_shape)
        if target == shape:
            return sources[0]
        if target not in ((-1,), (int(np.prod(shape)),)):
            raise UserError(f"layer {layer.name!r} reshapes to {target}; only flattening is supported.")
        return self.flatten(layer, sources)

    def zero_padding(self, layer: Any, sources: list[int]) -> int:
        height, width, channels = self._image(sources[0], layer.name)
        (top, bottom), (left, right) = ((int(a), int(b)) for a, b in layer.padding)
        value = self.new((height + top + bottom, width + left + right, channels))
        self.padded[value] = (self.plain(sources[0], layer.name), (top, bottom, left, right))
        return value

    def same(self, layer: Any, sources: list[int]) -> int:
        return sources[0]

    def float_layer(self, layer: Any, sources: list[int]) -> int:
        kind = type(layer).__name__
        raise UserError(f"layer {layer.name!r} is a {kind} with float weights; use Q{kind} with a weight quantizer.")

    def _image(self, value: int, label: str) -> tuple[int, int, int]:
        shape = self.shapes[value]
        if len(shape) != 3:
            raise UserError(f"layer {label!r} needs (height, width, channels) and reads {shape}.")
        return shape


def _check_graph(model: Any) -> None:
    if not getattr(model, "_is_graph_network", False) or not hasattr(model, "_nodes_by_depth"):
        raise UserError(
            f"the model {model.name!r} is not a graph of layers; use the functional API, or a Sequential "
            "model that begins with an Input."
        )


def _frame(shape: Any, what: str) -> tuple[int, ...]:
    extents = list(shape)[1:]
    if any(extent is None for extent in extents):
        raise UserError(f"{what} has no fixed size ({tuple(extents)}); give the model a fixed input shape.")
    return tuple(int(extent) for extent in extents)


def _array(variable: Any) -> np.ndarray:
    return np.asarray(variable.numpy(), dtype=np.float32)


def _bias(layer: Any) -> np.ndarray | None:
    """Return the bias as the layer's quantizer makes it, float64."""
    if not layer.use_bias:
        return None
    return quantizers.read_constants(layer.bias_quantizer_internal, _array(layer.bias), layer.name)


def _pair(value: Any) -> tuple[int, int]:
    pair = tuple(int(v) for v in np.ravel(value))
    return (pair[0], pair[0]) if len(pair) == 1 else (pair[0], pair[1])


_WAY_OUT = "build the model of layers listed under 'Supported layers' in the README"
_WAYS_OUT = {
    "Lambda": "its Python code is never run; write it with layers",
    "Softmax": "end the model with the logits, whose order is the same",
    "TFOpLambda": "use a layer for it, such as layers.Add() for a sum",
    "Concatenate": "add instead, or compute both parts in one convolution",
    "QConv2DBatchnorm": "use QConv2D and BatchNormalization, which is folded exactly",
    "QDepthwiseConv2DBatchnorm": "use QDepthwiseConv2D and BatchNormalization, which is folded exactly",
    "QAdaptiveActivation": "use QActivation with a fixed number of integer bits",
}

_LAYERS: dict[str, Callable[[_Reader, Any, list[int]], int]] = {
    "QConv2D": _Reader.conv,
    "QDepthwiseConv2D": _Reader.depthwise,
    "QDense": _Reader.dense,
    "QActivation": _Reader.quantized_activation,
    "Activation": _Reader.keras_activation,
    "ReLU": _Reader.relu,
    "BatchNormalization": _Reader.batch_norm,
    "SyncBatchNormalization": _Reader.batch_norm,
    "QBatchNormalization": _Reader.batch_norm,
    "Rescaling": _Reader.rescaling,
    "Add": _Reader.sum,
    "MaxPooling2D": _Reader.max_pool,
    "AveragePooling2D": _Reader.average_pool,
    "QAveragePooling2D": _Reader.average_pool,
    "GlobalMaxPooling2D": _Reader.global_max_pool,
    "GlobalAveragePooling2D": _Reader.global_average_pool,
    "QGlobalAveragePooling2D": _Reader.global_average_pool,
    "Flatten": _Reader.flatten,
    "Reshape": _Reader.reshape,
    "ZeroPadding2D": _Reader.zero_padding,
    "Dropout": _Reader.same,
    "SpatialDropout2D": _Reader.same,
    "GaussianNoise": _Reader.same,
    "GaussianDropout": _Reader.same,
    "Conv2D": _Reader.float_layer,
    "DepthwiseConv2D": _Reader.float_layer,
    "Dense": _Reader.float_layer,
}

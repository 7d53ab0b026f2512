"""ASQ activations for QKeras; see `codesign.quant.asq` for formulas, modes and references."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.quant.asq import FEWEST_ENTRIES, MOST_ENTRIES, MOST_INPUT_BITS
from codesign.quant.asq_adapter import BITS, HIDDEN_FROM, OUTPUT_WEIGHT_STEP, codebook
from codesign.quant.asq_function import FLOOR
from codesign.quant.keras._base import Quantizer, keras, positive, public, tf
from codesign.quant.keras.lsq import activation_gradient_scale, first_step, lsq
from codesign.quant.lsq import code_range


def adaptive(x: Any, factors: Any, step: Any, high: int) -> Any:
    """Return s_k · round(clip(x / s_k, 0, high)) with s_k = step · factors[k] for sample k.

    With v = x / s_k, h = round(v) - v inside (0, high), 0 below and high above, and G_k the sum of
    gradient · h over sample k, the gradient of factors[k] is step · G_k and that of the step is the sum of
    G_k · factors[k] over √(high · values of a sample). That of x is passed inside.

    Parameters
    ----------
    x : Tensor, shape (N, ...)
    factors : Tensor, shape (N,)
    step : Tensor, shape ()
    high : int
    """
    ones = [1] * (len(x.shape) - 1)

    @tf.custom_gradient
    def quantised(x: Any, factors: Any, step: Any) -> Any:
        steps = tf.reshape(step * factors, [-1, *ones])
        scaled = x / steps
        codes = tf.round(tf.clip_by_value(scaled, 0, high))

        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            inside = tf.cast((scaled > 0) & (scaled < high), x.dtype)
            sums = tf.reduce_sum((codes - scaled * inside) * upstream, list(range(1, len(x.shape))))
            total = tf.reduce_sum(sums * factors) * activation_gradient_scale(x, high)
            return upstream * inside, sums * step, total

        return codes * steps, gradient

    return quantised(x, factors, step)


def chosen(t: Any, table: Any, thresholds: Any) -> Any:
    """Return the entry of `table` nearest to each t, the upper one in the middle.

    The gradient is passed as by the identity; beyond the ends only what would move t back.
    """

    @tf.custom_gradient
    def nearest(t: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            back = ((t >= table[0]) | (upstream < 0)) & ((t <= table[-1]) | (upstream > 0))
            return upstream * tf.cast(back, t.dtype)

        return tf.gather(table, tf.searchsorted(thresholds, t, side="right")), gradient

    return nearest(t)


def floored(t: Any) -> Any:
    """Return max(t, `FLOOR`), where below the floor only what would raise t is passed."""

    @tf.custom_gradient
    def at_least(t: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            return upstream * tf.cast((t >= FLOOR) | (upstream < 0), t.dtype)

        return tf.maximum(t, FLOOR), gradient

    return at_least(t)


def averaged(x: Any, step: Any = None) -> Any:
    """Return the averages (N, C) of `x` (N, ..., C) over all places; with a step, of its exact multiples."""
    axes = list(range(1, len(x.shape) - 1))
    places = math.prod(x.shape[1:-1])

    @tf.custom_gradient
    def average(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            wide = tf.reshape(upstream / places, [-1, *([1] * len(axes)), x.shape[-1]])
            return tf.broadcast_to(wide, tf.shape(x))

        if step is None:
            return tf.reduce_sum(x, axes) / places, gradient
        # Sums of integers are exact in any order.
        return tf.reduce_sum(tf.round(x / step), axes) * tf.stop_gradient(step / places), gradient

    return average(x)


def two_seeds(seed: int | None) -> tuple[int | None, int | None]:
    """Return independent seeds that follow from one; None stands for a random one."""
    if seed is None:
        return None, None
    # Keras takes 31 bits.
    first, second = np.random.SeedSequence(seed).generate_state(2) >> 1
    return int(first), int(second)


def positive_sums(shape: tuple[int, int], dtype: Any, *, seed: int | None) -> Any:
    """Return weights (inputs, units) uniform within 1/√inputs, of a sum that is not negative for each unit.

    Averages are positive: a unit whose weights sum to less than 0 would hardly ever learn.
    """
    limit = 1 / math.sqrt(shape[0])
    weights = keras.initializers.RandomUniform(-limit, limit, seed=seed)(shape, dtype)
    return tf.where(tf.reduce_sum(weights, 0) < 0, -weights, weights)


@public
class AsqActivation(Quantizer):
    """Unsigned activations behind a ReLU, with a step that a small network chooses for each sample.

    Parameters
    ----------
    bits : int
    entries : int
        Entries of the codebook of factors, 16 to 64; 0 for factors from the continuous range.
    input_bits : int
        Width of the input's own quantizer when there is a codebook, 2 to 16.
    fixed : float
        Positive, stands for the factors; then this is plain LSQ. 0 for none. See `fold_out`.
    seed : int or None
        Of the adapter's weights at the start, not negative; None for random ones.

    Raises
    ------
    ValueError
        When a parameter is out of range.
    """

    # Of the adapter's weights and hidden values, when there is a codebook.
    adapter_bits = BITS

    def __init__(
        self,
        bits: int = 8,
        entries: int = 16,
        input_bits: int = 8,
        fixed: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        _, high = code_range(bits, signed=False, narrow=False)
        if entries != 0 and not FEWEST_ENTRIES <= entries <= MOST_ENTRIES:
            raise ValueError(f"entries must be 0 or {FEWEST_ENTRIES} to {MOST_ENTRIES}, found {entries}")
        if not 2 <= input_bits <= MOST_INPUT_BITS:
            raise ValueError(f"input_bits must be 2 to {MOST_INPUT_BITS}, found {input_bits}")
        if not 0 <= fixed < math.inf:
            raise ValueError(f"the factor of a step must be 0 or positive, found {fixed}")
        super().__init__(**kwargs)
        self.bits, self.entries, self.input_bits, self.fixed, self.seed = bits, entries, input_bits, fixed, seed
        self.low = 0
        self.high, self.input_high = high, 2**input_bits - 1
        # Without entries, a table that is not used.
        self.table: np.ndarray = codebook(entries or FEWEST_ENTRIES).numpy()
        self.thresholds: np.ndarray = (self.table[1:] + self.table[:-1]) / 2

    def build(self, shape: Any) -> None:
        """Make the steps and the adapter."""
        channels = int(shape[-1])
        units = channels // 4 if channels >= HIDDEN_FROM else 0
        self.step = self.parameter("act_quant_step", ())
        self.hidden_weights = self.hidden_bias = self.hidden_step = self.hidden_weight_step = None
        self.input_step = self.output_weight_step = None
        seeds = two_seeds(self.seed)
        if units:
            self.hidden_weights = self.parameter(
                "act_quant.adapter.hidden.weight", (channels, units), partial(positive_sums, seed=seeds[0])
            )
            self.hidden_bias = self.parameter("act_quant.adapter.hidden.bias", (units,))
        normal = keras.initializers.RandomNormal(0.0, 0.01, seed=seeds[1])
        self.output_weights = self.parameter("act_quant.adapter.output.weight", (units or channels, 1), normal)
        self.output_bias = self.parameter("act_quant.adapter.output.bias", (1,), "ones")
        if self.entries:
            self.input_step = self.parameter("act_quant_input_step", ())
            # Not from the weights, which start near 0; `codesign.quant.asq_adapter` says why.
            start = keras.initializers.Constant(OUTPUT_WEIGHT_STEP)
            self.output_weight_step = self.parameter("act_quant.adapter.output.weight_quant.step", (), start)
            if units:
                self.hidden_weight_step = self.parameter("act_quant.adapter.hidden.weight_quant.step", ())
                self.hidden_step = self.parameter("act_quant.adapter.hidden_quant.step", ())
        super().build(shape)

    def call(self, x: Any) -> Any:
        """Quantise activations (N, ..., C); the first batch sets the steps."""
        x = tf.nn.relu(x)
        if self.fixed:
            step = positive(self.step) * self.fixed
            return lsq(x, step, 0, self.high, activation_gradient_scale(x, self.high))
        input_step = None
        if self.entries:
            input_step = self._activation_step(self.input_step, x, self.input_high)
            x = lsq(x, input_step, 0, self.input_high, activation_gradient_scale(x, self.input_high))
        step = self._activation_step(self.step, x, self.high)
        return adaptive(x, self.factors(x, input_step), step, self.high)

    def grid_scale(self) -> float:
        """Return the step once the factors are folded out; 0 before the first batch."""
        return float(positive(self.step) * self.fixed) if float(self.step) else 0.0

    def factors(self, x: Any, input_step: Any) -> Any:
        """Return what the step of each sample (N,) is multiplied by; `x` is quantised by `input_step`, if any."""
        values = averaged(x, input_step)
        if self.hidden_weights is not None:
            weights = self._adapter_weights(self.hidden_weights, self.hidden_weight_step)
            values = tf.nn.relu(tf.matmul(values, weights) + self.hidden_bias)
            if self.entries:
                hidden_step = self._activation_step(self.hidden_step, values, 2**BITS - 1)
                values = lsq(values, hidden_step, 0, 2**BITS - 1, activation_gradient_scale(values, 2**BITS - 1))
        weights = self._adapter_weights(self.output_weights, self.output_weight_step)
        t = tf.squeeze(tf.matmul(values, weights) + self.output_bias, 1)
        return chosen(t, tf.constant(self.table), tf.constant(self.thresholds)) if self.entries else floored(t)

    def _activation_step(self, variable: Any, x: Any, high: int) -> Any:
        return positive(self.settled(variable, x, lambda v: first_step(v, (), [], high)))

    def _adapter_weights(self, weights: Any, step: Any) -> Any:
        if not self.entries:
            return tf.convert_to_tensor(weights)
        high = 2 ** (BITS - 1) - 1
        value = positive(self.settled(step, weights, lambda w: first_step(w, (), [], high)))
        return lsq(tf.convert_to_tensor(weights), value, -high, high, 1 / math.sqrt(math.prod(weights.shape) * high))


def activation(bits: int, signed: bool, *, entries: int = 16, input_bits: int = 8) -> Quantizer:
    """Return the quantizer of an activation behind a ReLU."""
    if signed:
        raise ValueError("its activations are not negative; choose another method for operands of additions")
    return AsqActivation(bits, entries, input_bits)


def fold_out(model: Any, batches: Iterable[Any]) -> dict[str, float]:
    """Replace the factors of all ASQ activations of a model by their means over data: plain LSQ from then on.

    Parameters
    ----------
    model : tf_keras.Model
        Of QActivation layers, changed in place.
    batches : iterable of Tensor or ndarray
        Inputs of the model.

    Returns
    -------
    dict of str to float
        The mean factor by the name of the layer; those already folded out are left as they are.

    Raises
    ------
    UserError
        When there is no adaptive activation, or no batch.
    """
    layers = [layer for layer in model.layers if isinstance(getattr(layer, "quantizer", None), AsqActivation)]
    layers = [layer for layer in layers if not layer.quantizer.fixed]
    if not layers:
        raise UserError("the network has no ASQ activation to fold out; choose one trained with activations = 'asq'.")
    inputs = keras.Model(model.inputs, [layer.input for layer in layers])
    seen: list[list[Any]] = [[] for _ in layers]
    for batch in batches:
        for layer, values, found in zip(layers, tf.nest.flatten(inputs(batch, training=False)), seen, strict=True):
            quantizer, x, step = layer.quantizer, tf.nn.relu(values), None
            if quantizer.entries:
                step = positive(quantizer.input_step)
                x = lsq(x, step, 0, quantizer.input_high, 1.0)
            found.append(quantizer.factors(x, step))
    if not seen[0]:
        raise UserError("an ASQ activation saw no sample to take the mean over; give fold_out batches of inputs.")
    means = {}
    for layer, found in zip(layers, seen, strict=True):
        layer.quantizer.fixed = means[layer.name] = float(tf.reduce_mean(tf.concat(found, 0)))
        layer.activation = str(layer.quantizer)
    return means

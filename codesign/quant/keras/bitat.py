"""BiTAT's binary weights for QKeras; see `codesign.quant.bitat` for the method, its formulas and references.

Weights are those of `SignWeight` except during a training that says how far it is. With Keras' own `fit`::

    from codesign.quant.keras import bitat
    QConv2D(32, 3, kernel_quantizer="BitatWeight()", use_bias=False)
    network.fit(x, y, epochs=60, callbacks=[bitat.BitatSchedule(x[:256])])

A loop of one's own makes `acting = companion(network)` before a `tf.function` of a step is traced, calls
`acting.before_step(progress, x)` before each step with the share of the schedule that is done, adds `network.losses` to
its loss, and calls `acting.finish()` at the end. The package's training loop does all this by itself.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

import msgspec

from codesign.errors import UserError
from codesign.quant.keras import react
from codesign.quant.keras._base import Quantizer, keras, public, tf
from codesign.quant.keras._bitat_companion import KerasBitat, layers_of
from codesign.quant.keras._bitat_stage import Stage
from codesign.quant.keras.sign import SignWeight, binarize
from codesign.quant.sign import require_one_bit


@public
class BitatWeight(SignWeight):
    """Binary weights that a companion may hold real, or real in some directions, during a training.

    What the companion sets is no part of the model: in a network that is loaded or not trained, the weights are binary.

    Parameters
    ----------
    per_channel : bool
        One scale per output channel, else one in all.
    depthwise : bool
        The kernel is that of a depthwise convolution: its last two axes are output channels.
    correlation, block, penalty, progressive
        See `codesign.quant.bitat.weight`. Give all layers of a network the same: what the first one has decides, but
        for the penalty.
    """

    def __init__(
        self,
        per_channel: bool = True,
        depthwise: bool = False,
        correlation: str = "inputs",
        block: int = 64,
        penalty: float = 0.03,
        progressive: float = 0.4,
        **kwargs: Any,
    ) -> None:
        super().__init__(per_channel, depthwise, **kwargs)
        self.correlation, self.block, self.penalty, self.progressive = correlation, block, penalty, progressive
        self._held: _Held = _Held()

    def begin(self, kernel: Any) -> Stage:
        """Begin a training of the layer with this kernel, and return its stage."""
        options = self.correlation, self.block, self.penalty, self.progressive
        if self._held.stage is not None:
            # A step that was traced with it shall be that of a binary network.
            self._held.stage.end()
        self._held.stage = Stage(kernel, self.depthwise, *options)
        return self._held.stage

    @property
    def under_way(self) -> bool:
        """Whether a training is under way, so that the weights may not be binary."""
        return self._held.stage is not None and self._held.stage.active

    def call(self, w: Any) -> Any:
        """Return the weights that the layer uses at this point of a training."""
        w, stage = tf.convert_to_tensor(w), self._held.stage
        scale = self.integer_scale(w)
        if stage is None or not self.under_way:
            return binarize(w, scale)
        if self.penalty:
            self.add_loss(self.penalty * stage.error(w, scale))
        return stage.binary(w, scale)


class _Held:
    """Hides a stage from Keras, which would make its variables those of the model."""

    stage: Stage | None = None


class BitatSchedule(keras.callbacks.Callback):
    """Takes the layers of a network through their turns while `fit` trains it.

    Until the turns are over, which is after `progressive` of the epochs, figures on validation data are not those of a
    binary network: let `EarlyStopping` and `ModelCheckpoint` begin later. A `fit` that ends before, and one that ends
    by an exception, leave no finished network; after an exception `companion(network).finish()` makes it binary. A
    SavedModel cannot be written while a training is under way; the formats .keras and .h5 can.

    Parameters
    ----------
    x : array
        Inputs of the network from which correlations are measured, a batch or a few of training examples.
    steps_per_epoch : int, optional
        Needed where `fit` does not know it in the first epoch.

    Raises
    ------
    UserError
        In `fit`, when the network has no such weights, its layers cannot be measured, or the number of steps is
        unknown.
    """

    def __init__(self, x: Any, steps_per_epoch: int | None = None) -> None:
        super().__init__()
        self.x, self.steps_per_epoch, self.progress = x, steps_per_epoch, 0.0
        self.acting: KerasBitat

    def set_model(self, model: Any) -> None:
        """Take the network."""
        super().set_model(model)
        # Steps that were traced before know of no schedule; `fit` makes others after this.
        self._forget()

    def on_train_begin(self, logs: Any = None) -> None:
        """See how long the training is, and begin it."""
        steps = self.steps_per_epoch or self.params.get("steps")
        if not steps:
            raise UserError(
                "how many steps an epoch has is not known; give BitatSchedule(x, steps_per_epoch=...) and fit the same."
            )
        acting = companion(self.model)
        if acting is None:
            raise UserError("the network has no BiTAT weights; leave BitatSchedule out.")
        self.acting, self.steps, self.epoch = acting, steps, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the binary part of every layer."""
        self.progress = min((self.epoch + batch / self.steps) / self.params["epochs"], 1.0)
        self.acting.before_step(self.progress, self.x)

    def on_train_end(self, logs: Any = None) -> None:
        """Make every layer binary."""
        if self.progress < self.acting.progressive:
            warnings.warn(
                f"the training ended at {self.progress:.0%} of its epochs, before all layers were binary, which is at "
                f"{self.acting.progressive:.0%}; they are made so now, untrained. Train longer, or fit again.",
                stacklevel=2,
            )
        self.acting.finish()
        self._forget()

    def _forget(self) -> None:
        self.model.train_function = self.model.test_function = self.model.predict_function = None


def weight(
    bits: int,
    per_channel: bool,
    depthwise: bool,
    *,
    correlation: Literal["inputs", "identity"] = "inputs",
    block: Annotated[int, msgspec.Meta(ge=1, le=256)] = 64,
    penalty: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.03,
    progressive: Annotated[float, msgspec.Meta(gt=0, le=0.9)] = 0.4,
) -> Quantizer:
    """Return the quantizer of a kernel.

    Parameters
    ----------
    bits : int
        1.
    per_channel, depthwise : bool
        See `BitatWeight`.
    correlation, block, penalty, progressive
        See `codesign.quant.bitat.weight`.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "bitat")
    return BitatWeight(per_channel, depthwise, correlation, block, penalty, progressive)


def activation(bits: int, signed: bool) -> Quantizer:
    """Return the quantizer of an activation in the place of a ReLU, that of `react`.

    Raises
    ------
    ValueError
        When `bits` is not 1, or it is signed.
    """
    require_one_bit(bits, "bitat")
    return react.activation(bits, signed)


def companion(network: Any) -> KerasBitat | None:
    """Return the companion of a Keras network, None when it has no weights of this method.

    Parameters
    ----------
    network : keras model
        Its layers are taken from the bottom to the top in the order in which it lists them.

    Raises
    ------
    UserError
        When such weights are those of a layer whose inputs cannot be read or cut into columns.
    """
    layers = layers_of(network, BitatWeight)
    return KerasBitat(network, [*layers]) if layers else None

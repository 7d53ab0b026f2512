"""The training loop of QKeras models: the same recipe, state and result as the torch one."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from codesign import data
from codesign.errors import DivergedError, UserError
from codesign.quant import keras as methods
from codesign.quant.qkeras_runtime import runtime
from codesign.train import checkpoint, keras_model, keras_start
from codesign.train.batches import Augmentation, batches
from codesign.train.progress import Progress
from codesign.train.recipe import Recipe, learning_rate

if TYPE_CHECKING:
    from codesign.train.run import TrainResult
    from codesign.zoo import Model

STATE = "state.safetensors"
COMPANION = "companion/"


def train(
    model: Model, recipe: Recipe, folder: Path, resume: bool = True, progress: bool = True, threads: int = 1
) -> TrainResult:
    """Train a QKeras model by its recipe; see `codesign.train.run.train`."""
    tf = runtime().tf
    # TensorFlow takes this only before its first operation; the order of its sums is fixed in any case.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    _refuse(model.name, recipe)
    return _Training(model, recipe, folder, resume, progress).run()


def _refuse(name: str, recipe: Recipe) -> None:
    """Refuse what the torch loop can and this one cannot, instead of ignoring it."""
    given = {
        "ema": recipe.ema != 0,
        "distillation": recipe.distillation is not None,
        "precision": recipe.precision != "float32",
        "storage": recipe.storage != "float32",
    }
    for field, present in given.items():
        if present:
            raise UserError(f"models/{name}.toml: `recipe.{field}` is not available for QKeras models; remove it.")


class _Group(NamedTuple):
    """Variables that share an optimizer, and its learning rate relative to the schedule."""

    optimizer: Any
    variables: list[Any]
    rate: float


def _decays(variable: Any) -> bool:
    """Tell whether weight decay applies: to weights, not to batch norm, biases and quantizers."""
    return "kernel" in variable.name and not checkpoint.is_quantizer(variable.name)


class _Training:
    """One training and its state."""

    def __init__(self, model: Model, recipe: Recipe, folder: Path, resume: bool, progress: bool) -> None:
        self.tf, self.keras, _ = runtime()
        self.model, self.recipe, self.folder = model, recipe, folder
        self.dataset = data.load(model.dataset)
        self.members, self.held = self.dataset.split(recipe.validation, recipe.seed)
        self.progress = Progress(model.name, recipe.epochs, progress)
        self.augmentation = Augmentation(self.dataset.x_train, recipe.crop_padding, recipe.flip, recipe.seed)
        self.network = keras_model.fresh(model)
        self.fingerprint = model.fingerprint()
        self._start()
        self._initialise_steps()
        # Before a step is traced, which then knows of it.
        self.companion = methods.companion(self.network, model.method.weights)
        self.groups = self._groups()
        self.step = self.tf.function(self._step)
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        if (folder / STATE).is_file():
            if resume:
                self._restore()
            else:
                (folder / STATE).unlink()

    def _start(self) -> None:
        """Take over the weights that the recipe names."""
        from codesign.train.run import _require_same_split

        model, recipe = self.model, self.recipe
        if recipe.init_from is None:
            return
        source = model.sibling(recipe.init_from)
        _require_same_split(cast(Any, model), recipe, source, "init_from")
        same = (source.widths, source.method) == (model.widths, model.method)
        keras_start.load(self.network, source.checkpoint_path, source.framework, steps=same)
        self.fingerprint += checkpoint.sha256(source.checkpoint_path)

    def _initialise_steps(self) -> None:
        """Let quantizers that start from the first batch see one, before the optimizer exists."""
        index = next(batches(self.members, self.recipe.batch, self.recipe.seed, 0))
        self.augmentation.start(0)
        moving = {n: v.numpy() for n, v in keras_model.variables(self.network).items() if "moving_" in n}
        self.network(keras_model.real_input(self.augmentation.take(index), self.model.input_scale), training=True)
        for name, value in moving.items():
            keras_model.variables(self.network)[name].assign(value)

    def _groups(self) -> list[_Group]:
        """Return the optimizers of the weights and of the quantizers' steps, which have a rate of their own."""
        named = [(n, v) for n, v in keras_model.variables(self.network).items() if v.trainable]
        weights = [v for name, v in named if not checkpoint.is_step(name)]
        steps = [v for name, v in named if checkpoint.is_step(name)]
        groups = [_Group(self._optimizer(), weights, 1.0), _Group(self._optimizer(), steps, self.recipe.step_rate)]
        groups = [group for group in groups if group.variables]
        for group in groups:
            group.optimizer.build(group.variables)
        return groups

    def _optimizer(self) -> Any:
        optimizers, recipe = self.keras.optimizers, self.recipe
        if recipe.optimizer == "adam":
            return optimizers.Adam(recipe.learning_rate, jit_compile=False)
        return optimizers.SGD(
            recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, jit_compile=False
        )

    def _step(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Take one step and return the loss and the number of right answers."""
        tf, recipe = self.tf, self.recipe
        with tf.GradientTape() as tape:
            out = self.network(x, training=True)
            target = tf.one_hot(y, out.shape[-1])
            target = target * (1 - recipe.label_smoothing) + recipe.label_smoothing / out.shape[-1]
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, out))
            for penalty in self.network.losses:
                loss += penalty
        gradients = tape.gradient(loss, [group.variables for group in self.groups])
        for group, found in zip(self.groups, gradients, strict=True):
            if recipe.weight_decay:
                found = [
                    g + recipe.weight_decay * v if _decays(v) else g
                    for g, v in zip(found, group.variables, strict=True)
                ]
            group.optimizer.apply_gradients(zip(found, group.variables, strict=True))
        right = tf.reduce_sum(tf.cast(tf.argmax(out, 1) == tf.cast(y, tf.int64), tf.int32))
        return loss, right

    def run(self) -> TrainResult:
        """Train the epochs that are left, write the final weights, evaluate them."""
        try:
            with self.progress:
                while self.epoch < self.recipe.epochs:
                    self._one_epoch()
                return self._finish()
        except KeyboardInterrupt:
            raise UserError(
                f"training of {self.model.name} stopped after {self.epoch} of {self.recipe.epochs} epochs; "
                "the same command continues it."
            ) from None

    def _one_epoch(self) -> None:
        recipe, begin = self.recipe, time.monotonic()
        self.augmentation.start(self.epoch)
        steps = max(1, len(self.members) // min(recipe.batch, len(self.members)))
        self.progress.start_epoch(self.epoch, steps)
        total, correct, seen = 0.0, 0, 0
        for step, index in enumerate(batches(self.members, recipe.batch, recipe.seed, self.epoch)):
            rate = learning_rate(recipe, self.epoch + step / steps)
            for group in self.groups:
                group.optimizer.learning_rate.assign(rate * group.rate)
            x = keras_model.real_input(self.augmentation.take(index), self.model.input_scale)
            if self.companion is not None:
                self.companion.before_step((self.epoch + step / steps) / recipe.epochs, x)
            loss, right = self.step(self.tf.constant(x), self.tf.constant(self.dataset.y_train[index]))
            total += float(loss) * len(index)
            correct += int(right)
            seen += len(index)
            self.progress.step()
        if not np.isfinite(total):
            raise DivergedError(
                f"the loss of {self.model.name} is no longer finite in epoch {self.epoch + 1}; "
                "lower recipe.learning_rate."
            )
        self.epoch += 1
        row = {"epoch": self.epoch, "loss": total / seen, "train_accuracy": 100 * correct / seen}
        if len(self.held):
            row["validation_accuracy"] = self._validate()
        row["seconds"] = time.monotonic() - begin
        self.history.append(row)
        self._save()
        self.progress.end_epoch(row)

    def _validate(self) -> float:
        x, y = self.dataset.x_train[self.held], self.dataset.y_train[self.held]
        return keras_model.accuracy(self.network, x, y, self.model.input_scale)

    def _state(self) -> dict[str, Any]:
        state = {f"network/{name}": v for name, v in keras_model.variables(self.network).items()}
        # Slots are listed in the order of the network's variables, which is fixed.
        slots = [v for group in self.groups for v in group.optimizer.variables]
        return state | {f"optimizer/{i}": v for i, v in enumerate(slots)}

    def _save(self) -> None:
        about = {"fingerprint": self.fingerprint, "epoch": self.epoch, "history": self.history}
        tensors = keras_model.tensors(self._state())
        if self.companion is not None:
            tensors |= {f"{COMPANION}{name}": t for name, t in self.companion.tensors().items()}
        checkpoint.write(self.folder / STATE, tensors, about)

    def _restore(self) -> None:
        path = self.folder / STATE
        found, about = checkpoint.read(path)
        if about.get("fingerprint") != self.fingerprint:
            raise UserError(
                f"{self.folder} holds a training of {self.model.name} with another recipe; "
                "start afresh without resuming, or choose another folder."
            )
        companion = {name: found.pop(name) for name in list(found) if name.startswith(COMPANION)}
        keras_model.assign(self._state(), found, path)
        if self.companion is not None:
            self.companion.restore({name.removeprefix(COMPANION): t for name, t in companion.items()})
        self.epoch, self.history = about["epoch"], about["history"]
        self.progress.resumed(self.epoch)

    def _finish(self) -> TrainResult:
        from codesign.train.run import TrainResult

        recipe, dataset, scale = self.recipe, self.dataset, self.model.input_scale
        final = self.folder / f"{self.model.name}.safetensors"
        if self.companion is not None:
            self.companion.finish()
        keras_model.save_weights(self.network, final)
        keras_model.load_weights(self.network, final)
        return TrainResult(
            checkpoint=str(final),
            float_accuracy=round(keras_model.accuracy(self.network, dataset.x_test, dataset.y_test, scale), 4),
            validation_accuracy=round(self._validate(), 4) if len(self.held) else None,
            images=len(dataset.y_test),
            seed=recipe.seed,
            epochs=recipe.epochs,
            parameters=keras_model.parameters(self.network),
            macs=keras_model.macs(self.network),
            checkpoint_sha256=checkpoint.sha256(final),
        )

"""The training loop: one model, from its recipe to its final weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign import data
from codesign.errors import DivergedError, UserError
from codesign.quant import companion
from codesign.quant.choice import Method
from codesign.quant.widths import Widths
from codesign.train import checkpoint, distillation, evaluate, precision
from codesign.train.batches import Augmentation, batches, channels_last, to_tensor
from codesign.train.ema import Average, overwrite
from codesign.train.memory import keep_large_blocks
from codesign.train.optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from codesign.train.progress import Progress
from codesign.train.recipe import Recipe, learning_rate

STATE = "state.safetensors"


class Model(Protocol):
    """What training needs to know of a model; `codesign.zoo.Model` has it."""

    name: str
    framework: str
    dataset: str
    input_scale: float
    widths: Widths
    method: Method
    recipe: Recipe | None

    def module(self) -> nn.Module:
        """Return the network with fresh weights."""

    def sibling(self, name: str) -> Any:
        """Return another model."""

    def fingerprint(self) -> str:
        """Return a digest of everything in the model that decides its weights."""

    @property
    def checkpoint_path(self) -> Path:
        """Where the trained weights of the model are."""

    def build(self) -> nn.Module:
        """Return the network with trained weights."""


class TrainResult(msgspec.Struct, frozen=True):
    """What a finished training gives.

    Attributes
    ----------
    checkpoint : str
        The final weights, a safetensors file.
    float_accuracy : float
        Top-1 in percent of the float32 network on the whole test set.
    validation_accuracy : float or None
        Top-1 in percent on the held-out training examples, None when none were held out.
    images : int
        Size of the test set.
    seed, epochs : int
        As in the recipe.
    parameters, macs : int
        Weights, biases and batch norm factors; multiply-accumulates of one input.
    checkpoint_sha256 : str
        Digest of the checkpoint.
    """

    checkpoint: str
    float_accuracy: float
    validation_accuracy: float | None
    images: int
    seed: int
    epochs: int
    parameters: int
    macs: int
    checkpoint_sha256: str


def train(
    model: Model,
    folder: str | Path,
    resume: bool = True,
    progress: bool = True,
    threads: int = 1,
    answers: str | Path | None = None,
) -> TrainResult:
    """Train `model` by its recipe and evaluate the result once on the test set.

    The state is written after every epoch. A run that was killed continues from there and ends with
    the same weights, bit for bit, as one that was not. With one thread, the same seed on the same
    kind of processor gives the same weights.

    Parameters
    ----------
    model : Model
        From `codesign.zoo.load`.
    folder : path
        Working folder of this training; the final weights are `<folder>/<model name>.safetensors`.
    resume : bool
        Continue a training found in `folder`; otherwise its state is deleted.
    progress : bool
        Report on standard error.
    threads : int
        Threads of torch or TensorFlow. More than one may change the last bits of the sums.
    answers : path, optional
        Folder where the answers of teachers are kept for all their students; `teacher` beside
        `folder` unless given.

    Raises
    ------
    UserError
        When the model has no recipe, the folder holds another training, a checkpoint that the recipe
        asks for is missing, or the user interrupts.
    """
    if model.recipe is None:
        raise UserError(f"models/{model.name}.toml has no [recipe] section, so {model.name} cannot be trained here.")
    folder = Path(folder)
    if model.framework == "qkeras":
        from codesign.train import keras_loop

        return keras_loop.train(cast(Any, model), model.recipe, folder, resume, progress, threads)
    keep_large_blocks()
    kept = folder.parent / "teacher" if answers is None else Path(answers)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            return Training(model, model.recipe, folder, resume, progress, kept).run()
    except KeyboardInterrupt:
        # Before the first epoch or after the last one.
        raise UserError(f"training of {model.name} stopped; the same command continues it.") from None
    finally:
        torch.set_num_threads(before)


def _require_same_split(model: Model, recipe: Recipe, other: Any, field: str) -> None:
    """Raise `UserError` when `other` may have been trained on examples that `model` holds out."""
    if not recipe.validation or other.dataset != model.dataset or other.recipe is None:
        return
    own, its = (recipe.validation, recipe.seed), (other.recipe.validation, other.recipe.seed)
    if own != its:
        raise UserError(
            f"{model.name} holds out recipe.validation = {own[0]} examples with recipe.seed = {own[1]}, but "
            f"{other.name}, its recipe.{field}, {its[0]} with seed {its[1]}, so it may have been trained on some; "
            "give both recipes the same validation and seed."
        )


class Training:
    """One training and its state."""

    def __init__(self, model: Model, recipe: Recipe, folder: Path, resume: bool, progress: bool, kept: Path) -> None:
        self.model, self.recipe, self.folder, self.kept = model, recipe, folder, kept
        self.dataset = data.load(model.dataset)
        self.members, self.held = self.dataset.split(recipe.validation, recipe.seed)
        if len(self.members) < 1:
            raise UserError(f"models/{model.name}.toml holds out every training example; lower recipe.validation.")
        self.progress = Progress(model.name, recipe.epochs, progress)
        torch.manual_seed(recipe.seed)
        self.module = channels_last(model.module())
        self.fingerprint = model.fingerprint()
        if recipe.init_from is not None:
            source = model.sibling(recipe.init_from)
            _require_same_split(model, recipe, source, "init_from")
            same = (source.widths, source.method) == (model.widths, model.method)
            checkpoint.load_weights(self.module, source.checkpoint_path, partial=True, steps=same)
            self.fingerprint += checkpoint.sha256(source.checkpoint_path)
        self._prepare_teacher()
        self._initialise_steps()
        self.optimizer = make_optimizer(self.module, recipe)
        self.average = Average(self.module, recipe.ema)
        self.companion = companion.make(self.module, (model.method.weights, model.method.activations))
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        if (folder / STATE).is_file():
            if resume:
                self._restore()
            else:
                (folder / STATE).unlink()

    def _prepare_teacher(self) -> None:
        recipe, x = self.recipe, self.dataset.x_train
        self.answers: distillation.Answers | None = None
        if recipe.distillation is None:
            self.augmentation = Augmentation(x, recipe.crop_padding, recipe.flip, recipe.seed)
            return
        seed = distillation.AUGMENTATION_SEED
        self.augmentation = Augmentation(x, recipe.crop_padding, recipe.flip, seed)
        teacher = self.model.sibling(recipe.distillation.teacher)
        _require_same_split(self.model, recipe, teacher, "distillation.teacher")
        digest = checkpoint.sha256(teacher.checkpoint_path)
        self.fingerprint += digest
        kind = f"{teacher.name}-{digest[:12]}-crop{recipe.crop_padding}-flip{int(recipe.flip)}"
        self.answers = distillation.Answers(
            lambda: channels_last(teacher.build()),
            teacher.input_scale,
            self.augmentation,
            self.kept / kind,
            recipe.distillation.pool,
        )

    def _initialise_steps(self) -> None:
        """Let quantizers that start from the first batch see one, before the optimizer exists."""
        index = next(batches(self.members, self.recipe.batch, self.recipe.seed, 0))
        self.augmentation.start(0)
        self.module.train()
        saved = {name: t.clone() for name, t in self.module.state_dict().items() if "running_" in name}
        with torch.no_grad():
            self.module(self._input(index))
        overwrite(self.module, saved)

    def _input(self, index: np.ndarray) -> Tensor:
        return to_tensor(self.augmentation.take(index), self.model.input_scale)

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
        torch.manual_seed(recipe.seed * 1_000_003 + self.epoch)
        pool = recipe.distillation.pool if recipe.distillation else recipe.epochs
        self.augmentation.start(self.epoch % pool)
        if self.answers is not None:
            self.answers.start(self.epoch % pool)
        self.module.train()
        labels = torch.from_numpy(self.dataset.y_train.copy())
        steps = max(1, len(self.members) // min(recipe.batch, len(self.members)))
        self.progress.start_epoch(self.epoch, steps)
        total, correct, seen = 0.0, 0, 0
        for step, index in enumerate(batches(self.members, recipe.batch, recipe.seed, self.epoch)):
            rate = learning_rate(recipe, self.epoch + step / steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["rate"]
            y = labels[torch.from_numpy(index)]
            x = self._input(index)
            if self.companion is not None:
                self.companion.before_step((self.epoch + step / steps) / recipe.epochs, x)
            with precision.autocast(recipe.precision):
                out = evaluate.plain(self.module(x))
            out = out.float()
            loss = self._loss(out, y, index)
            penalty = self.companion.penalty() if self.companion is not None else None
            (loss if penalty is None else loss + penalty).backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.average.update()
            total += float(loss.detach()) * len(index)
            correct += int((out.detach().argmax(1) == y).sum())
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
            with self.average.applied(self.module):
                row["validation_accuracy"] = self._validate()
        row["seconds"] = time.monotonic() - begin
        self.history.append(row)
        self._save()
        self.progress.end_epoch(row)

    def _loss(self, out: Tensor, y: Tensor, index: np.ndarray) -> Tensor:
        term = self.recipe.distillation
        if term is None or self.answers is None:
            return F.cross_entropy(out, y, label_smoothing=self.recipe.label_smoothing)
        return distillation.loss(out, self.answers.take(index), y, term.weight, term.temperature)

    def _validate(self) -> float:
        x, y = self.dataset.x_train[self.held], self.dataset.y_train[self.held]
        return evaluate.accuracy(self.module, x, y, self.model.input_scale)

    def _save(self) -> None:
        tensors = {f"module/{name}": t for name, t in self.module.state_dict().items()}
        tensors |= {f"average/{name}": t for name, t in self.average.tensors.items()}
        tensors |= {f"optimizer/{name}": t for name, t in optimizer_tensors(self.optimizer).items()}
        if self.companion is not None:
            tensors |= {f"companion/{name}": t for name, t in self.companion.tensors().items()}
        tensors["random"] = torch.get_rng_state()
        about = {
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "updates": self.average.updates,
            "history": self.history,
        }
        checkpoint.write(self.folder / STATE, tensors, about)

    def _restore(self) -> None:
        path = self.folder / STATE
        tensors, about = checkpoint.read(path)
        if about.get("fingerprint") != self.fingerprint:
            raise UserError(
                f"{self.folder} holds a training of {self.model.name} with another recipe; "
                "start afresh without resuming, or choose another folder."
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}

        overwrite(self.module, part("module/"))
        restore_optimizer(self.optimizer, part("optimizer/"))
        for name, tensor in part("average/").items():
            self.average.tensors[name].copy_(tensor)
        self.average.updates = about["updates"]
        if self.companion is not None:
            self.companion.restore(part("companion/"))
        self.epoch, self.history = about["epoch"], about["history"]
        torch.set_rng_state(tensors["random"])
        self.progress.resumed(self.epoch)

    def _finish(self) -> TrainResult:
        recipe, dataset = self.recipe, self.dataset
        if self.companion is not None:
            self.companion.finish()
        if recipe.ema:
            self.average.copy_to(self.module)
            # Augmented as in training: the dark borders of crops are part of what the network expects,
            # and statistics of clean images cost a point of validation accuracy.
            pool = recipe.distillation.pool if recipe.distillation else recipe.epochs
            self.augmentation.start((recipe.epochs - 1) % pool)
            sample = np.random.default_rng([recipe.seed, 3]).permutation(self.members)[:10_000]
            evaluate.recompute_batch_norm(self.module, self.augmentation.take(sample), self.model.input_scale)
        final = self.folder / f"{self.model.name}.safetensors"
        tensors = self.module.state_dict()
        if recipe.storage == "float16":
            tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
        checkpoint.write(final, tensors)
        checkpoint.load_weights(self.module, final)
        self.module.eval()
        return TrainResult(
            checkpoint=str(final),
            float_accuracy=round(
                evaluate.accuracy(self.module, dataset.x_test, dataset.y_test, self.model.input_scale), 4
            ),
            validation_accuracy=round(self._validate(), 4) if len(self.held) else None,
            images=len(dataset.y_test),
            seed=recipe.seed,
            epochs=recipe.epochs,
            parameters=evaluate.parameters(self.module),
            macs=evaluate.macs(self.module, dataset.shape),
            checkpoint_sha256=checkpoint.sha256(final),
        )

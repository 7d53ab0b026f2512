"""Training of a supernet: one set of weights that works with many choices of widths.

Each step trains on one batch the widest network and a few drawn at random (the sandwich rule without its narrow end,
which at one bit for everything would pull at the weights for a network that nobody wants). All learn from the labels
and from the answers of the network that the supernet started from.

No set of weights serves networks of 1 bit and of 8 bits equally well. A focused supernet is trained with networks alone
that take about as many bit operations as may be taken in the end, and its binary channels have weights of their own:
shared ones make a network of binary weights look worse than it is once it is trained by itself. `benchmarks/search` has
how well either ranks them.

References
----------
Yu and Huang, Universally slimmable networks, ICCV 2019, arXiv 1903.05134: the sandwich rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from codesign import data
from codesign.errors import DivergedError, UserError
from codesign.files import require_writable
from codesign.quant.mixed import POST_BITS
from codesign.quant.switchable import SwitchableLayers, activation_layers, weight_layers
from codesign.train import checkpoint, distillation, evaluate, precision
from codesign.train.batches import Augmentation, batches, channels_last, to_tensor
from codesign.train.ema import overwrite
from codesign.train.optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from codesign.train.progress import Progress
from codesign.train.recipe import Recipe, learning_rate
from codesign.train.supernet_draw import VERSION, Choice, draw, draw_within

STATE, FINAL = "supernet.state.safetensors", "supernet.safetensors"
DRAW = 4

Positive = Annotated[int, msgspec.Meta(gt=0)]


class SupernetRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a supernet is trained. What is not told here is as in the recipe of its model.

    Attributes
    ----------
    epochs : int
        Passes over the training split.
    learning_rate : float
        Its greatest value; it falls to zero along a cosine.
    subnets : int
        Networks drawn for each batch, beside the widest.
    weight_bits, activation_bits : tuple of int
        Widths that may be chosen, ascending.
    post : bool
        Whether POST weights may be chosen.
    distillation, temperature : float
        Share of the answers of the starting network in the loss; what softens them.
    """

    epochs: Positive = 6
    learning_rate: float = 0.02
    subnets: Positive = 2
    weight_bits: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8)
    activation_bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    post: bool = False
    distillation: float = 0.8
    temperature: float = 3.0


class FocusedRecipe(SupernetRecipe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a supernet is trained with networks alone that are near to what may be taken; the widest is not among them.

    Attributes
    ----------
    least, most : int
        Bit operations of a frame that drawn networks take.
    """

    subnets: Positive = 3
    least: Positive
    most: Positive


BitOperations = Callable[[Choice], int]
"""Returns the bit operations of a frame."""


def network(model: Any, recipe: SupernetRecipe) -> nn.Module:
    """Return the supernet of a model, with fresh weights."""
    apart = isinstance(recipe, FocusedRecipe)
    layers = SwitchableLayers(
        model.widths, model.method, recipe.weight_bits, recipe.activation_bits, recipe.post, apart
    )
    return channels_last(model.module_of(layers))


def choose(supernet: nn.Module, choice: Any | None) -> None:
    """Choose widths for all layers, or float ones.

    Parameters
    ----------
    supernet : Module
    choice : Choice or None
        Anything with `weights`, `activations` and `schemes`, such as `codesign.search.space.Assignment`.

    Raises
    ------
    ValueError
        When it names a width that the supernet has not.
    """
    for name, layer in weight_layers(supernet).items():
        if choice is None:
            layer.weight_quant.choose(None)
        else:
            layer.weight_quant.choose(choice.weights[name], choice.schemes.get(name, "uniform"))
    for name, activation in activation_layers(supernet).items():
        activation.choose(None if choice is None else choice.activations[name])


def fingerprint(model: Any, recipe: SupernetRecipe) -> str:
    """Return what a supernet was trained from: the model, its weights, the recipe, how widths are drawn, and whether
    binary channels have weights of their own.
    """
    own = msgspec.json.encode(recipe, order="sorted").decode()
    apart = " binary apart" if isinstance(recipe, FocusedRecipe) else ""
    return f"{model.fingerprint()} {checkpoint.sha256(model.checkpoint_path)} {own} draws {VERSION}{apart}"


def load(model: Any, folder: str | Path) -> tuple[nn.Module, SupernetRecipe]:
    """Return the trained supernet of a model, in evaluation mode and with float layers chosen.

    Raises
    ------
    UserError
        When `folder` holds none, or that of another model.
    """
    path = Path(folder) / FINAL
    if not path.is_file():
        raise UserError(f"{folder} holds no supernet of {model.name}; train it first.")
    tensors, about = _read(path)
    told = about.get("recipe", {})
    try:
        recipe = msgspec.convert(told, FocusedRecipe if "least" in told else SupernetRecipe)
    except (msgspec.ValidationError, TypeError) as error:
        raise _damaged(path) from error
    if about.get("fingerprint") != fingerprint(model, recipe):
        raise UserError(f"{path} is the supernet of another model or of other weights than those of {model.name}.")
    found = network(model, recipe)
    overwrite(found, tensors)
    return found.eval(), recipe


def train(
    model: Any,
    folder: str | Path,
    recipe: SupernetRecipe | None = None,
    *,
    bit_operations: BitOperations | None = None,
    resume: bool = True,
    progress: bool = True,
    threads: int = 1,
) -> Path:
    """Train the supernet of a trained model, which may be float, and return the path of its weights.

    The state is written after every epoch; a run that was killed continues from there and ends with the same weights,
    bit for bit. A supernet that is finished is not trained again. It never sees the examples that the model holds out.

    Parameters
    ----------
    model : codesign.zoo.Model
    folder : path
        Working folder, where the weights are too.
    recipe : SupernetRecipe, optional
    bit_operations : callable, optional
        Told a choice, returns its bit operations: for a `FocusedRecipe`.
    resume : bool
        Continue a training found in `folder`; otherwise start anew.
    progress : bool
        Report on standard error.
    threads : int
        Threads of torch.

    Raises
    ------
    ValueError
        When a `FocusedRecipe` comes without bit operations.
    UserError
        When the model has no recipe, is of QKeras or has no trained weights, `folder` holds a training of another one,
        or the user interrupts.
    """
    if model.framework != "brevitas" or model.recipe is None:
        raise UserError(f"{model.name} has no supernet: that takes a model of the framework brevitas with a [recipe].")
    folder, recipe = Path(folder), recipe or SupernetRecipe()
    if isinstance(recipe, FocusedRecipe) and bit_operations is None:
        raise ValueError("a focused supernet needs the bit operations of choices")
    if resume and (folder / FINAL).is_file():
        if _read(folder / FINAL)[1].get("fingerprint") != fingerprint(model, recipe):
            raise _other(folder)
        return folder / FINAL
    require_writable(folder)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            return _Training(model, folder, recipe, resume, progress, bit_operations).run()
    except KeyboardInterrupt:
        raise UserError(f"training of the supernet of {model.name} stopped; the same command continues it.") from None
    finally:
        torch.set_num_threads(before)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        tensors, about = checkpoint.read(path)
    except (UserError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(about, dict):
        raise _damaged(path)
    return tensors, about


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged or cannot be read; remove it, and the same command goes on with what else there is."
    )


def _other(folder: Path) -> UserError:
    return UserError(
        f"{folder} holds a supernet of another model or recipe; "
        "start afresh without resuming, or choose another folder."
    )


class _Training:
    def __init__(
        self,
        model: Any,
        folder: Path,
        recipe: SupernetRecipe,
        resume: bool,
        progress: bool,
        bit_operations: BitOperations | None,
    ) -> None:
        self.model, self.folder, self.recipe, self.bit_operations = model, folder, recipe, bit_operations
        own: Recipe = model.recipe
        self.base = msgspec.structs.replace(
            own, epochs=recipe.epochs, learning_rate=recipe.learning_rate, schedule="cosine", warmup_epochs=0.2
        )
        self.fingerprint = fingerprint(model, recipe)
        self.dataset = data.load(model.dataset)
        self.members, _ = self.dataset.split(own.validation, own.seed)
        self.augmentation = Augmentation(self.dataset.x_train, own.crop_padding, own.flip, own.seed)
        kind = "focused supernet" if isinstance(recipe, FocusedRecipe) else "supernet"
        self.progress = Progress(f"{kind} of {model.name}", recipe.epochs, progress)
        self.teacher = channels_last(model.build())
        torch.manual_seed(own.seed)
        self.module = network(model, recipe)
        checkpoint.load_weights(self.module, model.checkpoint_path, partial=True, steps=False)
        self.magnitudes = {
            name: layer.weight.detach().flatten(1).square().mean(1).sqrt().numpy()
            for name, layer in weight_layers(self.module).items()
        }
        self.activations = list(activation_layers(self.module))
        self._initialise()
        self.optimizer = make_optimizer(self.module, self.base)
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        if not resume:
            for name in (STATE, FINAL):
                (folder / name).unlink(missing_ok=True)
        elif (folder / STATE).is_file():
            self._restore()

    def _initialise(self) -> None:
        """Set all steps: of weights from the weights, of activations from a batch through the float network."""
        for weighted in weight_layers(self.module).values():
            weighted.weight_quant.initialise(weighted.weight)
        index = next(batches(self.members, self.base.batch, self.base.seed, 0))
        self.augmentation.start(0)
        x = self._input(index)
        choose(self.module, None)

        def observe(layer: Any) -> Any:
            def seen(rectified: Tensor) -> Tensor:
                layer.act_quant.initialise(rectified)
                return rectified

            return seen

        self.module.train()
        saved = {name: t.clone() for name, t in self.module.state_dict().items() if "running_" in name}
        for layer in activation_layers(self.module).values():
            layer.instead = observe(layer)
        with torch.no_grad():
            self.module(x)
        for layer in activation_layers(self.module).values():
            layer.instead = None
        overwrite(self.module, saved)

    def _input(self, index: np.ndarray) -> Tensor:
        return to_tensor(self.augmentation.take(index), self.model.input_scale)

    def run(self) -> Path:
        final = self.folder / FINAL
        with self.progress:
            while self.epoch < self.recipe.epochs:
                self._one_epoch()
        about = {"fingerprint": self.fingerprint, "recipe": msgspec.to_builtins(self.recipe)}
        checkpoint.write(final, self.module.state_dict(), about)
        return final

    def _choices(self, step: int) -> list[Choice]:
        """Return the widest network, but for a focused supernet, and those drawn for a step."""
        recipe, rng = self.recipe, np.random.default_rng([self.base.seed, self.epoch, step, DRAW])
        post = [bits for bits in recipe.weight_bits if bits <= POST_BITS] if recipe.post else []

        def drawn() -> Choice:
            return draw(rng, self.magnitudes, self.activations, recipe.weight_bits, recipe.activation_bits, post)

        if isinstance(recipe, FocusedRecipe):
            assert self.bit_operations is not None  # noqa: S101 - see train
            return [draw_within(drawn, self.bit_operations, recipe.least, recipe.most) for _ in range(recipe.subnets)]
        widest = Choice(
            {name: (recipe.weight_bits[-1],) * len(m) for name, m in self.magnitudes.items()},
            dict.fromkeys(self.activations, recipe.activation_bits[-1]),
            {},
        )
        return [widest, *(drawn() for _ in range(recipe.subnets))]

    def _one_epoch(self) -> None:
        recipe, base, begin = self.recipe, self.base, time.monotonic()
        torch.manual_seed(base.seed * 1_000_003 + self.epoch)
        self.augmentation.start(self.epoch)
        self.module.train()
        labels = torch.from_numpy(self.dataset.y_train.copy())
        steps = max(1, len(self.members) // min(base.batch, len(self.members)))
        self.progress.start_epoch(self.epoch, steps)
        total, correct, seen = 0.0, 0, 0
        for step, index in enumerate(batches(self.members, base.batch, base.seed, self.epoch)):
            rate = learning_rate(base, self.epoch + step / steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["rate"]
            y, x = labels[torch.from_numpy(index)], self._input(index)
            low = precision.autocast(base.precision)
            with torch.no_grad(), low:
                answers = evaluate.plain(self.teacher(x)).float()
            choices = self._choices(step)
            for place, choice in enumerate(choices):
                choose(self.module, choice)
                with low:
                    out = evaluate.plain(self.module(x))
                out = out.float()
                loss = distillation.loss(out, answers, y, recipe.distillation, recipe.temperature)
                (loss / len(choices)).backward()
                total += float(loss.detach()) * len(index) / len(choices)
                if place == 0:
                    correct += int((out.detach().argmax(1) == y).sum())
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            seen += len(index)
            self.progress.step()
        if not np.isfinite(total):
            raise DivergedError(f"the loss of the supernet of {self.model.name} is no longer finite; lower its rate.")
        choose(self.module, None)
        self.epoch += 1
        row = {"epoch": self.epoch, "loss": total / seen, "train_accuracy": 100 * correct / seen}
        row["seconds"] = time.monotonic() - begin
        self.history.append(row)
        self._save()
        self.progress.end_epoch(row)

    def _save(self) -> None:
        tensors = {f"module/{name}": t for name, t in self.module.state_dict().items()}
        tensors |= {f"optimizer/{name}": t for name, t in optimizer_tensors(self.optimizer).items()}
        about = {"fingerprint": self.fingerprint, "epoch": self.epoch, "history": self.history}
        checkpoint.write(self.folder / STATE, tensors, about)

    def _restore(self) -> None:
        tensors, about = _read(self.folder / STATE)
        if about.get("fingerprint") != self.fingerprint:
            raise _other(self.folder)

        def part(prefix: str) -> dict[str, Tensor]:
            return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}

        overwrite(self.module, part("module/"))
        restore_optimizer(self.optimizer, part("optimizer/"))
        self.epoch, self.history = about["epoch"], about["history"]
        self.progress.resumed(self.epoch)

"""A fast proxy for accuracy: choices of widths evaluated by a supernet with shared weights."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign import data, zoo
from codesign.errors import UserError
from codesign.quant.switchable import weight_layers
from codesign.search import measures, sensitivity, width_noise
from codesign.search.candidate_graph import candidate_graph
from codesign.search.fine_tuning import fine_tuned
from codesign.search.measurements import PerChoice, Table
from codesign.search.space import Assignment, Space
from codesign.search.space_of import space_of
from codesign.train import precision, supernet
from codesign.train.batches import Augmentation, to_tensor
from codesign.train.evaluate import plain

if TYPE_CHECKING:
    from codesign.ir import Graph

BATCH = 250


@dataclass(frozen=True)
class Evaluated:
    """What the supernet says of a choice of widths.

    Parameters
    ----------
    accuracy : float
        Top-1 in percent on the held-out training examples.
    loss : float
        Mean cross entropy there, in nats. It tells choices apart that decide alike.
    """

    accuracy: float
    loss: float


class ModelEvaluator:
    """Evaluates choices of widths for a model whose supernet is trained.

    It is made of names alone and loads network and images when they are first needed, so that it can be sent to a
    worker process. The same choice gives the same numbers, whatever was evaluated before.

    Parameters
    ----------
    model : str
        Name of the model, or the path of its TOML file.
    folder : path
        Where `codesign.train.supernet.train` left the supernet.
    focused : path, optional
        Where it left a focused one, which then says the accuracy of choices; all else is measured with the other.
    images : int, optional
        Held-out examples to evaluate on, all unless given. Only examples that the model's recipe holds out are used,
        never the test set.
    calibration : int
        Training examples that the statistics of batch norm are taken from, for each choice; 0 leaves those of the
        supernet.
    fine_tuning : int
        Batches that the supernet is trained on with the widths of a choice, before the choice is evaluated; each choice
        begins with the weights of the supernet. The batches are of the recipe's size, never of held-out examples.
    threads : int
        Threads of torch in every call.

    Raises
    ------
    UserError
        At the first use, when there is no supernet or the model holds out no examples.
    """

    def __init__(
        self,
        model: str,
        folder: str | Path,
        *,
        focused: str | Path | None = None,
        images: int | None = None,
        calibration: int = 500,
        fine_tuning: int = 0,
        threads: int = 1,
    ) -> None:
        self.model, self.folder, self.images = model, str(folder), images
        self.focused = None if focused is None else str(focused)
        self.calibration, self.fine_tuning, self.threads = calibration, fine_tuning, threads

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the names, not what was loaded."""
        own = {name: getattr(self, name) for name in ("focused", "images", "calibration", "fine_tuning", "threads")}
        return functools.partial(type(self), **own), (self.model, self.folder)

    def with_focused(self, folder: Path) -> ModelEvaluator:
        """Return the same with a focused supernet."""
        settings = {name: getattr(self, name) for name in ("images", "calibration", "fine_tuning", "threads")}
        return ModelEvaluator(self.model, self.folder, focused=folder, **settings)

    @functools.cached_property
    def space(self) -> Space:
        """What may be chosen: the widths that the supernet has."""
        recipe = self._loaded.recipe
        schemes = ("uniform", "post") if recipe.post else ("uniform",)
        return space_of(
            self._loaded.model,
            weight_bits=recipe.weight_bits,
            activation_bits=recipe.activation_bits,
            schemes=schemes,
        )

    def accuracy(self, chosen: Assignment) -> float:
        """Return the accuracy of a choice in percent; see `evaluate`."""
        return self.evaluate(chosen).accuracy

    def evaluate(self, chosen: Assignment, measuring: bool = False) -> Evaluated:
        """Evaluate a choice on the held-out examples, with batch norm statistics of its own.

        Examples that it has no finite answer to count as wrong, with the loss of a guess.

        Parameters
        ----------
        chosen : Assignment
        measuring : bool
            By the supernet that is not focused, and without fine-tuning, as all is measured.

        Raises
        ------
        ValueError
            When it is no point of the space.
        """
        self.space.check(chosen)
        loaded = self._loaded if measuring else self._evaluating
        tuned = self._tuned(loaded, 0 if measuring else self.fine_tuning)
        with self._ready(chosen, loaded), tuned, torch.no_grad():
            loaded.calibrate(self.calibration)
            logits = torch.cat([loaded.logits(x) for x in loaded.held.split(BATCH)])
        finite = logits.isfinite().all(1)
        right = ((logits.argmax(1) == loaded.labels) & finite).double().mean()
        losses = F.cross_entropy(logits, loaded.labels, reduction="none").double()
        losses = torch.where(finite, losses, math.log(logits.shape[1]))
        return Evaluated(100 * float(right), float(losses.mean()))

    def sensitivity(self, images: int = 256) -> sensitivity.Sensitivity:
        """Return how much the loss is expected to rise by each width of each channel and activation.

        Parameters
        ----------
        images : int
            Training examples that the gradients are taken of.
        """
        loaded = self._loaded
        with self._ready(None):
            loaded.calibrate(self.calibration)
            return sensitivity.measure(loaded.network, loaded.examples(images)[0])

    def distortion(self, images: int = 128) -> Table:
        """Return the quantisation errors of each width; those of activations on so many training examples."""
        loaded = self._loaded
        with self._ready(None):
            loaded.calibrate(self.calibration)
            return measures.distortion(loaded.network, self.space, loaded.examples(images)[0])

    def curvature(self, images: int = 256) -> PerChoice:
        """Return the curvature of the loss of the float network, from so many training examples."""
        loaded = self._loaded
        with self._ready(None):
            loaded.calibrate(self.calibration)
            return measures.curvature(loaded.network, self.space, loaded.examples(images)[0])

    def squared_gradients(self, chosen: Assignment, images: int = 256) -> PerChoice:
        """Return the squared gradients of the loss with a choice of widths, from so many training examples."""
        self.space.check(chosen)
        loaded = self._loaded
        with self._ready(chosen):
            loaded.calibrate(self.calibration)
            return measures.squared_gradients(loaded.network, *loaded.examples(images))

    def masking(self, images: int = 256) -> dict[str, float]:
        """Return how far the answers to so many training examples move when a layer is masked, in nats."""
        loaded = self._loaded
        with self._ready(None):
            loaded.calibrate(self.calibration)
            return measures.masking(loaded.network, loaded.examples(images)[0])

    def graph(self, chosen: Assignment) -> Graph:
        """Return the integer graph of a choice, with the weights and the statistics of the supernet.

        Raises
        ------
        ValueError
            When it is no point of the space.
        """
        self.space.check(chosen)
        loaded = self._loaded
        with self._ready(None):
            loaded.calibrate(0)
            return candidate_graph(loaded.model, loaded.network, chosen)

    def features(self, images: int = 64) -> dict[str, np.ndarray]:
        """Return what each weight layer makes of one batch in the float network.

        Returns
        -------
        dict of str to ndarray of float32, shape (images, values of a frame)
        """
        loaded = self._loaded
        found: dict[str, np.ndarray] = {}

        def note(name: str) -> Any:
            def hook(_layer: Any, _inputs: Any, output: Tensor) -> None:
                found[name] = output.flatten(1).float().numpy().copy()

            return hook

        with self._ready(None), torch.no_grad():
            loaded.calibrate(self.calibration)
            hooks = [layer.register_forward_hook(note(name)) for name, layer in weight_layers(loaded.network).items()]
            try:
                loaded.network(loaded.examples(images)[0])
            finally:
                for hook in hooks:
                    hook.remove()
        return found

    def width_gradients(
        self, weights: Mapping[str, np.ndarray], activations: Mapping[str, float], step: int, batch: int = 128
    ) -> width_noise.WidthGradients:
        """Return the loss on a training batch with noise in the place of quantisation, and its gradients by widths.

        Parameters
        ----------
        weights : mapping of str to ndarray, shape (channels,)
            Real widths of each weight layer.
        activations : mapping of str to float
            Real widths of each activation.
        step : int
            Which batch, and which noise; the same step gives the same numbers.
        batch : int
            Examples.
        """
        loaded = self._loaded
        with self._ready(None):
            images, labels = loaded.examples(batch, step + 1)
            return width_noise.width_gradients(
                loaded.network, self._errors, images, labels, weights, activations, seed=step
            )

    @functools.cached_property
    def _errors(self) -> width_noise.Errors:
        loaded = self._loaded
        loaded.calibrate(self.calibration)
        return width_noise.errors_of(loaded.network, loaded.examples(128)[0])

    @functools.cached_property
    def _loaded(self) -> _Loaded:
        return _Loaded(self.model, self.folder, self.images)

    @functools.cached_property
    def _evaluating(self) -> _Loaded:
        """What says the accuracy of choices."""
        return self._loaded if self.focused is None else _Loaded(self.model, self.focused, self.images, self._loaded)

    @contextmanager
    def _ready(self, chosen: Assignment | None, loaded: _Loaded | None = None) -> Iterator[None]:
        """Have a choice in the network, its weights quantised once, and the threads of this evaluator."""
        network, before = (loaded or self._loaded).network, torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            supernet.choose(network, chosen)
            if chosen is not None:
                for layer in weight_layers(network).values():
                    layer.freeze(True)
            yield
        finally:
            for layer in weight_layers(network).values():
                layer.freeze(False)
            supernet.choose(network, None)
            torch.set_num_threads(before)

    @contextmanager
    def _tuned(self, loaded: _Loaded, batches: int) -> Iterator[None]:
        """Have the network, with a choice in it, trained on some batches; it is as it was afterwards."""
        if not batches:
            yield
            return
        layers = weight_layers(loaded.network).values()
        for layer in layers:
            layer.freeze(False)
        with fine_tuned(loaded.network, loaded.tuning, batches, loaded.batch):
            for layer in layers:
                layer.freeze(True)
            yield


class _Loaded:
    """Network and images of an evaluator; the images are those of another one where `like` is given."""

    members: np.ndarray
    held: Tensor
    labels: Tensor
    augmentation: Augmentation
    classes: np.ndarray
    order: np.ndarray

    def __init__(self, name: str, folder: str, images: int | None, like: _Loaded | None = None) -> None:
        self.model = zoo.load(name)
        recipe = self.model.recipe
        if recipe is None or not recipe.validation:
            raise UserError(
                f"{self.model.name} holds out no training examples to choose widths by; set recipe.validation and "
                "train it again."
            )
        self.network, self.recipe = supernet.load(self.model, folder)
        if not weight_layers(self.network):
            raise UserError(f"{self.model.name} has no hidden layer with weights, so that there is no width to choose.")
        self.precision = recipe.precision
        self.tuning = msgspec.structs.replace(recipe, learning_rate=self.recipe.learning_rate)
        self.norms = [m for m in self.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self.statistics = {n: t.clone() for n, t in self.network.state_dict().items() if "running_" in n}
        if like is not None:
            self.members, self.held, self.labels = like.members, like.held, like.labels
            self.augmentation, self.classes, self.order = like.augmentation, like.classes, like.order
            return
        dataset = data.load(self.model.dataset)
        self.members, held = dataset.split(recipe.validation, recipe.seed)
        if images is not None:
            # Not the first ones: these are sorted by their place, and sets may be sorted by class.
            held = np.random.default_rng([recipe.seed, 5]).permutation(held)[:images]
        self.held = to_tensor(dataset.x_train[held], self.model.input_scale)
        self.labels = torch.from_numpy(dataset.y_train[held])
        # As in training: what crops leave dark is part of what batch norm expects.
        self.augmentation = Augmentation(dataset.x_train, recipe.crop_padding, recipe.flip, recipe.seed)
        self.classes = dataset.y_train
        self.order = np.random.default_rng([recipe.seed, 6]).permutation(self.members)

    def logits(self, x: Tensor) -> Tensor:
        with precision.autocast(self.precision):
            out = plain(self.network(x))
        return out.float()

    def batch(self, turn: int) -> tuple[Tensor, Tensor]:
        """Return an augmented training batch of the size of the recipe, and its labels; all take part in turn."""
        size = min(self.tuning.batch, len(self.order))
        chosen = self.order[(turn * size + np.arange(size)) % len(self.order)]
        return self._augmented(chosen), torch.from_numpy(self.classes[chosen])

    def examples(self, count: int, turn: int = 0) -> tuple[Tensor, Tensor]:
        """Return augmented training examples and their labels, others for each turn."""
        start = turn * count % max(1, len(self.order) - count)
        chosen = self.order[start : start + count]
        return self._augmented(chosen), torch.from_numpy(self.classes[chosen])

    def _augmented(self, chosen: np.ndarray) -> Tensor:
        return to_tensor(self.augmentation.take(chosen), self.model.input_scale)

    @torch.no_grad()
    def calibrate(self, count: int) -> None:
        """Set the statistics of batch norms to those of `count` examples, 0 for those of the supernet."""
        if not count:
            state = self.network.state_dict()
            for name, tensor in self.statistics.items():
                state[name].copy_(tensor)
            return
        momenta = [norm.momentum for norm in self.norms]
        for norm in self.norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        try:
            for x in self._calibration(count):
                self.logits(x)
        finally:
            for norm, momentum in zip(self.norms, momenta, strict=True):
                norm.momentum = momentum
                norm.eval()

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def _calibration(self, count: int) -> tuple[Tensor, ...]:
        # Batches of one size: each counts as much.
        x = self._augmented(self.order[-count:])
        return tuple(part for part in x.split(BATCH) if len(part) == min(BATCH, len(x)))

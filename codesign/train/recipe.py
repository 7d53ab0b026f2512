"""The training recipe as written in a model's TOML file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(gt=0)]
NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Precision = Literal["float32", "bfloat16"]


class Distillation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Learning from a teacher (Hinton, Vinyals and Dean, arXiv 1503.02531).

    Teacher and student see the same augmented images (Beyer et al., arXiv 2106.05237). The
    augmentations cycle through a pool, so that the teacher's answers are computed once and kept.

    Attributes
    ----------
    teacher : str
        Name of the teacher's model.
    weight : float
        Share of the distillation term; the rest is cross entropy with the labels.
    temperature : float
        Softens both distributions; the term is multiplied by its square.
    pool : int
        Number of different augmentations of the whole training set.
    """

    teacher: str
    weight: Fraction = 0.9
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 4.0
    pool: Positive = 24


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a model is trained.

    Attributes
    ----------
    epochs, batch : int
        Passes over the training split, examples per step (a short last batch is dropped).
    learning_rate : float
        Peak of the schedule.
    schedule : {"cosine", "linear"}
        Fall from the peak to zero, after a linear rise over `warmup_epochs`.
    warmup_epochs : float
        Epochs, or parts of one, in which the rate rises from a twentieth of its peak.
    optimizer : {"sgd", "adam"}
        SGD has Nesterov momentum.
    momentum : float
        Of SGD, 0 to 1.
    weight_decay : float
        L2 term; never applied to batch norm, biases and quantisation steps.
    step_rate : float
        Learning rate of quantisation steps, relative to that of the weights.
    label_smoothing : float
        Of the cross entropy.
    ema : float
        Decay per step of the averaged weights that are kept in the end; 0 keeps the last weights.
    crop_padding : int
        Pixels of zero padding around an image before a random crop; 0 for none.
    flip : bool
        Mirror images at random.
    precision : {"float32", "bfloat16"}
        Of convolutions and dense layers in training; evaluation is always float32. On processors without kernels
        for bfloat16 training is in float32 too, see `codesign.train.precision`.
    storage : {"float32", "float16"}
        Of the final weights.
    validation : int
        Training examples held out. All choices are made on them, none on test data.
    init_from : str or None
        Model whose weights the training starts from.
    distillation : Distillation or None
        Learn from a teacher too.
    seed : int
        Of initial weights, order, augmentation and validation split.
    """

    epochs: Positive
    learning_rate: Annotated[float, msgspec.Meta(gt=0)]
    batch: Positive = 128
    schedule: Literal["cosine", "linear"] = "cosine"
    warmup_epochs: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: Fraction = 0.9
    weight_decay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    step_rate: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    label_smoothing: Fraction = 0.0
    ema: Fraction = 0.0
    crop_padding: NonNegative = 0
    flip: bool = False
    precision: Precision = "float32"
    storage: Literal["float32", "float16"] = "float32"
    validation: NonNegative = 0
    init_from: str | None = None
    distillation: Distillation | None = None
    seed: NonNegative = 1


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the learning rate after `progress` epochs (a fraction within an epoch counts)."""
    import math

    if progress < recipe.warmup_epochs:
        return recipe.learning_rate * (0.05 + 0.95 * progress / recipe.warmup_epochs)
    span = max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    left = max(0.0, 1.0 - (progress - recipe.warmup_epochs) / span)
    if recipe.schedule == "linear":
        return recipe.learning_rate * left
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))

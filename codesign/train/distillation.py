"""Knowledge distillation from a teacher whose answers are computed once and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.errors import UserError
from codesign.train import checkpoint
from codesign.train.batches import Augmentation
from codesign.train.evaluate import logits

# Fixed, so that every student of a teacher reuses the same answers whatever its own seed.
AUGMENTATION_SEED = 20_260


def loss(student: Tensor, teacher: Tensor, labels: Tensor, weight: float, temperature: float) -> Tensor:
    """Return weight * T² * KL(teacher || student) + (1 - weight) * cross entropy, batch mean.

    Parameters
    ----------
    student, teacher : Tensor
        Logits (N, classes) float32.
    labels : Tensor
        Class indices (N,) int64.
    weight : float
        0 to 1.
    temperature : float
        T > 0, divides both logits.

    References
    ----------
    Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, arXiv 1503.02531.
    """
    soft = F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return weight * temperature**2 * soft + (1.0 - weight) * F.cross_entropy(student, labels)


class Answers:
    """The teacher's logits for every training example in every cycle of a pool of augmentations.

    Parameters
    ----------
    teacher : callable
        Returns the teacher network; called only when an answer is not on disk yet.
    input_scale : float
        The teacher's.
    augmentation : Augmentation
        Shared with the student.
    folder : Path
        Holds one file per cycle; must depend on the teacher's weights and the augmentation.
    pool : int
        Number of cycles.
    """

    def __init__(
        self,
        teacher: Callable[[], nn.Module],
        input_scale: float,
        augmentation: Augmentation,
        folder: Path,
        pool: int,
    ) -> None:
        self.teacher, self.input_scale, self.augmentation = teacher, input_scale, augmentation
        self.folder, self.pool = folder, pool
        self.module: nn.Module | None = None
        self.current: Tensor | None = None

    def start(self, cycle: int) -> None:
        """Make the answers of `cycle` current; `augmentation` must be at the same cycle."""
        path = self.folder / f"{cycle:03d}.safetensors"
        if path.is_file():
            try:
                self.current = checkpoint.read(path)[0]["logits"].float()
                return
            except (UserError, KeyError):
                path.unlink()
        if self.module is None:
            self.module = self.teacher()
        count = len(self.augmentation.x)
        parts = [
            logits(
                self.module,
                self.augmentation.take(np.arange(i, min(i + 250, count))),
                self.input_scale,
                250,
                True,
            )
            for i in range(0, count, 250)
        ]
        # Through half precision even now, so that a later run that reads the file sees the same.
        half = torch.from_numpy(np.concatenate(parts)).half()
        checkpoint.write(path, {"logits": half})
        self.current = half.float()

    def take(self, index: np.ndarray) -> Tensor:
        """Return the teacher's logits (len(index), classes) float32."""
        if self.current is None:
            raise RuntimeError("start() comes before take()")
        return self.current[torch.from_numpy(index)]

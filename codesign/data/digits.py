"""The 1797 handwritten digits that come with scikit-learn: 8 x 8 pixels with values 0 to 16."""

from __future__ import annotations

import numpy as np

from codesign.data._types import Dataset, Info

INFO = Info(
    shape=(8, 8, 1),
    classes=tuple("0123456789"),
    input_bits=5,
    input_signed=False,
    citation="E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI repository, 1998",
)
TEST = 360
SEED = 2026


def load() -> Dataset:
    """Return the digits, uint8 images (N, 8, 8, 1), split into 1437 training and 360 test images.

    The data set has no official split; ours is stratified by class and fixed.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    whole = _dataset(images, labels, np.zeros(0, np.int64))
    _, test = whole.split(TEST, SEED)
    return _dataset(images, labels, test)


def _dataset(images: np.ndarray, labels: np.ndarray, test: np.ndarray) -> Dataset:
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[test] = True
    return Dataset.of("digits", INFO, images[~chosen], labels[~chosen], images[chosen], labels[chosen])

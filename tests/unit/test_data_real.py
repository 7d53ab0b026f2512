"""The real data sets, where CODESIGN_DATA or the cache holds them."""

from __future__ import annotations

import numpy as np
import pytest

from codesign import data
from codesign.data import _fetch

FILES = {
    "cifar10": ("cifar10.npz", "cifar-10-binary.tar.gz"),
    "mnist": ("train-images-idx3-ubyte.gz",),
    "fashion_mnist": ("train-images-idx3-ubyte.gz",),
    "unsw_nb15": ("UNSW_NB15_training-set.csv.gz", "UNSW_NB15_training-set.csv"),
}
TRAIN = {"cifar10": 50_000, "mnist": 60_000, "fashion_mnist": 60_000, "unsw_nb15": 57_633}
TEST = {"cifar10": 10_000, "mnist": 10_000, "fashion_mnist": 10_000, "unsw_nb15": 24_699}


@pytest.mark.parametrize("name", list(FILES))
def test_sizes_and_classes(name: str) -> None:
    if not any(_fetch.find(name, file) for file in FILES[name]):
        pytest.skip(f"{name} is not on this machine; name a folder that holds it in CODESIGN_DATA")
    loaded = data.load(name)
    info = data.info(name)
    assert loaded.x_train.shape == (TRAIN[name], *info.shape)
    assert loaded.x_test.shape == (TEST[name], *info.shape)
    assert set(np.unique(loaded.y_test)) == set(range(len(info.classes)))
    assert loaded.x_train.dtype == np.uint8
    if name == "cifar10":
        assert np.bincount(loaded.y_test).tolist() == [1000] * 10
        assert loaded.x_train.mean(axis=(0, 1, 2)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-3)
    if name == "unsw_nb15":
        seen = {bytes(row) for row in loaded.x_train}
        assert not any(bytes(row) in seen for row in loaded.x_test)
    data.load.cache_clear()

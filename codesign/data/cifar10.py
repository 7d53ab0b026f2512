"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from codesign.data import _fetch
from codesign.data._types import Dataset, Info
from codesign.errors import UserError

INFO = Info(
    shape=(32, 32, 3),
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    input_bits=8,
    input_signed=False,
    citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
)
ARCHIVE = _fetch.Remote(
    file="cifar-10-binary.tar.gz",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    size=170_052_171,
    # The official page states the MD5 c32a1d4ab5d03f1284b67883e8d87530 of the same file.
    digest="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)


def load() -> Dataset:
    """Return CIFAR-10 in its official order, uint8 images (N, 32, 32, 3)."""
    local = _fetch.find("cifar10", "cifar10.npz")
    if local is not None:
        arrays = _fetch.read_npz(local, ("x_train", "y_train", "x_test", "y_test"))
        x_train, x_test = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (arrays[0], arrays[2]))
        return _dataset(x_train, arrays[1], x_test, arrays[3], local)
    archive = _fetch.fetch("cifar10", ARCHIVE)
    return _dataset(*read_archive(archive), archive)


def read_archive(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read the official binary archive: records of one label byte and 3072 channel-first pixel bytes."""
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    parts: list[np.ndarray] = []
    try:
        with tarfile.open(path, "r:gz") as tar:
            for file in files:
                stream = tar.extractfile(f"cifar-10-batches-bin/{file}")
                if stream is None:
                    raise KeyError(file)
                parts.append(np.frombuffer(stream.read(), dtype=np.uint8).reshape(-1, 3073))
    except (KeyError, ValueError, OSError, EOFError, tarfile.TarError) as error:
        raise UserError(f"{path} is not the CIFAR-10 binary archive ({error}); delete it and try again.") from None
    train = np.concatenate(parts[:5])

    def images(records: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))

    return images(train), train[:, 0], images(parts[5]), parts[5][:, 0]


def _dataset(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, source: Path) -> Dataset:
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if x.dtype != np.uint8 or x.shape != (len(y), 32, 32, 3) or len(y) == 0 or y.max() > 9:
            raise UserError(f"{source} does not hold CIFAR-10 images; delete it and try again.")
    return Dataset.of("cifar10", INFO, x_train, y_train, x_test, y_test)

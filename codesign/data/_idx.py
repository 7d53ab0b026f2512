"""The idx format of MNIST and its siblings, gzip-compressed."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from codesign.data import _fetch
from codesign.data._types import Dataset, Info
from codesign.errors import UserError


def read(path: Path) -> np.ndarray:
    """Return the uint8 array of an idx file.

    Raises
    ------
    UserError
        When the file is truncated or not an idx file of unsigned bytes.
    """
    try:
        with gzip.open(path, "rb") as stream:
            content = stream.read()
        zeros, kind, dimensions = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
        if zeros != 0 or kind != 8:
            raise ValueError("no idx file of unsigned bytes")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it or replace it with a whole copy.") from None


def load(name: str, info: Info, bases: tuple[str, ...], digests: dict[str, str]) -> Dataset:
    """Load a data set of four idx files with images of 28 x 28 pixels.

    Parameters
    ----------
    name : str
        Name of the data set.
    info : Info
        Its properties.
    bases : tuple of str
        Addresses in front of the file names, tried in order.
    digests : dict
        File name to checksum, in the order training images and labels, test images and labels.
    """
    paths = [
        _fetch.fetch(name, _fetch.Remote(file, tuple(base + file for base in bases), digest))
        for file, digest in digests.items()
    ]
    x_train, y_train, x_test, y_test = (read(path) for path in paths)
    for x, y, path in ((x_train, y_train, paths[0]), (x_test, y_test, paths[2])):
        if y.ndim != 1 or x.shape != (len(y), 28, 28) or len(y) == 0 or y.max() >= len(info.classes):
            raise UserError(f"{path} does not hold {name} images; delete it and try again.")
    return Dataset.of(name, info, x_train[..., None], y_train, x_test[..., None], y_test)

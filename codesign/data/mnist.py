"""MNIST: 70,000 handwritten digits of 28 x 28 grey pixels."""

from __future__ import annotations

from codesign.data import _idx
from codesign.data._types import Dataset, Info

INFO = Info(
    shape=(28, 28, 1),
    classes=tuple("0123456789"),
    input_bits=8,
    input_signed=False,
    citation="Y. LeCun et al., Gradient-based learning applied to document recognition, 1998",
)
BASES = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
DIGESTS = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}


def load() -> Dataset:
    """Return MNIST in its official order, uint8 images (N, 28, 28, 1)."""
    return _idx.load("mnist", INFO, BASES, DIGESTS)

"""Fashion-MNIST: 70,000 articles of clothing of 28 x 28 grey pixels."""

from __future__ import annotations

from codesign.data import _idx
from codesign.data._types import Dataset, Info

INFO = Info(
    shape=(28, 28, 1),
    classes=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    input_bits=8,
    input_signed=False,
    citation="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv 1708.07747",
)
BASES = (
    # The authors serve it without TLS; the checksums protect it.
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
DIGESTS = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}


def load() -> Dataset:
    """Return Fashion-MNIST in its official order, uint8 images (N, 28, 28, 1)."""
    return _idx.load("fashion_mnist", INFO, BASES, DIGESTS)

"""The one place that imports TensorFlow, Keras 2 and QKeras."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from codesign.errors import UserError


class Runtime(NamedTuple):
    """The imported modules.

    Attributes
    ----------
    tf, keras, qkeras : module
        TensorFlow, tf_keras (Keras 2, for which QKeras is written) and QKeras.
    """

    tf: Any
    keras: Any
    qkeras: Any


def runtime() -> Runtime:
    """Import TensorFlow with Keras 2, and QKeras.

    Raises
    ------
    UserError
        When they are not installed, or TensorFlow has been imported with Keras 3 before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow chooses its Keras when it is first imported.
    if "tensorflow" not in sys.modules:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    elif not _legacy(sys.modules["tensorflow"]):
        raise UserError(
            "TensorFlow was imported with Keras 3, for which QKeras is not written; "
            "set TF_USE_LEGACY_KERAS=1 in the environment before TensorFlow is imported."
        )
    try:
        import qkeras
        import tensorflow
        import tf_keras
    except ImportError as error:
        raise UserError(
            f"QKeras cannot be imported ({error}); install the extra qkeras of this package: "
            "pip install '.[qkeras]' in its checkout."
        ) from error
    return Runtime(tensorflow, tf_keras, qkeras)


def _legacy(tensorflow: Any) -> bool:
    """Tell whether the Keras of a TensorFlow is Keras 2; what the environment says now may have come after it."""
    return str(tensorflow.keras.Model.__module__).startswith("tf_keras")

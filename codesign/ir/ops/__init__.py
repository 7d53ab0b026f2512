"""One file per operator: its attributes, type rule, shape rule and exact NumPy meaning.

Adding an operator is adding a file here whose class is named after it (`max_pool.py` holds `MaxPool`).
"""

from __future__ import annotations

import importlib
import pkgutil

from codesign.ir.operator import Operator
from codesign.ir.ops.add import Add
from codesign.ir.ops.arg_max import ArgMax
from codesign.ir.ops.conv2d import Conv2d
from codesign.ir.ops.dense import Dense
from codesign.ir.ops.dyadic import Dyadic
from codesign.ir.ops.flatten import Flatten
from codesign.ir.ops.frame_buffer import FrameBuffer
from codesign.ir.ops.max_pool import MaxPool
from codesign.ir.ops.select_dyadic import SelectDyadic
from codesign.ir.ops.select_threshold import SelectThreshold
from codesign.ir.ops.sum_pool import SumPool
from codesign.ir.ops.threshold import Threshold

__all__ = [
    "Add",
    "ArgMax",
    "Conv2d",
    "Dense",
    "Dyadic",
    "Flatten",
    "FrameBuffer",
    "MaxPool",
    "SelectDyadic",
    "SelectThreshold",
    "SumPool",
    "Threshold",
    "by_name",
]


def by_name() -> dict[str, type[Operator]]:
    """Return every operator class of this folder by its name, in alphabetical order."""
    found: dict[str, type[Operator]] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        class_name = "".join(word.capitalize() for word in module.split("_"))
        found[module] = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
    return found

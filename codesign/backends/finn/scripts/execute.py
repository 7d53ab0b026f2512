"""Execute converted layers in Python: `python execute.py OUTPUT FRAMES.npy RESULT.npy`, one frame at a time."""

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from convert import prepare


def main(output, frames, result):
    """Run every frame of a file through ``executable.onnx``."""
    prepare()
    from finn.core.onnx_exec import execute_onnx
    from qonnx.core.modelwrapper import ModelWrapper

    model = ModelWrapper(str(output / "executable.onnx"))
    entering, leaving = model.graph.input[0].name, model.graph.output[0].name
    shape = model.get_tensor_shape(entering)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for frame in np.load(frames):
            values = frame.astype(np.float32).reshape(shape)
            found.append(execute_onnx(model, {entering: values})[leaving][0])
    np.save(result, np.stack(found) if found else np.empty((0, *model.get_tensor_shape(leaving)[1:])))


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:4]))

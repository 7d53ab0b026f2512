"""Run FINN's transformations on a build folder, without vendor tools: `python convert.py FOLDER OUTPUT`.

Writes into OUTPUT ``dataflow.onnx``, the layers as FINN would synthesise them; ``executable.onnx``, the same layers
with their folds in the form that runs in Python; and ``estimates.json``, with the outcome of FINN's own checks of the
golden vectors.
"""

import atexit
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # the build folder holds what was emitted and nothing else


def load_build(folder):
    """Return the module ``build.py`` of a folder."""
    spec = importlib.util.spec_from_file_location("build", folder / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["build"] = module
    spec.loader.exec_module(module)
    return module


def prepare():
    """Let FINN's steps be imported where there is no Vivado."""
    place = tempfile.mkdtemp(prefix="finn-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.environ["FINN_BUILD_DIR"] = place
    import finn.xsi

    if "SimEngine" not in vars(finn.xsi):
        finn.xsi.SimEngine = type("SimEngine", (), {})  # of Vivado's simulator, which nothing here calls
    from finn.util import settings

    settings.initialize_dummy_settings()


def as_python(model):
    """Return a copy of a model whose layers are those that FINN executes in Python."""
    import copy

    model = copy.deepcopy(model)
    for node in model.graph.node:
        for style in ("_hls", "_rtl"):
            if node.op_type.endswith(style):
                node.op_type = node.op_type.removesuffix(style)
                node.domain = "finn.custom_op.fpgadataflow"
    return model


def main(folder, output):
    """Convert the model of a folder."""
    build = load_build(folder)
    prepare()
    import finn.builder.build_dataflow_config as config
    from finn.builder.build_dataflow_steps import build_dataflow_step_lookup
    from qonnx.core.modelwrapper import ModelWrapper

    output.mkdir(parents=True, exist_ok=True)
    checks = config.VerificationStepType
    cfg = build.configuration(
        config.estimate_only_dataflow_steps,
        output,
        save_intermediate_models=True,
        verify_steps=[checks.TIDY_UP_PYTHON, checks.STREAMLINED_PYTHON],
        verify_input_npy=str(folder / "input.npy"),
        verify_expected_output_npy=str(folder / "expected_output.npy"),
    )
    model = ModelWrapper(str(folder / "model.onnx"))
    for step in cfg.steps:
        model = (build_dataflow_step_lookup[step] if isinstance(step, str) else step)(model, cfg)
    model.save(str(output / "dataflow.onnx"))
    as_python(model).save(str(output / "executable.onnx"))
    parent = ModelWrapper(str(output / "intermediate_models" / "dataflow_parent.onnx"))
    outside = [node.op_type for node in parent.graph.node if node.op_type != "StreamingDataflowPartition"]
    reports = output / "report"
    verified = sorted(path.stem for path in (output / "verification_output").glob("verify_*_*.npy"))
    failed = [name for name in verified if not name.endswith("SUCCESS")]
    if failed or not verified:
        raise SystemExit("FINN's own checks of the golden vectors failed: " + (", ".join(failed) or "none was made"))
    estimates = {
        "outside": outside,
        "checks": verified,
        "part": cfg._resolve_fpga_part(),
        "cycles": json.loads((reports / "estimate_layer_cycles.json").read_text()),
        "resources": json.loads((reports / "estimate_layer_resources.json").read_text()),
        "network": json.loads((reports / "estimate_network_performance.json").read_text()),
    }
    (output / "estimates.json").write_text(json.dumps(estimates, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())

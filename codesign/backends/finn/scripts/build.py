"""Build the FINN accelerator of this folder: `python build.py` in FINN's container, or where finn-plus is installed.

``build.json`` says for which board; ``model.onnx`` holds integers only, so that streamlining finds nothing to do.
"""

import json
import os
from pathlib import Path

from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

FOLDER = Path(__file__).resolve().parent
FPGADATAFLOW = "finn.custom_op.fpgadataflow"


def _layers():
    """Return FINN's conversions by name: one package per layer in finn-plus, one module in FINN."""
    try:
        from finn.transformation.fpgadataflow import convert_to_hw_layers as module

        found = dict(vars(module))
    except ImportError:
        import importlib
        import pkgutil

        from finn.transformation.fpgadataflow import convert_to_hw as package

        found = {}
        for info in pkgutil.iter_modules(package.__path__):
            found.update(vars(importlib.import_module(package.__name__ + "." + info.name)))
    try:
        from finn.transformation.move_reshape import RemoveCNVtoFCFlatten
    except ImportError:
        from finn.transformation.streamline.reorder import RemoveCNVtoFCFlatten
    from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth

    found["RemoveCNVtoFCFlatten"] = RemoveCNVtoFCFlatten
    found["MinimizeAccumulatorWidth"] = MinimizeAccumulatorWidth
    return found


def _accumulate_whole_frames(model):
    """Turn every sum over a whole frame into a GlobalAccPool; FINN converts averages only, with a factor behind."""
    from onnx import helper

    for node in list(model.graph.node):
        if node.op_type != "ReduceSum":
            continue
        shape = model.get_tensor_shape(node.input[0])
        pool = helper.make_node(
            "GlobalAccPool",
            [node.input[0]],
            [node.output[0]],
            domain=FPGADATAFLOW,
            backend="fpgadataflow",
            NumChannels=shape[-1],
            PE=1,
            inputDataType=model.get_tensor_datatype(node.input[0]).name,
            numInputVectors=list(shape[:-1]),
            name="GlobalAccPool_" + node.name,
        )
        model.graph.node.insert(list(model.graph.node).index(node), pool)
        model.graph.node.remove(node)
    return model


def _count_without_sign():
    """Let FINN know how far a popcount counts: it takes one for a sum of ones and minus ones, which has other ends."""
    from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
    from qonnx.core.datatype import DataType

    original = MVAU.minimize_accumulator_width
    if getattr(original, "counts", False):
        return

    def minimize(self, model, *arguments, **keywords):
        if not self.get_nodeattr("binaryXnorMode"):
            return original(self, model, *arguments, **keywords)
        bits = int(self.get_nodeattr("MW")).bit_length()
        if self.get_nodeattr("noActivation"):
            if model.find_direct_successors(self.onnx_node) is None:
                bits = -(-bits // 8) * 8
            self.set_nodeattr("outputDataType", f"UINT{bits}")
        self.set_nodeattr("accDataType", f"UINT{bits}")
        return DataType[f"UINT{bits}"]

    minimize.counts = True
    MVAU.minimize_accumulator_width = minimize


def step_to_hardware(model, cfg):
    """Convert every node to a hardware layer; thresholds stay layers of their own."""
    _count_without_sign()
    layers = _layers()
    model = model.transform(InferShapes())
    model = _accumulate_whole_frames(model)
    for names in (
        ["InferThresholdingLayer"],
        ["InferBinaryMatrixVectorActivation"],
        ["InferQuantizedMatrixVectorActivation"],
        ["InferVectorVectorActivation"],
        ["InferLabelSelectLayer"],
        # What adds streams and constants has another name in every line of FINN.
        ["InferElementwiseBinaryOperation", "InferAddStreamsLayer"],
        ["InferChannelwiseLinearLayer"],
        # FINN starts sums from 32 signed bits, which a pool of unsigned ones refuses.
        ["MinimizeAccumulatorWidth"],
        ["InferPool"],
        ["InferConvInpGen"],
        ["InferDuplicateStreamsLayer"],
        ["RemoveCNVtoFCFlatten"],
    ):
        for name in names:
            if name in layers:
                model = model.transform(layers[name]())
                break
    for transformation in (GiveUniqueNodeNames, InferDataLayouts, InferShapes, InferDataTypes):
        model = model.transform(transformation())
    left = sorted({node.op_type for node in model.graph.node if not node.domain.startswith(FPGADATAFLOW)})
    if left:
        raise RuntimeError("FINN has left nodes outside its hardware layers: " + ", ".join(left))
    return model


def renamed(layers, found):
    """Return layers under the names that this line of FINN gives to what adds streams and constants.

    Parameters
    ----------
    layers : list of dict
        As in ``layers.json``.
    found : iterable of str
        Names of FINN's layers.

    Returns
    -------
    list of (str, str, dict)
        Name in our files, name in FINN, attributes to be found.
    """
    known = any(name.startswith("ElementwiseAdd") for name in found)
    count = {"AddStreams": 0, "ChannelwiseOp": 0}
    result = []
    for layer in layers:
        name, attributes = layer["name"], layer["attributes"]
        if name.startswith("ElementwiseAdd") and not known:
            kind = "ChannelwiseOp" if attributes["rhs_style"] == "const" else "AddStreams"
            name, attributes = f"{kind}_hls_{count[kind]}", {}
            count[kind] += 1
        result.append((layer["name"], name, attributes))
    return result


def step_check_folds(model, cfg):
    """Refuse folds that were written for other layers: FINN must have ordered its layers as the folds say."""
    found = {node.name: node for node in model.graph.node}
    with open(FOLDER / "layers.json") as file:
        expected = renamed(json.load(file), found)
    others = set(found) ^ {name for _, name, _ in expected}
    if others:
        raise RuntimeError("FINN made other layers than layers.json lists: " + ", ".join(sorted(others)))
    for _, name, attributes in expected:
        layer = getCustomOp(found[name])
        for key, value in attributes.items():
            have = layer.get_nodeattr(key)
            have = [int(v) for v in have] if hasattr(have, "__len__") and not isinstance(have, str) else have
            if have != value:
                raise RuntimeError(
                    f"{name} has {key} {have} and not {value}: the folds are for another order of layers"
                )
    with open(FOLDER / "folding_config.json") as file:
        folds = json.load(file)
    place = Path(cfg.output_dir) / "folding_config.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"Defaults": {}, **{name: folds[ours] for ours, name, _ in expected}}, indent=1))
    cfg.folding_config_file = str(place)
    return model


def steps(names):
    """Return FINN's steps with the conversion replaced and the folds checked before they are applied."""
    chosen = []
    for name in names:
        if name == "step_apply_folding_config":
            chosen.append(step_check_folds)
        chosen.append(step_to_hardware if name == "step_convert_to_hw" else name)
    return chosen


def configuration(names, output, **more):
    """Return the build configuration of this folder.

    Parameters
    ----------
    names : list of str
        FINN's steps.
    output : path
    **more
        Fields of FINN's DataflowBuildConfig that differ.
    """
    import finn.builder.build_dataflow_config as config

    with open(FOLDER / "build.json") as file:
        chosen = json.load(file)
    fields = {
        "output_dir": str(output),
        "synth_clk_period_ns": chosen["clock_ns"],
        "standalone_thresholds": True,
        "folding_config_file": str(FOLDER / "folding_config.json"),
        "specialize_layers_config_file": str(FOLDER / "specialize_layers_config.json"),
        "generate_outputs": [config.DataflowOutputType.ESTIMATE_REPORTS],
        "steps": steps(names),
    }
    if chosen["finn_board"] is None:
        fields["fpga_part"] = chosen["part"]
    else:
        fields["board"] = chosen["finn_board"]
        fields["shell_flow_type"] = config.ShellFlowType.VIVADO_ZYNQ
    fields.update(more)
    return config.DataflowBuildConfig(**fields)


def main():
    """Run FINN's whole flow, its own checks on the golden vectors included."""
    os.chdir(FOLDER)
    import finn.builder.build_dataflow as build
    import finn.builder.build_dataflow_config as config

    outputs = config.DataflowOutputType
    checks = config.VerificationStepType
    wanted = [outputs.ESTIMATE_REPORTS, outputs.STITCHED_IP, outputs.OOC_SYNTH, outputs.RTLSIM_PERFORMANCE]
    with open(FOLDER / "build.json") as file:
        if json.load(file)["finn_board"] is not None:
            wanted += [outputs.BITFILE, outputs.PYNQ_DRIVER, outputs.DEPLOYMENT_PACKAGE]
    cfg = configuration(
        config.default_build_dataflow_steps,
        FOLDER / "output",
        generate_outputs=wanted,
        verify_steps=[
            checks.TIDY_UP_PYTHON,
            checks.STREAMLINED_PYTHON,
            checks.FOLDED_HLS_CPPSIM,
            checks.STITCHED_IP_RTLSIM,
        ],
        verify_input_npy=str(FOLDER / "input.npy"),
        verify_expected_output_npy=str(FOLDER / "expected_output.npy"),
    )
    return build.build_dataflow_cfg(str(FOLDER / "model.onnx"), cfg)


if __name__ == "__main__":
    raise SystemExit(main())

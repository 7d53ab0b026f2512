"""Every model through every backend: how many integers are compared with the golden executor, and how many differ.

    python benchmarks/verified/bench.py run [--models resnet8_w3,...] [--backends csim,rtl] [--vectors 20]
    python benchmarks/verified/bench.py table

`run` calls `codesign verify` for what results.json beside this file does not have of the present checkpoints, and adds
to it; it may be killed and continues. `table` writes table.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from codesign import zoo
from codesign.errors import UserError
from codesign.files import atomic_write

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS, TABLE = HERE / "results.json", HERE / "table.md"
BACKENDS = {
    "csim": "C simulation of the HLS kernels (g++)",
    "rtl": "RTL (Verilator)",
    "qonnx": "QONNX file (qonnx executor)",
    "finn": "FINN's layers (Python)",
    "hls4ml-stock": "hls4ml's own converter (g++)",
    "float64": "trained model in float64",
}
VECTORS = 20
REFUSALS = ("has no FINN layer", "Unsupported QKeras activation")
"""What a backend does not take, in its own words; whatever else ends a command is a failure."""


def models() -> dict[str, zoo.Model]:
    """Return the models of the checkout that have integers, by name."""
    found = [zoo.read(path) for path in sorted((ROOT / "models").glob("*.toml"))]
    return {each.name: each for each in found if each.checkpoint_path.is_file() and not each.widths.is_float}


def applies(model: zoo.Model, backend: str) -> bool:
    return backend != "hls4ml-stock" or model.framework == "qkeras"


def known(vectors: int = 1) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the results of the checkpoints that are here and of so many frames, by model and backend."""
    found = json.loads(RESULTS.read_bytes()) if RESULTS.is_file() else {}
    return {
        name: {
            backend: one
            for backend, one in found.get(name, {}).items()
            if one["checkpoint"] == model.measured.checkpoint_sha256 and one.get("vectors", vectors) >= vectors
        }
        for name, model in models().items()
    }


def verify(model: zoo.Model, backend: str, vectors: int) -> dict[str, Any]:
    """Return what `codesign verify` says, or that it refuses the model.

    Raises
    ------
    UserError
        When it fails in another way.
    """
    command = [sys.executable, "-m", "codesign", "verify", str(model.path), "--backend", backend]
    command += ["--vectors", str(vectors), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    about = {"checkpoint": model.measured.checkpoint_sha256, "version": importlib.metadata.version("codesign")}
    said = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
    if "differences" in said:
        kept = ("seed", "vectors", "tensors", "integers", "differences", "cycles_per_frame", "cycles_differ")
        return about | {key: said[key] for key in kept if key in said}
    reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1].removeprefix("codesign: ")
    if done.returncode == 2 and any(words in reason for words in REFUSALS):
        # Without the place of a log on this machine.
        return about | {"refused": reason.split("; see ")[0].rstrip(".") + "."}
    raise UserError(f"{model.name} {backend} failed: {reason}")


def run(names: list[str], backends: list[str], vectors: int) -> int:
    failed = False
    for name in names:
        for backend in backends:
            model = models()[name]
            if not applies(model, backend) or backend in known(vectors)[name]:
                continue
            try:
                one = verify(model, backend, vectors)
            except UserError as error:
                print(error, file=sys.stderr, flush=True)
                failed = True
                continue
            # Another process may have added to it.
            results = known()
            results[name][backend] = one
            atomic_write(RESULTS, json.dumps(results, indent=1, sort_keys=True) + "\n")
            print(f"{name} {backend}: {_cell(one, {})}", flush=True)
    different = any(
        one.get("differences") or one.get("cycles_differ") for own in known().values() for one in own.values()
    )
    return 1 if failed or different else 0


def markdown(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the text of table.md."""
    reasons: dict[str, int] = {}
    lines = [
        "# Every model through every backend",
        "",
        "Written by `python benchmarks/verified/bench.py table`. Differing integers, of those that were compared with "
        "the golden executor.",
        "",
        f"| model | {' | '.join(BACKENDS.values())} |",
        "|---" * (len(BACKENDS) + 1) + "|",
    ]
    for name, own in sorted(results.items()):
        missing = {backend: "not run" if applies(models()[name], backend) else "–" for backend in BACKENDS}
        cells = (_cell(own[backend], reasons) if backend in own else missing[backend] for backend in BACKENDS)
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines).rstrip() + "\n"


def _cell(one: dict[str, Any], reasons: dict[str, int]) -> str:
    if "refused" in one:
        return f"refused ({reasons.setdefault(one['refused'], len(reasons) + 1)})"
    late = ", clocks differ" if one.get("cycles_differ") else ""
    return f"{one['differences']:,} of {one['integers']:,}{late}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--models", default="", help="names, joined by commas; all unless given")
    parser.add_argument("--backends", default="", help=f"of {', '.join(BACKENDS)}; all unless given")
    parser.add_argument("--vectors", type=int, default=VECTORS, help="frames, half of them images")
    given = parser.parse_args()
    if given.command == "table":
        text = markdown(known())
        atomic_write(TABLE, text)
        print(text)
        return 0
    chosen = [[name for name in text.split(",") if name] for text in (given.models, given.backends)]
    for names, there, what in zip(chosen, (models(), BACKENDS), ("model", "backend"), strict=True):
        for name in names:
            if name not in there:
                raise UserError(f"there is no {what} {name} to verify; there are {', '.join(there)}.")
    return run(chosen[0] or list(models()), chosen[1] or list(BACKENDS), given.vectors)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None

"""The accuracy of quantisation methods on CIFAR-10 with ResNet-8: trains, and makes table and plot.

    python benchmarks/accuracy/bench.py all [--jobs 2]
    python benchmarks/accuracy/bench.py run [--jobs 2] [--only 'lsq_w4,*_w1'] [--seeds 1,2,3] [--shard 1/3]
    python benchmarks/accuracy/bench.py status
    python benchmarks/accuracy/bench.py folded [--only 'asq_w4']
    python benchmarks/accuracy/bench.py clipped [--only 'dorefa_w4,lsq_w4' --seeds 1]
    python benchmarks/accuracy/bench.py keep
    python benchmarks/accuracy/bench.py table
    python benchmarks/accuracy/bench.py plot

`all` makes what the table and its picture lack: `run`, `folded`, `table` and `plot`.
`run` makes the runs that have no result yet, or one of an earlier version of the code, and may be stopped at any
time: the same command continues. `folded` evaluates the finished ASQ runs once more, with the step the same for every
image, where they were trained. `clipped` prints which part of their positive values the trained activations clip, on
500 test images. `keep` copies results of the present version to `runs` beside this file, from where another checkout
takes them. `table` writes results.json and table.md beside this file, `plot` draws accuracy.svg from results.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from accuracy_table import plot, pool, table  # noqa: E402
from accuracy_table.rows import EPOCHS  # noqa: E402
from accuracy_table.runs import ROOT, BusyError, Run, Store, duration, execute, outcome, plan  # noqa: E402
from accuracy_table.summary import summarise  # noqa: E402

from codesign.errors import UserError  # noqa: E402
from codesign.files import atomic_write  # noqa: E402

COMMITTED = HERE / "runs"
RESULTS, TABLE, PLOT = HERE / "results.json", HERE / "table.md", HERE / "accuracy.svg"
LANES = ROOT / "benchmarks" / "lut_per_mac" / "results.json"


def names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def seeds(text: str) -> list[int]:
    return list(dict.fromkeys(int(part) for part in names(text)))


def jobs(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"at least 1 process makes the runs, not {text}")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    found = int(index), int(count)
    if not 1 <= found[0] <= found[1]:
        raise ValueError(text)
    return found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "command",
        choices=("all", "run", "one", "status", "folded", "clipped", "keep", "table", "plot"),
        metavar="all|run|status|folded|clipped|keep|table|plot",
    )
    parser.add_argument("--jobs", type=jobs, default=2, help="processes at a time, of one thread each")
    parser.add_argument("--only", type=names, default=[], help="patterns of rows, such as 'lsq_w4,*_w1'")
    parser.add_argument("--seeds", type=seeds, help="such as 1,2,3; those of each row of the table unless given")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--shard", type=shard, default=(1, 1), help="i/n: every n-th run from the i-th on")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "accuracy")
    return parser.parse_args(arguments)


def run(store: Store, runs: list[Run], jobs: int) -> int:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    def start(one: Run) -> subprocess.Popen[bytes]:
        store.log(one).parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, "one", "--only", one.row.key, "--seeds", str(one.seed)]
        command += ["--epochs", str(one.epochs), "--folder", str(store.folder)]
        with open(store.log(one), "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    return 1 if pool.work(store, runs, jobs, start, lambda line: print(line, flush=True)) else 0


def one(store: Store, only: Run) -> int:
    """Make one run in this process."""
    try:
        execute(store, only)
    except UserError as error:
        print(error, file=sys.stderr)
        return pool.REFUSED
    except BusyError:
        return pool.BUSY
    return pool.DONE


def folded(store: Store, runs: list[Run]) -> int:
    # Only here: it loads torch, which the other commands do without.
    from accuracy_table.folded import add

    print(f"{add(store, runs, lambda line: print(line, flush=True))} results have more to say")
    return 0


def clipped(store: Store, runs: list[Run]) -> int:
    # Only here, as above.
    from accuracy_table.clipped import tell

    tell(store, runs, lambda line: print(line, flush=True))
    return 0


def status(store: Store, runs: list[Run]) -> int:
    done = diverged = 0
    for each in runs:
        result, current = store.result(each), store.current(each)
        if result is None:
            print(f"{each.name:24} {pool.obstacle(store, each) or 'to do'}")
            continue
        done += current is not None
        diverged += current is not None and "diverged" in current
        note = "" if current else "  (of an earlier version: to do again)"
        print(f"{each.name:24} {outcome(result):>9}  {duration(result)}{note}")
        if "diverged" in result:
            print(f"{'':24} {result['diverged']}")
    print(f"{done} of {len(runs)} runs done" + (f", {diverged} of them diverged" if diverged else ""))
    return 0


def write_table(store: Store, runs: list[Run]) -> int:
    summary = summarise([(each.row, each.seed, result) for each in runs if (result := store.result(each))])
    text = table.markdown(summary)
    atomic_write(RESULTS, json.dumps(summary, indent=1) + "\n")
    atomic_write(TABLE, text)
    print(text)
    return 0


def draw() -> int:
    if not RESULTS.is_file():
        raise UserError(f"there is no {RESULTS}; the command table writes it.")
    lanes = json.loads(LANES.read_bytes()) if LANES.is_file() else {}
    atomic_write(PLOT, plot.svg(json.loads(RESULTS.read_bytes()), lanes))
    print(PLOT)
    return 0


def everything(store: Store, runs: list[Run], jobs: int) -> int:
    run(store, runs, jobs)
    if missing := [each.name for each in runs if store.current(each) is None]:
        raise UserError(f"no table yet: {len(missing)} of {len(runs)} runs are missing, {missing[0]} first.")
    folded(store, runs)
    adaptive = [each for each in runs if each.row.activations == "asq"]
    for each in adaptive:
        if not {"folded", "diverged"} & (store.current(each) or {}).keys():
            raise UserError(f"no table yet: {each.name} is not folded out; that is done where it was trained.")
    return write_table(store, runs) or draw()


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    store = Store(arguments.folder.resolve(), COMMITTED)
    if arguments.command == "plot":
        return draw()
    if arguments.command == "all" and (
        arguments.seeds or arguments.only or arguments.shard != (1, 1) or arguments.epochs != EPOCHS
    ):
        raise UserError("all makes the whole table; use run with --seeds, --only, --shard or --epochs, and then all.")
    runs = plan(arguments.seeds, arguments.epochs, arguments.only, arguments.shard)
    if arguments.command == "run":
        return run(store, runs, arguments.jobs)
    if arguments.command == "one":
        return one(store, runs[0])
    if arguments.command == "status":
        return status(store, runs)
    if arguments.command == "folded":
        return folded(store, runs)
    if arguments.command == "clipped":
        return clipped(store, runs)
    if arguments.command == "keep":
        print(f"{sum(store.commit(each) for each in runs)} results new in {COMMITTED}")
        return 0
    if arguments.command == "table":
        return write_table(store, runs)
    return everything(store, runs, arguments.jobs)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None

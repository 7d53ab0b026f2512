"""Strategies of `codesign search` against one another: ResNet-8 on CIFAR-10, what each finds trained for real.

    python benchmarks/search/bench.py run [--jobs 2] [--seeds 1,2,3] [--scenarios two,lut] [--strategies haq,autoqb]
    python benchmarks/search/bench.py status
    python benchmarks/search/bench.py keep
    python benchmarks/search/bench.py table
    python benchmarks/search/bench.py proxies [--scenarios two,lut] [--batches 0,40,100]
    python benchmarks/search/bench.py lanes

`run` may be killed at any time and continues; several may work at once.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from search_table import table
from search_table.tasks import Search, Store, Training, plan

from codesign.errors import UserError
from codesign.files import atomic_write

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def work(store: Store, searches: Sequence[Search], trainings: Sequence[Training]) -> None:
    """Do all tasks that nobody else is at; trainings wait for their searches."""
    from search_table.work import Work

    does = Work(store)
    for search in searches:
        _one(store, search, lambda task: does.search(task))
    left = list(trainings)
    while left:
        ready = [task for task in left if store.result(task.search) is not None]
        for task in ready:
            _one(store, task, lambda task: does.train(task, store.result(task.search) or {}))
        left = [task for task in left if task not in ready]
        if not ready:
            print(f"{len(left)} trainings wait for searches of other processes; run this again", flush=True)
            return


def _one(store: Store, task: Any, do: Callable[[Any], dict[str, Any]]) -> None:
    if store.result(task) is not None:
        return
    with store.locked(task.name) as own:
        if own and store.result(task) is None:
            result = do(task)
            store.write(task, result)
            accuracy = result["accuracy"] if "accuracy" in result else result["best"]["accuracy"]
            print(f"{task.name}: {accuracy:.2f} %", flush=True)


def _proxies(store: Store, found: dict[Search | Training, dict[str, Any]], batches: Sequence[int]) -> str:
    from search_table import proxies
    from search_table.work import Work

    rows = []
    for search, accuracy, told in proxies.rows(Work(store), found, batches):
        rows.append((search, accuracy, told))
        accuracies = ", ".join(f"{one['accuracy']:.2f} ({one['loss']:.4f})" for one in told)
        print(f"{search.name}: trained {accuracy:.2f} %, {accuracies}", flush=True)
    return proxies.markdown(rows, batches)


def _numbers(text: str, flag: str) -> list[int]:
    if not re.fullmatch(r"\d+(,\d+)*", text, re.ASCII):
        raise UserError(f"{flag} are whole numbers joined by commas, not '{text}'.")
    return [int(number) for number in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "status", "keep", "table", "proxies", "lanes"))
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--scenarios", default="", help="names, joined by commas; all unless given")
    parser.add_argument("--strategies", default="", help="the same")
    parser.add_argument("--batches", default="0", help="of fine-tuning before `proxies` evaluates; several as well")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "search_bench")
    given = parser.parse_args()
    seeds, batches = _numbers(given.seeds, "--seeds"), _numbers(given.batches, "--batches")
    chosen = [[name for name in text.split(",") if name] for text in (given.scenarios, given.strategies)]
    searches, trainings = plan(seeds, *chosen)
    store = Store(given.folder, HERE / "results", HERE / "supernets")
    every: list[Search | Training] = [*searches, *trainings]
    if given.command == "run":
        if given.jobs > 1:
            # The last one of an option counts.
            command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--jobs", "1"]
            started = [subprocess.Popen(command) for _ in range(given.jobs)]
            return max(process.wait() for process in started)
        work(store, searches, trainings)
    elif given.command == "status":
        for task in every:
            print(f"{task.name}: {'done' if store.result(task) is not None else 'to do'}")
    elif given.command == "keep":
        print(f"{sum(store.keep(task) for task in every)} new in {store.committed}")
        print(f"{store.keep_supernets()} new supernets")
    elif given.command == "lanes":
        from search_table import lanes
        from search_table.work import Work

        text = lanes.markdown(Work(store))
        atomic_write(HERE / "lanes.md", text)
        print(text)
    else:
        found = {task: result for task in every if (result := store.result(task)) is not None}
        if not any(isinstance(task, Training) for task in found):
            raise UserError("nothing of this was trained yet; let `run` come further first.")
        text = table.markdown(found) if given.command == "table" else _proxies(store, found, batches)
        atomic_write(HERE / f"{given.command}.md", text)
        print(text)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None

"""`codesign search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.cli import options, search_options, search_words
from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.cli.work import Work, difference, tell_precision
from codesign.errors import UserError

if TYPE_CHECKING:
    from codesign.backends.rtl.options import Options
    from codesign.estimate.corrections import Correction
    from codesign.search import content
    from codesign.search.finish import Finish, Trained
    from codesign.search.problem import Evaluation, Problem
    from codesign.search.run import Progress, Result
    from codesign.verify.compare import VerifyResult

_VECTORS = 16


@make(name="search", short_help="Find the widths that serve a model best on a board, and train a model of them.")
@search_options.model
@options.board
@search_options.every
@options.seed
def command(console: Console, model: str | None, board: str, seed: int, **given: Any) -> int:
    """Search a width for each layer or channel and each activation of a trained model, and train the best choice.

    What is found keeps to all that the board holds, to the frame rate or clocks, and to the budget of bit operations.
    A candidate's accuracy comes from a supernet of shared weights, which is trained with networks that take about what
    the limits allow, and candidates are compared by its loss; their size is the estimate of the best folding in
    RTL; 2 % of the LUTs stay free for what training changes. In the end the best is trained by the recipe of MODEL,
    estimated anew, compared with its hardware integer by integer, and written as a model that every command takes.

    For boards of a family that no synthesis was measured for, sizes are not known; there --budget alone limits.

    The same command continues where it was stopped, in whatever step, and ends in the same result. All lies in
    build/MODEL/BOARD/search/; search.html and search.json are of the last command, and tell all searches of the same
    space and limits beside its own.
    """
    import msgspec

    from codesign import estimate
    from codesign.estimate import corrections
    from codesign.search import content, prepare, publish, run, strategies, workers
    from codesign.search.problem import Objective
    from codesign.search.repair import repair
    from codesign.train.supernet import SupernetRecipe

    if given["strategy"] == "list":
        return _list(console)
    if model is None:
        raise UserError("say which MODEL is to be searched; codesign models lists them.")
    objective, budget = Objective.parse(given["objective"]), search_options.operations(given["budget"])
    if given["strategy"] is None:
        given["strategy"] = search_options.WITH_COSTS if objective.costs else search_options.DEFAULT_STRATEGIES
    wanted = strategies.names() if given["strategy"] == "all" else given["strategy"].split(",")
    chosen = [strategies.load(each.strip()).__name__.rpartition(".")[2] for each in wanted]
    settings = search_options.settings(given["settings"])
    if settings and len(set(chosen)) > 1:
        raise UserError("--set is for one strategy; give one by --strategy, or leave --set out.")
    for one in chosen:
        strategies.checked(one, settings)
    search_options.require_rate(given["learning_rate"])
    workers.require(given["workers"])
    work = Work.on(model, board, console)
    sized = estimate.measured(work.board.family)
    if not sized:
        search_options.require_budget_alone(work.board.family, given, objective.costs)
    chosen = _usable(console, chosen, given["strategy"] == "all", work.board.family)
    design = _design(board, given, sized)
    recipe = SupernetRecipe(
        epochs=given["supernet_epochs"],
        weight_bits=search_options.widths(given["weight_bits"], "--weight-bits", 0),
        activation_bits=search_options.widths(given["activation_bits"], "--activation-bits", 1),
        post=given["post"],
    )
    search_options.require_post(recipe)
    source, folder = work.model, work.folder / "search"
    prepare.require_searchable(source)
    family = work.board.family
    correction = corrections.of_same_design(family, estimate.load(family).fit) if sized else None
    if correction is not None:
        console.say(f"Sizes are corrected by {correction.path}, as codesign estimate does.")
    cells = estimate.OTHER_CELLS.get(family) if correction is None else None
    if cells is not None:
        console.say(*options.other_cells(work.board))
    publish.require_source(source)
    name = f"{source.name}_searched" if given["name"] is None else given["name"]
    path = None if given["no_training"] else publish.require_free(name, folder)
    if budget is None and design.fastest and not objective.costs:
        console.say(
            "Only accuracy counts, so that wide weights cost nothing; give --budget, --fps, --cycles or --objective."
        )
    assert source.recipe is not None  # noqa: S101 - see require_searchable
    tell_precision(console, source.recipe)
    supernets = Path("build") / source.name / "supernet"
    supernet = prepare.prepare_supernet(source, supernets, recipe, threads=given["threads"])
    with console.progress("Loading the supernet"):
        problem = prepare.problem_of(
            source, supernet, work.board, design, objective, budget, given["images"], correction, given["fine_tuning"]
        )
    between = None
    if given["focus_epochs"]:
        with console.progress("Finding what the limits allow"):
            between = prepare.focus_of(problem)
        if between is None:
            console.say("No supernet is focused: neither limits nor the objective say for which bit operations.")
    asked = publish.asked(problem, between, given["focus_epochs"])
    if path is not None:
        publish.require_same(asked, path, folder)
    if between is not None:
        problem = prepare.focused(problem, source, supernets, between, given["focus_epochs"], threads=given["threads"])
    searched = prepare.with_room(problem)
    results = [
        _search(console, searched, one, given, seed, settings, folder / "journals") for one in dict.fromkeys(chosen)
    ]
    result = run.joined(searched, results)
    if result.best is None:
        # Where there is nothing to be found, this says why.
        repair(searched, problem.space.uniform(problem.space.weight_bits[0], problem.space.activation_bits[0]))
        raise UserError(f"{given['strategy']} found no candidate; choose another strategy.")
    written = run.write(folder, result, searches=results, cells_of=cells)
    known = content.searches(folder / "journals", searched)
    html = _report(problem, known, folder, work, result.best, cells)
    data: dict[str, Any] = {
        "name": source.name,
        "board": work.board.name,
        **run.summary(result),
        "searches": [run.summary(one) for one in results],
        "cells_of": cells,
        "html": html,
        "json": written,
    }
    shown = [*search_words.strategies(results, result.best, searched.reserve), f"The report is {html}."]
    if path is None:
        console.result(data, *shown)
        return 0
    changed = {key: given[key] for key in ("epochs", "learning_rate") if given[key] is not None}
    recipe_of_model = msgspec.structs.replace(source.recipe, **changed)
    finish = _finish(problem, work, design, name, folder, recipe_of_model, correction, given["threads"])
    best, trained = finish.best(result.evaluations, given["finalists"], console.progress)
    data["trained"] = [search_words.figures(one) for one in (best, *(each for each in trained if each is not best))]
    shown += search_words.finalists(best, trained)
    if best.exceeded:
        console.result(data, *shown, search_words.what_exceeds(best))
        return 1
    found = _verified(work, best, design)
    data |= {"vectors": found.vectors, "differences": found.differences, "first_difference": difference(found)}
    if not found:
        console.result(data, *shown, search_words.what_differs(best, found))
        return 1
    earlier = publish.earlier(path)
    _publish(work, asked, best, path, folder)
    run.write(folder, result, best.evaluation, str(path), results, trained=data["trained"], cells_of=cells)
    _report(problem, known, folder, work, best.evaluation, cells, data["trained"])
    data |= {**run.summary(result, best.evaluation, str(path)), "path": path}
    console.result(data, *shown, *search_words.published(best, found, work, path, given, earlier))
    return 0


def _list(console: Console) -> int:
    from codesign.search import strategies

    def first(name: str) -> str:
        return (strategies.load(name).__doc__ or "").strip().partition("\n")[0]

    rows = [(name, first(name), ", ".join(strategies.options(name))) for name in strategies.names()]
    data = {
        "strategies": [{"name": name, "about": about, "options": strategies.options(name)} for name, about, _ in rows]
    }
    console.result(data, table(("strategy", "about", "options"), rows))
    return 0


def _usable(console: Console, chosen: Sequence[str], every: bool, family: str) -> list[str]:
    """Return the strategies that may be used for boards of a family; refuse others, and of all leave them out."""
    from codesign.search import prepare, strategies

    evaluator = prepare.evaluator_of(family)
    found = []
    for one in chosen:
        if strategies.usable(one, evaluator):
            found.append(one)
        elif every:
            console.say(f"{one} is left out: it needs the sizes of layers, which are not known for {family}.")
        else:
            raise UserError(
                f"the strategy '{one}' needs the sizes of layers, which are not known for {family}; choose another."
            )
    return found


def _design(board: str, given: dict[str, Any], sized: bool) -> Options:
    """Return the options of the designs that are searched; those of `emit` where sizes are not known."""
    from codesign.backends.rtl.options import Options

    if not sized:
        return Options()
    own = {key: given[key] for key in ("cycles", "frames_per_second", "dsp", "lut")}
    chosen = options.given("rtl", own, board)
    return Options(**chosen, fastest="cycles" not in chosen)


def _search(
    console: Console, problem: Problem, strategy: str, given: dict[str, Any], seed: int, settings: dict[str, str],
    folder: Path,
) -> Result:  # fmt: skip
    from codesign.search import run

    with console.progress(f"Searching with {strategy}", given["evaluations"]) as advance:
        return run.search(
            problem,
            strategy,
            evaluations=given["evaluations"],
            seed=seed,
            options=settings,
            folder=folder,
            workers=given["workers"],
            progress=_progress(console, advance),
        )


def _progress(console: Console, advance: Any) -> Progress:
    told: Evaluation | None = None
    done = 0

    def progress(count: int, best: Evaluation | None) -> None:
        nonlocal told, done
        advance(count - done)
        done = count
        if best is not None and best is not told:
            told = best
            console.say(f"  after {count:,}: {search_words.candidate(best)}")

    return progress


def _report(
    problem: Problem, found: Sequence[content.Search], folder: Path, work: Work, chosen: Evaluation, cells: str | None,
    trained: Sequence[dict[str, Any]] = (),
) -> Path:  # fmt: skip
    from codesign.report import search_page
    from codesign.search import content

    shown = [{"name": Path(one["path"]).stem, **one} for one in trained]
    board = work.board.title if cells is None else f"{work.board.title}, sizes in {cells} cells"
    # It may have to measure the sensitivity first, which takes minutes.
    with work.console.progress("Writing the report"):
        return search_page.write(folder, content.collect(problem, found, work.model.name, board, chosen, shown))


def _finish(
    problem: Problem, work: Work, design: Options, name: str, folder: Path, recipe: Any,
    correction: Correction | None, threads: int,
) -> Finish:  # fmt: skip
    from codesign.search.finish import Finish

    # One place for all students of a teacher: its answers take longer to compute than to read.
    answers = Path("build") / "teacher"
    return Finish(
        problem, work.model, work.board, design, name, folder / "trained", recipe, answers, correction, threads
    )


def _verified(work: Work, best: Trained, design: Options) -> VerifyResult:
    """Compare the trained network with its hardware: in Verilator where that is, else in C."""
    import dataclasses

    from codesign.toolchain import verilator

    own = Work(best.model, work.board, work.console)
    chosen = {field.name: getattr(design, field.name) for field in dataclasses.fields(design)}
    if verilator.locate() is None:
        work.console.say("Verilator is not installed; the C simulation takes its place.")
        project = own.compiled("hls4ml")
    else:
        project = own.compiled("rtl", **chosen)
    frames, _ = own.frames(_VECTORS, 0)
    return own.verify(project, frames)


def _publish(work: Work, asked: str, best: Trained, path: Path, folder: Path) -> None:
    from codesign import data
    from codesign.search import publish
    from codesign.verify import vectors

    document = vectors.record(best.graph, data.load(best.model.dataset).x_test, _VECTORS)
    publish.publish(best.model, asked, document, path, folder)

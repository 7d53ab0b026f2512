"""How well a supernet ranks choices of widths: against the accuracy after short training of each.

    python benchmarks/search_proxy/bench.py --model digits_cnn_w3 --count 24 --epochs 3
    python benchmarks/search_proxy/bench.py --model resnet8_fp --count 8 --epochs 1 --supernet-epochs 2

All figures are on held-out training examples; test images choose nothing here and are not reported. Everything is kept
below --folder: what was interrupted continues, and a greater --count adds candidates to those that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from codesign import data, zoo
from codesign.files import atomic_write
from codesign.search.mixed_model import assignment_of, write_model
from codesign.search.space import Assignment, Space
from codesign.search.supernet import ModelEvaluator
from codesign.train import evaluate, supernet
from codesign.train.run import train
from codesign.train.supernet_draw import draw

HERE = Path(__file__).parent
SEED = 2026
MEASURES = {
    "supernet": "accuracy by the supernet, batch norm calibrated",
    "supernet_loss": "loss by the supernet (negative)",
    "uncalibrated": "accuracy by the supernet, batch norm as it was trained",
    "sensitivity": "expected rise of the loss (negative)",
    "bit_operations": "bit operations alone",
}


def candidates(space: Space, magnitudes: dict[str, np.ndarray], count: int) -> list[Assignment]:
    """Return choices of widths: as many as asked for, the same first ones for any count.

    Their bit operations spread evenly in the logarithm: of ten drawn at random, the one is taken whose bit operations
    are nearest to where the next gap is.
    """
    rng = np.random.default_rng(SEED)
    low, high = (np.log(space.bit_operations(space.uniform(bits, bits))) for bits in (2, 6))
    found = []
    for place in range(count):
        # A low-discrepancy sequence: any beginning of it is spread evenly.
        aim = low + (high - low) * ((0.5 + place * 0.6180339887) % 1)
        drawn = [
            draw(rng, magnitudes, [a.name for a in space.activations], space.weight_bits, space.activation_bits)
            for _ in range(10)
        ]
        choices = [Assignment(choice.weights, choice.activations) for choice in drawn]
        found.append(min(choices, key=lambda choice: abs(np.log(space.bit_operations(choice)) - aim)))
    return found


def trained(source: zoo.Model, chosen: Assignment, folder: Path, epochs: int, rate: float) -> dict[str, float]:
    """Return accuracy in percent and negative loss on held-out examples after training a choice for a few epochs."""
    name = f"c{chosen.digest()}"
    kept = folder / f"{name}-e{epochs}-r{rate:g}.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text()))
    assert source.recipe is not None
    recipe = msgspec.structs.replace(
        source.recipe, epochs=epochs, learning_rate=rate, warmup_epochs=0.1, ema=0.98, distillation=None
    )
    model = write_model(source, chosen, folder / f"{name}.toml", recipe=recipe)
    result = train(model, folder / name, progress=False)
    model.checkpoint_path.write_bytes(Path(result.checkpoint).read_bytes())
    dataset = data.load(model.dataset)
    _, held = dataset.split(recipe.validation, recipe.seed)
    logits = torch.from_numpy(evaluate.logits(model.build(), dataset.x_train[held], model.input_scale))
    loss = float(F.cross_entropy(logits, torch.from_numpy(dataset.y_train[held])))
    assert result.validation_accuracy is not None
    found = {"trained": result.validation_accuracy, "trained_loss": -round(loss, 6)}
    atomic_write(kept, json.dumps(found) + "\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="digits_cnn_w3")
    parser.add_argument("--count", type=int, default=8, help="candidates")
    parser.add_argument("--epochs", type=int, default=1, help="of training each candidate")
    parser.add_argument("--rate", type=float, default=0.02, help="learning rate of that")
    parser.add_argument("--supernet-epochs", type=int, default=6)
    parser.add_argument(
        "--finished", nargs="*", default=[], help="models of the same network, trained in full, to compare with"
    )
    parser.add_argument("--folder", type=Path, default=Path("build") / "search_proxy")
    arguments = parser.parse_args()
    source = zoo.load(arguments.model)
    folder = arguments.folder / source.name
    recipe = supernet.SupernetRecipe(epochs=arguments.supernet_epochs, post=True)
    supernet.train(source, folder / "supernet", recipe)
    evaluator = ModelEvaluator(arguments.model, folder / "supernet")
    plain = ModelEvaluator(arguments.model, folder / "supernet", calibration=0)
    space, sensitivity = evaluator.space, evaluator.sensitivity()
    network = source.build()
    magnitudes = {
        layer.name: network.get_submodule(layer.name).weight.detach().flatten(1).square().mean(1).sqrt().numpy()
        for layer in space.layers
    }
    rows: list[dict[str, float | str]] = []
    for chosen in candidates(space, magnitudes, arguments.count):
        begin = time.process_time()
        evaluated = evaluator.evaluate(chosen)
        seconds = time.process_time() - begin
        row: dict[str, float | str] = {
            "digest": chosen.digest(),
            "weight_bits": round(float(np.mean([np.mean(bits) for bits in chosen.weights.values()])), 2),
            "activation_bits": round(float(np.mean(list(chosen.activations.values()))), 2),
            "bit_operations": space.bit_operations(chosen),
            "supernet": round(evaluated.accuracy, 4),
            "supernet_loss": -round(evaluated.loss, 6),
            "uncalibrated": round(plain.accuracy(chosen), 4),
            "sensitivity": -round(sensitivity.rise(chosen), 6),
            "seconds": round(seconds, 3),
        }
        row |= trained(source, chosen, folder / "trained", arguments.epochs, arguments.rate)
        rows.append(row)
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    finished = []
    for name in arguments.finished:
        model = zoo.load(name)
        evaluated = evaluator.evaluate(assignment_of(model, space))
        finished.append(
            {
                "model": name,
                "supernet": round(evaluated.accuracy, 4),
                "supernet_loss": -round(evaluated.loss, 6),
                "uncalibrated": round(plain.accuracy(assignment_of(model, space)), 4),
                "sensitivity": -round(sensitivity.rise(assignment_of(model, space)), 6),
                "trained": model.measured.validation_accuracy,
            }
        )
        print(finished[-1], flush=True)
    ranks = {
        answer: {
            name: round(float(spearmanr([row[name] for row in rows], [row[answer] for row in rows]).statistic), 3)
            for name in MEASURES
        }
        for answer in ("trained", "trained_loss")
    }
    path = HERE / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    settings = {"epochs": arguments.epochs, "rate": arguments.rate, "supernet_epochs": arguments.supernet_epochs}
    results[source.name] = settings | {
        "held_out": len(evaluator._loaded.held),
        "spearman": ranks,
        "rows": rows,
        "finished": finished,
    }
    atomic_write(path, json.dumps(results, indent=1) + "\n")
    for name, words in MEASURES.items():
        print(f"{ranks['trained'][name]:+.2f} {ranks['trained_loss'][name]:+.2f}  {words}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

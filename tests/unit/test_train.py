"""Training: the same run from the same seed, whatever interrupts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from codesign import data, resources, zoo
from codesign.errors import DivergedError, UserError
from codesign.train import checkpoint, distillation, precision, run
from codesign.train.batches import Augmentation
from codesign.train.progress import Progress
from codesign.train.recipe import Distillation, Recipe
from codesign.train.run import STATE, train

TOML = """
title = "test"
framework = "brevitas"
dataset = "digits"
topology = "digits_cnn"
input_scale = 0.0625

[topology_options]
channels = 4

[widths]
weight_bits = {bits}
activation_bits = {bits}

[recipe]
epochs = {epochs}
batch = 64
learning_rate = 0.05
warmup_epochs = 0.5
weight_decay = 1e-4
ema = 0.98
crop_padding = 1
validation = 100
seed = {seed}
{more}
"""


def model(folder: Path, name: str = "tiny", bits: int = 3, epochs: int = 3, seed: int = 1, more: str = "") -> zoo.Model:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(TOML.format(bits=bits, epochs=epochs, seed=seed, more=more))
    return zoo.read(path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Digest of the weights that three epochs give, and where they are."""
    folder = tmp_path_factory.mktemp("undisturbed")
    result = train(model(folder), folder / "run", progress=False)
    return result.checkpoint_sha256, folder


def test_precision_is_that_of_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def spied(wanted: precision.Precision) -> torch.autocast:
        asked.append(wanted)
        return torch.autocast("cpu", enabled=False)

    monkeypatch.setattr(precision, "autocast", spied)
    train(model(tmp_path, epochs=1, more='precision = "bfloat16"'), tmp_path / "run", progress=False)
    assert {"bfloat16", "float32"} == set(asked)  # of the training; of the evaluation


def test_the_same_seed_gives_the_same_run(tmp_path: Path, undisturbed: tuple[str, Path]) -> None:
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = train(model(tmp_path), tmp_path / "run", progress=False)
    assert again.checkpoint_sha256 == undisturbed[0]
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers are left alone"
    other = train(model(tmp_path, seed=2), tmp_path / "other", progress=False)
    assert other.checkpoint_sha256 != undisturbed[0]


def test_the_result_says_what_was_measured(undisturbed: tuple[str, Path]) -> None:
    folder = undisturbed[1]
    result = train(model(folder), folder / "run", progress=False)
    assert result.checkpoint_sha256 == undisturbed[0] == checkpoint.sha256(Path(result.checkpoint))
    assert result.images == 360
    assert result.epochs == 3
    assert result.validation_accuracy is not None
    # Weights, biases and batch norm factors of 4 channels.
    assert result.parameters == 36 + 8 + 36 + 8 + 32 + 16 + 320 + 10
    assert result.macs == 64 * 36 + 16 * 36 + 16 * 32 + 320
    trained = model(folder)
    (folder / "tiny.safetensors").write_bytes(Path(result.checkpoint).read_bytes())
    digits = data.load("digits")
    from codesign.train.evaluate import accuracy

    assert accuracy(trained.build(), digits.x_test, digits.y_test, 1 / 16) == pytest.approx(result.float_accuracy)


@pytest.mark.parametrize("steps", [0, 7, 20, 43])
def test_ctrl_c_at_any_step_can_be_continued(
    steps: int, tmp_path: Path, undisturbed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0

    def interrupt(self: Progress) -> None:
        nonlocal counted
        counted += 1
        if counted > steps:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", interrupt)
        with pytest.raises(UserError, match=rf"stopped after {steps // 20} of 3 epochs; the same command continues it"):
            train(model(tmp_path), tmp_path / "run", progress=False)
    result = train(model(tmp_path), tmp_path / "run", progress=False)
    assert result.checkpoint_sha256 == undisturbed[0]


def test_a_killed_process_is_continued(tmp_path: Path, undisturbed: tuple[str, Path]) -> None:
    program = (
        "import sys; from codesign import zoo; from codesign.train.run import train; "
        "train(zoo.load(sys.argv[1]), sys.argv[2])"
    )
    model(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "tiny.toml"), str(tmp_path / "run")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 1/3" in line:
            break
    time.sleep(np.random.default_rng().uniform(0, 0.15))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert (tmp_path / "run" / STATE).is_file()
    result = train(model(tmp_path), tmp_path / "run", progress=False)
    assert result.checkpoint_sha256 == undisturbed[0]


def test_a_finished_training_is_not_repeated_unless_asked(
    tmp_path: Path, undisturbed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(model(tmp_path), tmp_path / "run", progress=False)
    epochs = []
    monkeypatch.setattr(run.Training, "_one_epoch", lambda self: epochs.append(self.epoch) or self._count())
    monkeypatch.setattr(run.Training, "_count", lambda self: setattr(self, "epoch", self.epoch + 1), raising=False)
    assert train(model(tmp_path), tmp_path / "run", progress=False).checkpoint_sha256 == undisturbed[0]
    assert epochs == []
    train(model(tmp_path), tmp_path / "run", resume=False, progress=False)
    assert epochs == [0, 1, 2]


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    train(model(tmp_path, epochs=1), tmp_path / "run", progress=False)
    with pytest.raises(UserError, match="with another recipe"):
        train(model(tmp_path, epochs=2), tmp_path / "run", progress=False)


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    train(model(tmp_path, epochs=1), tmp_path / "run", progress=False)
    state = tmp_path / "run" / STATE
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"state\.safetensors is damaged"):
        train(model(tmp_path, epochs=1), tmp_path / "run", progress=False)


def test_quantised_training_starts_from_float_weights(tmp_path: Path) -> None:
    teacher = model(tmp_path, "floating", bits=32, epochs=4)
    result = train(teacher, tmp_path / "floating", progress=False)
    student = model(tmp_path, "student", epochs=1, more='init_from = "floating"')
    with pytest.raises(UserError, match=r"no checkpoint .*floating\.safetensors; train the model first"):
        train(student, tmp_path / "student", progress=False)
    (tmp_path / "floating.safetensors").write_bytes(Path(result.checkpoint).read_bytes())
    cold = train(model(tmp_path, "cold", epochs=1), tmp_path / "cold", progress=False)
    warm = train(student, tmp_path / "student", progress=False)
    assert warm.validation_accuracy > cold.validation_accuracy + 5


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    result = train(model(folder, "teacher", bits=32, epochs=2), folder / "teacher", progress=False)
    (folder / "teacher.safetensors").write_bytes(Path(result.checkpoint).read_bytes())
    return folder


DISTIL = '[recipe.distillation]\nteacher = "teacher"\npool = 2'


@pytest.mark.parametrize("more", ['init_from = "teacher"', DISTIL])
@pytest.mark.parametrize(("old", "new"), [("seed = 1", "seed = 2"), ("validation = 100", "validation = 90")])
def test_held_out_examples_were_seen_by_no_other_model(
    taught: Path, tmp_path: Path, more: str, old: str, new: str
) -> None:
    for name in ("teacher.toml", "teacher.safetensors"):
        (tmp_path / name).write_bytes((taught / name).read_bytes())
    student = model(tmp_path, "student", epochs=1, more=more)
    path = Path(student.path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError) as caught:
        train(zoo.read(path), tmp_path / "run", progress=False)
    for word in ("student", "teacher", "recipe.validation", "recipe.seed", new.split()[-1], "100 with seed 1"):
        assert word in str(caught.value)
    assert not list(tmp_path.rglob("student.safetensors"))


def test_models_of_the_package_hold_out_what_their_teachers_do() -> None:
    checked = 0
    for path in resources.folder("models").glob("*.toml"):
        own = zoo.read(path)
        assert own.recipe is not None
        teacher = own.recipe.distillation and own.recipe.distillation.teacher
        for other in filter(None, (own.recipe.init_from, teacher)):
            run._require_same_split(own, own.recipe, own.sibling(other), "teacher")
            checked += 1
    assert checked >= 4


def test_a_student_asks_its_teacher_once(taught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = distillation.logits
    monkeypatch.setattr(distillation, "logits", lambda *a, **k: asked.append(1) or original(*a, **k))
    student = model(taught, "student", epochs=3, more=DISTIL)
    first = train(student, taught / "runs" / "student", progress=False)
    # Six batches of 250 for each of the two cycles.
    assert len(asked) == 12
    again = train(student, taught / "runs" / "again", progress=False)
    assert len(asked) == 12
    assert again.checkpoint_sha256 == first.checkpoint_sha256
    # A damaged answer is computed anew.
    answers = sorted((taught / "runs").glob("teacher/*/*.safetensors"))
    assert len(answers) == 2
    answers[0].write_bytes(b"damaged")
    assert train(student, taught / "runs" / "third", progress=False).checkpoint_sha256 == first.checkpoint_sha256
    assert len(asked) == 18


def test_a_loss_that_explodes_is_reported(tmp_path: Path) -> None:
    path = model(tmp_path, bits=32).path
    text = Path(path).read_text().replace("learning_rate = 0.05", "learning_rate = 1e30")
    Path(path).write_text(text)
    with pytest.raises(DivergedError, match=r"no longer finite in epoch 1; lower recipe\.learning_rate"):
        train(zoo.read(Path(path)), tmp_path / "run", progress=False)


def test_a_model_without_a_recipe(tmp_path: Path) -> None:
    path = Path(model(tmp_path).path)
    path.write_text(path.read_text().split("[recipe]")[0])
    with pytest.raises(UserError, match="no \\[recipe\\] section"):
        train(zoo.read(path), tmp_path / "run", progress=False)


def test_half_precision_storage_is_what_was_measured(tmp_path: Path) -> None:
    small = model(tmp_path, bits=32, epochs=1, more='storage = "float16"')
    result = train(small, tmp_path / "run", progress=False)
    tensors, _ = checkpoint.read(Path(result.checkpoint))
    assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {torch.float16}
    (tmp_path / "tiny.safetensors").write_bytes(Path(result.checkpoint).read_bytes())
    assert {p.dtype for p in small.build().parameters()} == {torch.float32}


def test_adam_resumes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adam = model(tmp_path, epochs=2, more='optimizer = "adam"\nprecision = "bfloat16"')
    whole = train(adam, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        original = run.Training._one_epoch

        def once(self: run.Training) -> None:
            if self.epoch:
                raise KeyboardInterrupt
            original(self)

        patch.setattr(run.Training, "_one_epoch", once)
        with pytest.raises(UserError, match="stopped after 1 of 2"):
            train(adam, tmp_path / "parts", progress=False)
    assert train(adam, tmp_path / "parts", progress=False).checkpoint_sha256 == whole.checkpoint_sha256


def test_progress_is_a_line_per_epoch_away_from_a_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(model(tmp_path, epochs=2), tmp_path / "run", progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("tiny: epoch ")]
    assert len(lines) == 2
    assert "validation" in lines[1]


def test_the_recipe_knows_its_limits() -> None:
    with pytest.raises(msgspec.ValidationError, match="epochs"):
        msgspec.convert({"epochs": 0, "learning_rate": 0.1}, Recipe)
    with pytest.raises(msgspec.ValidationError, match="temperature"):
        msgspec.convert({"teacher": "t", "temperature": 0}, Distillation)


@pytest.mark.parametrize(("pool", "cycles"), [(None, [0, 1, 2]), (2, [0, 1, 0])])
def test_each_epoch_has_an_augmentation_of_its_own(
    pool: int | None, cycles: list[int], tmp_path: Path, taught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until those of a teacher's pool come again."""
    seen: dict[int | None, np.ndarray] = {}
    original = run.Training._input

    def noted(self: run.Training, index: np.ndarray) -> torch.Tensor:
        # The first examples as the epoch has them, whatever their order.
        seen.setdefault(getattr(self, "epoch", None), self.augmentation.take(np.arange(40)))
        return original(self, index)

    monkeypatch.setattr(run.Training, "_input", noted)
    more = "" if pool is None else DISTIL.replace("pool = 2", f"pool = {pool}")
    student = model(taught, "student" if pool else "alone", more=more)
    train(student, tmp_path / "run", progress=False)
    same = [[np.array_equal(seen[one], seen[other]) for other in range(3)] for one in range(3)]
    assert same == [[one == other for other in cycles] for one in cycles]


def test_augmentation_of_an_example_depends_on_nothing_else() -> None:
    x = np.random.default_rng(0).integers(1, 255, (50, 6, 6, 2), dtype=np.uint8)
    augmentation = Augmentation(x, 2, True, seed=5)
    augmentation.start(3)
    alone = augmentation.take(np.array([7]))[0]
    assert np.array_equal(augmentation.take(np.array([9, 7, 1]))[1], alone)
    other = Augmentation(x, 2, True, seed=5)
    other.start(3)
    assert np.array_equal(other.take(np.arange(50)), augmentation.take(np.arange(50)))
    other.start(4)
    assert not np.array_equal(other.take(np.arange(50)), augmentation.take(np.arange(50)))


def test_crops_and_mirrors_are_those_of_the_image() -> None:
    x = np.random.default_rng(1).integers(1, 255, (200, 5, 5, 1), dtype=np.uint8)
    augmentation = Augmentation(x, 1, True, seed=0)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = set()
    for index, image in enumerate(augmentation.take(np.arange(200))):
        windows = {
            (top, left, mirror): padded[index, top : top + 5, left : left + 5][:, :: -1 if mirror else 1]
            for top in range(3)
            for left in range(3)
            for mirror in (False, True)
        }
        matches = [key for key, window in windows.items() if np.array_equal(window, image)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) == 18

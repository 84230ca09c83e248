"""Adversarial training: its losses, its exact continuation, its grids, and how it fails."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import GAP_KEY, TILE_KEY
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.requests import drop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.contract.settings.tasks import AdversarialConfiguration
from torchtty.engine.data.images import Pictures
from torchtty.engine.training.adversarial import AdversarialTask
from torchtty.engine.training.checkpoint import latest_step, read_checkpoint
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.metrics import Diverged
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.estimate import prepare
from torchtty.engine.worker.requests import Dispatcher

MakeLoop = Callable[..., Loop]
TINY = {"model__n_generator": 8, "model__n_discriminator": 8, "training__batch_size": 4, "sampling__count": 4}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve small pictures of noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (12, 32, 32), np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def tiny_loop(loop_for: MakeLoop, pictures: Path) -> MakeLoop:
    def make(*, run: RunDirectory | None = None, **flags: Any) -> Loop:
        return loop_for("dcgan", run=run, data=pictures, **(TINY | flags))

    return make


def tiny_task(**flags: str) -> AdversarialTask:
    settings = {name.replace("__", "."): str(value) for name, value in TINY.items()} | {"training.device": "cpu"}
    configuration = with_flags(starting_tree("dcgan"), settings | {n.replace("__", "."): v for n, v in flags.items()})
    assert isinstance(configuration, AdversarialConfiguration)
    noise = np.random.default_rng(1).integers(0, 256, (12, 1, 32, 32), np.uint8)
    return AdversarialTask(configuration, Pictures("noise", noise))


def rows(run: RunDirectory) -> list[dict[str, Any]]:
    return JsonLinesTail(run.metrics_path).read()


def events(run: RunDirectory, kind: str) -> list[dict[str, Any]]:
    return [row for row in JsonLinesTail(run.events_path).read() if row["event"] == kind]


def finish(loop: Loop) -> RunState:
    state = loop.train()
    loop.writer.flush()
    return state


class TestTheStep:
    def test_the_losses_are_the_cross_entropies_of_the_discriminator(self) -> None:
        task = tiny_task()
        twin = tiny_task()
        with torch.no_grad():
            noise, real = twin.next_batch()
            drawn = twin.model.generator(noise)
            of_real, of_drawn = twin.model.discriminator(real).sigmoid(), twin.model.discriminator(drawn).sigmoid()
        metrics = {name: float(value) for name, value in task.train_step(0).items()}
        expected = -float(of_real.log().mean()) - float((1 - of_drawn).log().mean())
        assert metrics["loss_d"] == pytest.approx(expected, rel=1e-5)
        assert metrics["d_real"] == pytest.approx(float(of_real.mean()), rel=1e-5)
        assert metrics["d_fake"] == pytest.approx(float(of_drawn.mean()), rel=1e-5)
        assert set(metrics) == {"loss_d", "loss_g", "d_real", "d_fake", "d_fake_after", "learning_rate"}

    def test_the_discriminator_s_step_makes_it_doubt_the_drawn_ones(self) -> None:
        metrics = tiny_task(optimizer__learning_rate="0.01").train_step(0)
        assert metrics["d_fake_after"] < metrics["d_fake"]

    def test_either_step_moves_its_own_network_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for stays, moves in (("generator", "discriminator"), ("discriminator", "generator")):
            task = tiny_task()
            monkeypatch.setattr(task.optimizers[stays], "step", lambda: None)
            before = {name: weight.clone() for name, weight in task.model.named_parameters()}
            task.train_step(0)
            changed = {n.partition(".")[0] for n, w in task.model.named_parameters() if not torch.equal(w, before[n])}
            assert changed == {moves}

    def test_pictures_are_learnt_from_between_minus_one_and_one(self) -> None:
        task = tiny_task()
        assert task.pictures is not None
        assert task.pictures.dtype == torch.uint8
        drawn = task._real(torch.arange(12))
        assert -1 <= float(drawn.min()) < -0.9
        assert 0.9 < float(drawn.max()) <= 1


def ask(loop: Loop, request: commands.Sample) -> None:
    """Have a request obeyed by a loop that does not train."""
    drop(loop.run.inbox, request)
    assert isinstance(loop.requests, Dispatcher)
    loop.requests.obey_all()


class TestTheRun:
    def test_metrics_are_logged_and_losses_averaged(self, tiny_loop: MakeLoop) -> None:
        fine = tiny_loop(training__max_steps=4, training__log_interval=1, sampling__interval=0)
        coarse = tiny_loop(training__max_steps=4, training__log_interval=4, sampling__interval=0)
        assert finish(fine) is finish(coarse) is RunState.FINISHED
        for name in ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after"):
            mean = sum(row[name] for row in rows(fine.run)) / 4
            assert rows(coarse.run)[-1][name] == pytest.approx(mean, rel=1e-5)

    def test_the_status_has_the_latest_losses_of_both(self, tiny_loop: MakeLoop) -> None:
        loop = tiny_loop(training__max_steps=4, training__log_interval=2, sampling__interval=0)
        finish(loop)
        last, status = rows(loop.run)[-1], loop.writer.status
        assert (status.metrics["loss_d"], status.metrics["loss_g"]) == (last["loss_d"], last["loss_g"])

    def test_a_continued_run_is_the_uninterrupted_one_bit_for_bit(self, tiny_loop: MakeLoop) -> None:
        flags = {"training__log_interval": 1, "training__checkpoint_interval": 3, "sampling__interval": 2}
        whole = tiny_loop(training__max_steps=8, **flags)
        finish(whole)
        halved = tiny_loop(training__max_steps=5, **flags)
        finish(halved)
        torch.manual_seed(999)  # whatever another process had drawn before
        rest = tiny_loop(run=halved.run)
        rest.restore(read_checkpoint(halved.run, latest_step(halved.run, resumable=True), with_training=True), None)
        rest.edit("training.max_steps", 8)
        finish(rest)
        names = ("loss_d", "loss_g", "d_real", "d_fake", "d_fake_after")
        curves = [{row["step"]: tuple(row[n] for n in names) for row in rows(loop.run)} for loop in (whole, rest)]
        assert curves[0] == curves[1]
        for name, weight in whole.task.weights().items():
            assert torch.equal(weight, rest.task.weights()[name]), name
        assert (whole.run.media / "fixed-000008.png").read_bytes() == (rest.run.media / "fixed-000008.png").read_bytes()

    def test_drawing_in_mid_run_changes_nothing(self, tiny_loop: MakeLoop) -> None:
        quiet, busy = (tiny_loop(training__max_steps=4, training__log_interval=1, sampling__interval=i) for i in (0, 1))
        ask(busy, commands.Sample(id="a", seed=3))
        finish(quiet)
        finish(busy)
        assert [row["loss_g"] for row in rows(quiet.run)] == [row["loss_g"] for row in rows(busy.run)]
        for name, weight in quiet.task.weights().items():  # with them the running means of the batch norms
            assert torch.equal(weight, busy.task.weights()[name]), name

    def test_a_loss_that_is_no_number_ends_it(self, tiny_loop: MakeLoop) -> None:
        loop = tiny_loop(training__max_steps=50, training__log_interval=1, sampling__interval=0)
        with torch.no_grad():
            loop.task.weights()["generator.layers.0.weight"].fill_(math.nan)
        with pytest.raises(Diverged, match="stopped being a finite number"):
            loop.train()

    def test_weights_of_another_size_are_refused(self) -> None:
        other = tiny_task(model__n_latent="7").weights()
        with pytest.raises(Exception, match="belong to another model"):
            tiny_task().load_weights(other)


class TestGrids:
    def test_one_of_real_pictures_and_one_of_the_same_noise_every_interval(self, tiny_loop: MakeLoop) -> None:
        loop = tiny_loop(training__max_steps=5, sampling__interval=2, sampling__count=9)
        finish(loop)
        found = {(event["path"], event["source"]) for event in events(loop.run, "images")}
        steps = {(f"media/fixed-{step:06d}.png", "fixed") for step in (0, 2, 4, 5)}
        assert found == steps | {("media/real.png", "real")}
        assert {path.name for path in loop.run.media.iterdir()} == {Path(path).name for path, _ in found}
        with Image.open(loop.run.media / "fixed-000005.png") as grid:
            assert grid.size == (3 * 32 + 2 * 2, 3 * 32 + 2 * 2)
            assert grid.mode == "L"
            assert (grid.info[TILE_KEY], grid.info[GAP_KEY]) == ("32", "2")

    def test_the_real_ones_are_those_learnt_from(self, tiny_loop: MakeLoop, pictures: Path) -> None:
        loop = tiny_loop(training__max_steps=1, sampling__count=1)
        finish(loop)
        shown = np.asarray(Image.open(loop.run.media / "real.png"))
        assert any(np.array_equal(shown, np.asarray(Image.open(path))) for path in pictures.iterdir())

    def test_a_sample_is_a_grid_of_the_noise_of_its_seed(self, tiny_loop: MakeLoop) -> None:
        loop = tiny_loop()
        for name, seed in (("a", 5), ("b", 6)):
            ask(loop, commands.Sample(id=name, seed=seed, count=2))
        drawn = [event for event in events(loop.run, "images") if event["source"] == "fresh"]
        assert [event["id"] for event in drawn] == ["a", "b"]
        one, other = ((loop.run.path / event["path"]).read_bytes() for event in drawn)
        assert one != other
        ask(loop, commands.Sample(id="c", seed=5, count=2))
        assert (loop.run.path / drawn[0]["path"]).read_bytes() == one
        end = events(loop.run, "answered")[0]
        assert end["sample"]["texts"] == [str(loop.run.path / drawn[0]["path"])]

    def test_a_larger_grid_begins_with_the_pictures_of_the_smaller(self) -> None:
        small, large = tiny_task(sampling__count="3"), tiny_task(sampling__count="70")
        # Passes of other sizes round differently, by at most one of 255 greys.
        difference = small.fixed_pictures().astype(int) - large.fixed_pictures()[:3]
        assert np.abs(difference).max() <= 1

    def test_a_disk_that_refuses_is_reported_and_ends_nothing(self, tiny_loop: MakeLoop) -> None:
        loop = tiny_loop(training__max_steps=2, sampling__interval=1)
        loop.run.media.rmdir()
        loop.run.media.write_text("a file where the folder was")
        assert finish(loop) is RunState.FINISHED
        assert "could not be written" in events(loop.run, "warning")[0]["message"]


class TestPreparation:
    def test_it_counts_and_times(self) -> None:
        answer = prepare(
            with_flags(starting_tree("dcgan"), {"model.n_generator": "8", "training.device": "cpu"}).tree()
        )
        assert answer["parameters"] == sum(p.numel() for p in tiny_task(model__n_discriminator="32").model.parameters())
        assert answer["seconds_per_step"] > 0
        assert any("1,797 pictures" in note for note in answer["notes"])

    def test_a_missing_folder_is_a_problem_of_the_dataset(self) -> None:
        answer = prepare(with_flags(starting_tree("dcgan"), {"data.dataset": "/nowhere"}).tree())
        assert answer["problems"][0][0] == "data.dataset"


def test_a_model_without_its_pictures_still_draws(tiny_loop: MakeLoop, pictures: Path) -> None:
    configuration = tiny_loop().configuration
    for path in pictures.iterdir():
        path.unlink()
    task = build_task(configuration, data_may_be_gone=True)
    assert isinstance(task, AdversarialTask)
    assert task.fresh_pictures(3, seed=1).shape == (3, 32, 32, 1)
    assert task.real_pictures() is None

"""The loop: what it writes, how it obeys, and how it ends."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import RunLog, settings_in_force
from torchtty.engine.contract.run.requests import drop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.sampling.text import SampleResult
from torchtty.engine.training.checkpoint import latest_step, read_checkpoint
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.metrics import Diverged
from torchtty.engine.training.task import build_task

MakeLoop = Callable[..., Loop]


def metrics(run: RunDirectory, name: str = "train_loss") -> dict[int, float]:
    return {row["step"]: row[name] for row in JsonLinesTail(run.metrics_path).read() if name in row}


def events(run: RunDirectory, kind: str) -> list[dict[str, Any]]:
    return [row for row in JsonLinesTail(run.events_path).read() if row["event"] == kind]


def samples(run: RunDirectory) -> list[dict[str, Any]]:
    """The samples that were drawn, with the ids of their requests."""
    return [row["sample"] | {"id": row["id"]} for row in events(run, "answered") if row["request"] == "sample"]


def finish(loop: Loop) -> RunState:
    state = loop.train()
    loop.writer.flush()
    return state


def continued(loop_for: MakeLoop, run: RunDirectory) -> Loop:
    """A fresh loop, as another process would make it, at the run's latest checkpoint."""
    torch.manual_seed(999)  # whatever another process had drawn before
    loop = loop_for(run=run)
    saved = read_checkpoint(run, latest_step(run, resumable=True), with_training=True)
    loop.restore(saved, None)
    return loop


class TestTraining:
    def test_the_loss_falls_and_every_logged_step_is_there(self, loop_for: MakeLoop) -> None:
        loop = loop_for("gpt", training__max_steps=60, training__log_interval=5, optimizer__learning_rate=0.01)
        assert finish(loop) is RunState.FINISHED
        curve = metrics(loop.run)
        assert sorted(curve) == [1, *range(5, 61, 5)]
        assert curve[60] < curve[5] - 0.5

    def test_the_last_step_is_logged_though_its_stretch_is_short(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__log_interval=4, training__max_steps=10)
        finish(loop)
        assert sorted(metrics(loop.run)) == [1, 4, 8, 10]

    def test_a_logged_loss_is_the_mean_since_the_last_one(self, loop_for: MakeLoop) -> None:
        fine = loop_for("mlp", training__log_interval=1, training__max_steps=4)
        coarse = loop_for("mlp", training__log_interval=4, training__max_steps=4)
        finish(fine)
        finish(coarse)
        assert metrics(coarse.run)[4] == pytest.approx(sum(metrics(fine.run).values()) / 4, rel=1e-6)

    def test_evaluations_come_at_the_start_at_the_interval_and_at_the_end(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__max_steps=25, training__eval_interval=10)
        finish(loop)
        assert sorted(metrics(loop.run, "val_loss")) == [0, 10, 20, 25]
        assert [row["step"] for row in events(loop.run, "evaluation")] == [0, 10, 20, 25]

    def test_the_same_seed_gives_the_same_curve_and_another_seed_another(self, loop_for: MakeLoop) -> None:
        curves = []
        for seed in (1, 1, 2):
            loop = loop_for("gpt", training__seed=seed, model__dropout=0.2)
            finish(loop)
            curves.append(metrics(loop.run))
        assert curves[0] == curves[1]
        assert curves[0] != curves[2]

    def test_the_first_loss_of_a_gpt_is_chance(self, loop_for: MakeLoop) -> None:
        loop = loop_for("gpt", training__max_steps=1)
        finish(loop)
        assert metrics(loop.run)[1] == pytest.approx(math.log(loop.task.facts.vocab_size), abs=0.05)

    def test_sampling_and_evaluating_change_nothing_in_training(self, loop_for: MakeLoop) -> None:
        plain = loop_for("gpt", model__dropout=0.3, sampling__interval=0, training__eval_interval=1000)
        finish(plain)  # before the next is built: dropout draws from the one generator of this process
        busy = loop_for("gpt", model__dropout=0.3, sampling__interval=2, training__eval_interval=3)
        finish(busy)
        assert metrics(plain.run) == metrics(busy.run)

    def test_counting_reports_the_loss_over_the_whole_text(self, loop_for: MakeLoop, corpora: Path) -> None:
        loop = loop_for("ngram", data=corpora / "names.txt", model__n=2, model__smoothing=0)
        assert finish(loop) is RunState.FINISHED
        assert metrics(loop.run, "whole_loss")[1] == pytest.approx(2.4540, abs=5e-5)

    def test_counting_with_one_added_reports_the_published_figure(self, loop_for: MakeLoop, corpora: Path) -> None:
        loop = loop_for("ngram", data=corpora / "names.txt", model__n=2, model__smoothing=1)
        finish(loop)
        assert metrics(loop.run, "whole_loss")[1] == pytest.approx(2.4546, abs=5e-5)


class TestResuming:
    @pytest.mark.parametrize("kind", ["mlp", "gpt"])
    def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(self, kind: str, loop_for: MakeLoop) -> None:
        flags: dict[str, Any] = {"training__max_steps": 40, "training__log_interval": 3, "sampling__interval": 7}
        flags |= {"model__dropout": 0.2} if kind == "gpt" else {"optimizer__momentum": 0.9}
        whole = loop_for(kind, **flags)
        finish(whole)
        broken = loop_for(kind, **flags)
        drop(broken.run.inbox, commands.Sample(id="a", seed=None, count=2))
        stop_after(broken, 17)
        assert finish(broken) is RunState.STOPPED
        again = continued(loop_for, broken.run)
        assert again.step == 17
        assert finish(again) is RunState.FINISHED
        assert metrics(again.run) == metrics(whole.run)
        assert metrics(again.run, "val_loss") == metrics(whole.run, "val_loss")
        for name, tensor in whole.task.weights().items():
            assert torch.equal(tensor, again.task.weights()[name]), name

    def test_a_finished_run_goes_on_with_more_steps(self, loop_for: MakeLoop) -> None:
        flags: dict[str, Any] = {"schedule__kind": "constant", "training__log_interval": 5}
        whole = loop_for("gpt", training__max_steps=30, **flags)
        finish(whole)
        short = loop_for("gpt", training__max_steps=15, **flags)
        finish(short)
        again = continued(loop_for, short.run)
        again.edit("training.max_steps", 30)
        assert finish(again) is RunState.FINISHED
        assert again.step == 30
        assert metrics(again.run)[30] == metrics(whole.run)[30]
        assert settings_in_force(short.run)["training"]["max_steps"] == 30

    def test_a_checkpoint_appears_only_after_the_rows_up_to_its_step(
        self, loop_for: MakeLoop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        intervals = {"training__log_interval": 1, "training__checkpoint_interval": 6, "training__eval_interval": 4}
        loop = loop_for("mlp", **intervals)
        monkeypatch.setattr(
            "torchtty.engine.training.run_writer.FLUSH_INTERVAL", math.inf
        )  # nothing is written by chance
        rename, appeared = Path.rename, dict[int, list[int]]()

        def renamed(path: Path, target: Path) -> Path:
            if target.name.isdigit():  # what a worker that is killed right after this leaves behind
                appeared[int(target.name)] = [row["step"] for row in JsonLinesTail(loop.run.metrics_path).read()]
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", renamed)
        loop.train()
        assert {6, 12, 18, 20} <= appeared.keys()
        for step, rows in appeared.items():
            assert set(rows) >= set(range(1, step + 1))

    def test_the_best_weights_and_the_latest_two_are_kept(self, loop_for: MakeLoop) -> None:
        loop = loop_for(
            "mlp",
            training__max_steps=50,
            training__checkpoint_interval=10,
            training__eval_interval=5,
            optimizer__learning_rate=0.5,
        )
        finish(loop)
        assert loop.checkpoints.best is not None
        best = loop.run.best_step()
        assert best == loop.checkpoints.best[0]
        assert set(loop.run.checkpoints()) == {best, 40, 50}
        weights = read_checkpoint(loop.run, best, with_training=False).weights
        loop.task.load_weights(weights)
        assert loop.task.evaluate()["val_loss"] == pytest.approx(loop.checkpoints.best[1], rel=1e-6)


def stop_after(loop: Loop, steps: int) -> None:
    """Let a stop command arrive exactly before a step, whatever the clock says."""
    step = loop.task.train_step

    def counted(number: int) -> Any:
        if number + 1 == steps:
            loop.requests.stop_requested = True
        return step(number)

    loop.task.train_step = counted  # type: ignore[method-assign]


class TestCommands:
    def test_an_edit_changes_the_learning_rate_from_then_on(self, loop_for: MakeLoop) -> None:
        loop = loop_for("gpt", schedule__kind="constant", training__log_interval=1, training__max_steps=10)
        loop.edit("optimizer.learning_rate", 0.02)
        finish(loop)
        assert set(metrics(loop.run, "learning_rate").values()) == {0.02}
        assert events(loop.run, "edit")[0]["old"] == 0.001
        assert loop.run.configuration().tree()["optimizer"]["learning_rate"] == 0.001
        assert settings_in_force(loop.run)["optimizer"]["learning_rate"] == 0.02

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("model.n_layer", 3),
            ("optimizer.learning_rate", -1.0),
            ("optimizer.learning_rate", True),
            ("optimizer.learning_rate", "0.1"),
            ("training.max_steps", 30.0),
            ("nothing.here", 1),
        ],
    )
    def test_an_edit_that_cannot_be_is_refused_with_a_reason(self, loop_for: MakeLoop, path: str, value: float) -> None:
        loop = loop_for("gpt")
        before = loop.configuration
        drop(loop.run.inbox, commands.Edit(path=path, value=value))
        finish(loop)
        assert loop.configuration == before
        [failed] = events(loop.run, "failed")
        assert failed["request"] == "edit"
        assert path.split(".")[0] in failed["message"]
        log = RunLog(loop.run)
        log.read()
        assert log.facts.warnings == (failed["message"],), (
            "the app shows it as a warning: nobody waits for an edit's answer"
        )

    def test_an_edit_may_make_this_step_the_last_and_no_earlier_one(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__max_steps=1000, training__eval_interval=100, training__log_interval=4)
        train_step = loop.task.train_step

        def edited(step: int) -> Any:
            if step + 1 == 10:  # of the steps done when the loop looks for requests next
                drop(loop.run.inbox, commands.Edit(path="training.max_steps", value=9))
                drop(loop.run.inbox, commands.Edit(path="training.max_steps", value=10))
                loop.requests._looked = 0.0  # type: ignore[attr-defined]
            return train_step(step)

        loop.task.train_step = edited  # type: ignore[method-assign]
        assert finish(loop) is RunState.FINISHED
        assert loop.step == loop.writer.status.max_steps == 10
        [failed] = events(loop.run, "failed")
        assert "training.max_steps cannot be 9: the run has done 10 steps" in failed["message"]
        assert sorted(metrics(loop.run, "val_loss")) == [0, 10], (
            "the last step is evaluated, whenever it became the last"
        )
        assert sorted(metrics(loop.run)) == [1, 4, 8, 10]

    def test_a_run_that_is_given_more_steps_while_it_ends_goes_on(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__max_steps=6, training__eval_interval=4, training__log_interval=4)
        train_step = loop.task.train_step

        def edited(step: int) -> Any:
            if step + 1 == 6:  # too late for the loop's own look: it is read after the last samples
                drop(loop.run.inbox, commands.Edit(path="training.max_steps", value=9))
            return train_step(step)

        loop.task.train_step = edited  # type: ignore[method-assign]
        assert finish(loop) is RunState.FINISHED
        assert loop.step == 9
        assert sorted(metrics(loop.run, "val_loss")) == [0, 4, 6, 8, 9]
        assert [row["state"] for row in events(loop.run, "state")][-1] == "finished"

    def test_settings_of_a_run_that_is_over_stay_as_they_are(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__max_steps=2)
        finish(loop)
        drop(loop.run.inbox, commands.Edit(path="optimizer.learning_rate", value=0.5))
        loop.requests.obey_all()  # type: ignore[attr-defined]
        [failed] = events(loop.run, "failed")
        assert "the run is finished. Resume it with another value" in failed["message"]
        assert events(loop.run, "edit") == []

    def test_a_command_that_is_no_command_is_reported_and_training_goes_on(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp")
        (loop.run.inbox / "1.json").write_text('{"type": "explode"}')
        (loop.run.inbox / "2.json").write_text('{"type": "stop"')
        assert finish(loop) is RunState.FINISHED
        assert len(events(loop.run, "warning")) == 2

    def test_a_sample_says_which_names_are_known(self, loop_for: MakeLoop) -> None:
        loop = loop_for("ngram", model__n=5, model__smoothing=0)
        finish(loop)
        sample = samples(loop.run)[-1]
        names = loop.task.data.known  # type: ignore[attr-defined]
        assert sample["known"] == [text in names for text in sample["texts"]]
        assert any(sample["known"])

    def test_a_prompt_of_unknown_symbols_is_refused_and_a_mixed_one_says_what_was_left_out(
        self, loop_for: MakeLoop
    ) -> None:
        loop = loop_for("mlp")
        drop(loop.run.inbox, commands.Sample(id="bad", prompt="ЖЖ\x07"))
        drop(loop.run.inbox, commands.Sample(id="mixed", prompt="aЖnn[red]", count=1))
        finish(loop)
        assert "U+0007" in next(row for row in events(loop.run, "failed") if row["id"] == "bad")["message"]
        start = next(row["sample"] for row in events(loop.run, "started") if row["id"] == "mixed")
        assert "'Ж'" in start["unknown"]
        assert "'['" in start["unknown"]
        end = next(row for row in samples(loop.run) if row["id"] == "mixed")
        assert end["texts"][0].startswith("annred")

    def test_a_seeded_sample_is_the_same_twice(self, loop_for: MakeLoop) -> None:
        loop = loop_for("gpt", training__max_steps=1)
        for name in "ab":
            drop(loop.run.inbox, commands.Sample(id=name, seed=7, count=3, temperature=1.0))
        finish(loop)
        texts = {row["id"]: row["texts"] for row in samples(loop.run)}
        assert texts["a"] == texts["b"]


class TestInbox:
    """The inbox of a run in training is read between any two steps here, whatever the clock says."""

    @pytest.fixture(autouse=True)
    def _always_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torchtty.engine.worker.requests.INBOX_INTERVAL", 0.0)

    def test_an_inbox_that_cannot_be_read_for_a_while_is_reported_once_and_read_later(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp")
        inbox, train_step = loop.run.inbox, loop.task.train_step

        def step(number: int) -> Any:
            if number == 3:
                inbox.rename(loop.run.path / "away")
                inbox.write_text("no folder")
            if number == 8:
                inbox.unlink()
                (loop.run.path / "away").rename(inbox)
                drop(inbox, commands.Edit(path="optimizer.learning_rate", value=0.02))
            return train_step(number)

        loop.task.train_step = step  # type: ignore[method-assign]
        assert finish(loop) is RunState.FINISHED
        [warning] = events(loop.run, "warning")
        assert warning["message"].startswith("The run's inbox cannot be read: Not a directory.")
        assert [edit["value"] for edit in events(loop.run, "edit")] == [0.02]

    @pytest.mark.timeout(30)
    def test_what_is_no_small_file_is_removed_and_training_goes_on(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp")
        os.mkfifo(loop.run.inbox / "fifo.json")
        (loop.run.inbox / "folder.json").mkdir()
        with (loop.run.inbox / "large.json").open("wb") as file:
            file.truncate(10**9)
        drop(loop.run.inbox, commands.Edit(path="optimizer.learning_rate", value=0.02))
        assert finish(loop) is RunState.FINISHED
        assert [row["message"] for row in events(loop.run, "warning")] == [
            "The request in fifo.json was removed: it is no small file.",
            "The request in large.json was removed: it is no small file.",
        ]
        assert [edit["value"] for edit in events(loop.run, "edit")] == [0.02]


def test_how_steps_are_computed_is_part_of_the_record_and_decided_once(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", training__max_steps=150, sampling__interval=0)
    finish(loop)
    [chosen] = events(loop.run, "backend")
    assert chosen["backend"] == "eager"
    assert "too few steps are left for a trace to pay" in chosen["reason"]
    log = RunLog(loop.run)
    log.read()
    assert log.facts.backend is not None
    assert log.facts.backend.step == chosen["step"]


class TestBadLuck:
    def test_a_failure_between_two_steps_leaves_a_checkpoint_of_the_last(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__eval_interval=6)
        evaluate = loop.task.evaluate

        def failing(thorough: bool = False) -> dict[str, float]:
            if loop.step == 6:
                raise OSError("the data is gone")
            return evaluate(thorough)

        loop.task.evaluate = failing  # type: ignore[method-assign]
        with pytest.raises(OSError, match="gone"):
            loop.train()
        loop.fail("The data is gone.", weights_are_good=True)
        assert loop.run.checkpoints() == [6]
        assert loop.run.written_status().state is RunState.FAILED
        again = continued(loop_for, loop.run)
        assert finish(again) is RunState.FINISHED

    @pytest.mark.parametrize(("kind", "flags"), [("gpt", {"model__dropout": 0.2}), ("rnn", {}), ("mlp", {})])
    def test_a_step_that_fails_before_weights_move_is_undone_and_the_run_continues_as_if_nothing_had_been(
        self, kind: str, flags: dict[str, Any], loop_for: MakeLoop
    ) -> None:
        flags = flags | {"training__log_interval": 4, "sampling__interval": 0, "training__batch_size": 4}
        whole = loop_for(kind, **flags)
        finish(whole)
        loop = loop_for(kind, **flags)
        fail_at(loop, 7, "gradients")
        with pytest.raises(MemoryError):
            loop.train()
        loop.fail("There is not enough memory.", weights_are_good=True)
        assert loop.run.checkpoints() == [6]
        again = continued(loop_for, loop.run)
        assert finish(again) is RunState.FINISHED
        assert metrics(again.run) == metrics(whole.run)
        for name, tensor in whole.task.weights().items():
            assert torch.equal(tensor, again.task.weights()[name]), name

    @pytest.mark.parametrize(("flags", "where"), [({}, "step"), ({"model__batch_norm": True}, "gradients")])
    def test_a_failure_after_weights_or_averages_have_moved_leaves_no_checkpoint_of_it(
        self, flags: dict[str, Any], where: str, loop_for: MakeLoop
    ) -> None:
        loop = loop_for("mlp", **flags)
        fail_at(loop, 7, where)
        with pytest.raises(MemoryError):
            loop.train()
        loop.fail("There is not enough memory.", weights_are_good=True)
        assert loop.run.checkpoints() == []

    def test_a_diverging_run_stops_with_a_reason_and_keeps_the_last_good_checkpoint(self, loop_for: MakeLoop) -> None:
        loop = loop_for(
            "mlp",
            training__max_steps=400,
            training__checkpoint_interval=5,
            training__log_interval=1,
            optimizer__learning_rate=0.1,
        )
        poison_after(loop, 12)
        with pytest.raises(Diverged, match=r"stopped being a finite number.*step 10"):
            loop.train()
        loop.writer.flush()
        assert loop.run.checkpoints()[-1] == 10
        weights = read_checkpoint(loop.run, 10, with_training=True).weights
        assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
        assert math.isnan(list(metrics(loop.run).values())[-1])

    def test_a_checkpoint_folder_that_cannot_be_written_does_not_end_the_run(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", training__checkpoint_interval=10)
        shutil.rmtree(loop.run.steps)
        loop.run.steps.write_text("in the way")  # also stops root, whom permissions do not
        assert finish(loop) is RunState.FINISHED
        assert "could not be written" in events(loop.run, "warning")[0]["message"]

    def test_a_full_disk_leaves_no_half_checkpoint(self, loop_for: MakeLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = loop_for("mlp", training__max_steps=10)

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", full)
        assert finish(loop) is RunState.FINISHED
        assert loop.run.checkpoints() == []
        assert list(loop.run.steps.iterdir()) == []
        assert "No space left" in events(loop.run, "warning")[0]["message"]


def fail_at(loop: Loop, number: int, where: str) -> None:
    """Let memory run out at the end of a part of a step: the `gradients`, or the `step` of the optimizer."""
    step: Any = loop.task.step  # type: ignore[attr-defined]
    owner = step if where == "gradients" else step.descents[0].optimizer
    whole, calls = getattr(owner, where), 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        result = whole(*arguments)
        if calls == number:
            raise MemoryError
        return result

    setattr(owner, where, failing)


def poison_after(loop: Loop, steps: int) -> None:
    """Make the weights NaN after so many steps, as an exploding gradient does."""
    step = loop.task.train_step

    def poisoned(number: int) -> Any:
        if number == steps:
            next(iter(loop.task.weights().values())).fill_(math.nan)
        return step(number)

    loop.task.train_step = poisoned  # type: ignore[method-assign]


def test_a_run_whose_text_is_gone_still_writes(loop_for: MakeLoop, names_file: Path) -> None:
    loop = loop_for("gpt", training__max_steps=3)
    finish(loop)
    names_file.unlink()
    saved = read_checkpoint(loop.run, 3, with_training=False)
    task = build_task(loop.configuration, saved.tokenizer, data_may_be_gone=True)
    task.load_weights(saved.weights)
    request = task.automatic_sample()
    assert request is not None
    result = SampleResult()
    list(task.sample(request, result))
    assert len(result.texts) == request.count


def test_a_run_that_goes_on_from_its_very_last_step_writes_its_last_rows_once(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", training__max_steps=10, training__log_interval=4)
    finish(loop)
    before = JsonLinesTail(loop.run.metrics_path).read()
    again = continued(loop_for, loop.run)  # as after a worker that was killed behind its last checkpoint
    assert finish(again) is RunState.FINISHED
    assert JsonLinesTail(loop.run.metrics_path).read() == before
    more = continued(loop_for, loop.run)
    more.edit("training.max_steps", 13)
    finish(more)
    assert [row["step"] for row in JsonLinesTail(loop.run.metrics_path).read() if "train_loss" in row] == [
        1,
        4,
        8,
        10,
        12,
        13,
    ]

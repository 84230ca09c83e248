"""float16 with scaled losses, and steps that are compiled, through a stop and a resume."""

import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engine.training.test_loop import continued, events, finish, metrics, stop_after

from torchtty.engine.contract.errors import UserError
from torchtty.engine.devices import check_precision
from torchtty.engine.training import choosing
from torchtty.engine.training.backends.compiled import Compiled, CompiledStep
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.step import EagerStep

MakeLoop = Callable[..., Loop]


def weights(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in loop.task.weights().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_float16_is_for_gpus() -> None:
    check_precision("float16", torch.device("cuda"))
    with pytest.raises(UserError, match="float16 is for GPUs of NVIDIA, and this is a cpu"):
        check_precision("float16", torch.device("cpu"))


@pytest.fixture
def float16_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU computes in float16 too, though slowly: what scales the losses is the same."""
    monkeypatch.setattr(choosing, "check_precision", lambda *_: None)


@pytest.mark.usefixtures("float16_anywhere")
def test_float16_scales_its_losses_and_resumes_to_the_bit(loop_for: MakeLoop) -> None:
    flags: dict[str, Any] = {"training__precision": "float16", "training__max_steps": 12, "training__log_interval": 1}
    whole = loop_for("gpt", **flags)
    finish(whole)
    broken = loop_for("gpt", **flags)
    stop_after(broken, 7)
    finish(broken)
    again = continued(loop_for, broken.run)
    assert isinstance(again.task, NeuralTask)
    assert isinstance(again.task.step, EagerStep)
    assert again.task.step.scaler is not None
    finish(again)
    assert metrics(again.run) == metrics(whole.run)
    assert equal(weights(again), weights(whole))

    usual = loop_for("gpt", training__max_steps=12, training__log_interval=1)
    finish(usual)
    assert metrics(whole.run, "train_loss") == pytest.approx(metrics(usual.run, "train_loss"), rel=0.02)
    assert metrics(whole.run, "grad_norm") == pytest.approx(metrics(usual.run, "grad_norm"), rel=0.1), "unscaled"


@pytest.mark.usefixtures("float16_anywhere")
def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_halved(loop_for: MakeLoop) -> None:
    task = loop_for("mlp", training__precision="float16").task
    assert isinstance(task, NeuralTask)
    assert isinstance(task.step, EagerStep)
    task.train_step(0)
    before = {name: value.clone() for name, value in task.weights().items()}
    task.step.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    task.train_step(1)
    assert equal(before, task.weights())
    assert task.step.scaler.get_scale() == 2.0**125


@pytest.mark.skipif(not shutil.which("g++"), reason="a step is compiled by a C++ compiler")
@pytest.mark.timeout(300)
def test_a_compiled_run_takes_the_eager_way_within_rounding_and_resumes_to_the_bit(
    loop_for: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: dict[str, Any] = {"training__max_steps": 10, "training__log_interval": 1}
    usual = loop_for("mlp", **flags)
    finish(usual)
    whole = loop_for("mlp", **flags, training__compile=True)
    said = list[str]()
    change = whole.writer.change
    monkeypatch.setattr(
        whole.writer, "change", lambda **fields: (said.append(fields.get("message", "")), change(**fields))
    )
    finish(whole)
    assert any(re.fullmatch(r"Compiling the step, .*: [1-9]\d* s so far\.", text) for text in said)
    assert whole.writer.status.message == "", "it is compiled"
    broken = loop_for("mlp", **flags, training__compile=True)
    stop_after(broken, 5)
    finish(broken)
    again = continued(loop_for, broken.run)
    finish(again)
    for loop in (whole, again):
        assert isinstance(loop.task, NeuralTask)
        assert isinstance(loop.task.step, CompiledStep)
        chosen = events(loop.run, "backend")[-1]
        assert chosen["backend"] == "compiled"
        assert "as training.compile says; that took " in chosen["reason"]
    assert metrics(again.run) == metrics(whole.run)
    assert equal(weights(again), weights(whole))
    assert metrics(whole.run, "train_loss") == pytest.approx(metrics(usual.run, "train_loss"), rel=1e-4)


def test_where_nothing_can_be_compiled_the_run_says_why_and_trains(
    loop_for: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> CompiledStep:
        raise RuntimeError("No working C++ compiler found\nin all the usual places")

    monkeypatch.setattr(Compiled, "build", missing)
    loop = loop_for("mlp", training__max_steps=5, training__compile=True)
    finish(loop)
    [chosen] = events(loop.run, "backend")
    assert (chosen["backend"], chosen["reason"]) == ("eager", "compiled: No working C++ compiler found")

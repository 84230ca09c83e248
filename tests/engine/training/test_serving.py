"""A model that is served: what training needed is gone, what can be asked is there, and nobody is left without an answer."""

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.step import EagerStep
from torchtty.engine.worker.requests import Dispatcher
from torchtty.engine.worker.serving import Serving


def ended(loop: Loop, id: str) -> list[str]:
    rows = JsonLinesTail(loop.run.events_path).read()
    return [row["event"] for row in rows if row.get("id") == id and row["event"] in ("answered", "failed")]


@pytest.mark.parametrize("kind", ["mlp", "gpt", "rnn", "ngram", "dcgan"])
def test_a_served_model_answers_as_before_without_what_training_needed(
    kind: str, loop_for: Callable[..., Loop], request: pytest.FixtureRequest
) -> None:
    flags = {"model__carry_state": "true", "data__unit": "text", "training__batch_size": 4} if kind == "rnn" else {}
    if kind == "dcgan":
        flags = {
            "data": request.getfixturevalue("pictures"),
            "model__n_generator": 2,
            "model__n_discriminator": 2,
            "training__batch_size": 4,
        }
        flags |= {"model__image_size": 32, "sampling__count": 2}
    loop = loop_for(kind, training__max_steps=3, **flags)
    assert loop.train() is RunState.FINISHED
    asker = loop.requests
    assert isinstance(asker, Dispatcher)
    asked = {"sample": requests.Sample, "lens": lambda **about: requests.Lens(name="shapes", **about)}
    kept = ["sample", *(["lens"] if kind != "ngram" else [])]

    def ask(when: str) -> None:
        for name in kept:
            loop.run.send(asked[name](id=f"{name} {when}"))
        asker.obey_all()
        assert [ended(loop, f"{name} {when}") for name in kept] == [["answered"]] * len(kept)

    ask("before")
    example = [part.clone() for part in loop.task.example_batch()] if kind != "ngram" else []  # type: ignore[attr-defined]
    step = getattr(loop.task, "step", None)
    held = []
    if isinstance(step, EagerStep):
        weights = {id(weight) for descent in step.descents for weight in descent.weights}
        held = [weakref.ref(tensor) for tensor in step.tensors() if id(tensor) not in weights and tensor.dim()]
        held += [weakref.ref(descent.optimizer) for descent in step.descents]
    held += [weakref.ref(windows) for windows in getattr(loop.task, "windows", {}).values()]
    del step
    assert loop.forget_training()
    gc.collect()
    buffers = {id(buffer) for buffer in loop.task.model.buffers()}  # type: ignore[attr-defined]
    assert [ref() for ref in held if ref() is not None and id(ref()) not in buffers] == []
    ask("after")
    if example:
        assert all(torch.equal(a, b) for a, b in zip(example, loop.task.example_batch(), strict=True))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="the latest checkpoint stands"):
        loop.checkpoint()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (32, 32), (number * 30, 80, 120)).save(folder / f"{number}.png")
    return folder


def test_what_no_checkpoint_has_is_not_forgotten(loop_for: Callable[..., Loop]) -> None:
    loop = loop_for("mlp", training__max_steps=3)
    loop.run.steps.rmdir()
    loop.run.steps.touch()  # as good as a full disk
    assert loop.train() is RunState.FINISHED
    assert not loop.forget_training()
    loop.run.steps.unlink()
    loop.run.steps.mkdir()
    loop.checkpoint()
    assert loop.run.checkpoints() == [3]
    assert loop.forget_training()


def test_whoever_asks_while_a_model_is_given_up_is_answered_all_the_same(loop_for: Callable[..., Loop]) -> None:
    loop = loop_for("mlp", training__max_steps=3)
    loop.train()
    assert isinstance(loop.requests, Dispatcher)
    served = Serving(loop.writer, loop.requests, lambda: False, can_give_way=loop.forget_training())
    seen = list[bool]()

    def ask_late() -> None:
        while loop.run.written_status().serving or not seen:
            seen.append(loop.run.written_status().serving)
        loop.run.send(requests.Sample(id="late", count=1))

    loop.writer.change(serving=True)
    asking = threading.Thread(target=ask_late)
    asking.start()
    served.serve(0.2, was_loaded=False)
    asking.join()
    loop.writer.publish()
    assert True in seen
    assert ended(loop, "late") == ["answered"]
    assert not loop.run.written_status().serving


def test_a_model_nobody_uses_leaves_a_device_that_another_run_wants(
    loop_for: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = loop_for("mlp", training__max_steps=3)
    loop.train()
    assert isinstance(loop.requests, Dispatcher)
    monkeypatch.setattr("torchtty.engine.worker.serving.LINGER", 0.0)
    wanted, looks = [False, False, True], list[bool]()

    def is_wanted() -> bool:
        looks.append(wanted[len(looks)])
        return looks[-1]

    served = Serving(loop.writer, loop.requests, lambda: False, is_wanted, can_give_way=loop.forget_training())
    served.serve(60.0, was_loaded=False)
    assert looks == wanted

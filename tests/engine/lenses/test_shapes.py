"""The lens shapes: what it finds in every family, and that training goes on as if nobody had looked."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from small_models import SMALL, computed, events, loop_over

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES, LensEntry
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.events import Answered, Cancelled, Event, Failed, Progress
from torchtty.engine.contract.run.log import RunLog, is_about, result_of
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.lenses import shapes
from torchtty.engine.training.task import build_task


def looked_at(task: Any) -> dict[str, Any]:
    """The whole result; progress on the way counts up to its total."""
    steps: Iterator[Progress] = shapes.compute(task, {})

    def follow() -> Iterator[Any]:
        result = yield from steps
        found.append(result)

    found: list[dict[str, Any]] = []
    seen = [progress.done for progress in follow()]
    assert seen == list(range(len(found[0]["layers"])))
    return found[0]


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["name"]: layer for layer in result["layers"]}


class TestStepByStep:
    """Every operation, in the order and by the names of the models' source."""

    def operations(self, task: Any) -> list[dict[str, Any]]:
        return computed(shapes.compute, task, {"steps": True})["operations"]

    def test_neighbours_that_are_fused_level_by_level(self, configured: Callable[..., Any]) -> None:
        found = self.operations(build_task(configured("wavenet", training__batch_size="5", model__block_size="4")))
        fused = [
            (one["layer"], one["name"], one["arguments"], one["outputs"]) for one in found if "fuse" in one["layer"]
        ]
        assert fused == [
            ("levels.0.fuse", "unflatten", "1, (-1, 2)", [[5, 2, 2, 4]]),
            ("levels.0.fuse", "flatten", "2", [[5, 2, 8]]),
            ("levels.1.fuse", "unflatten", "1, (-1, 2)", [[5, 1, 2, 8]]),
            ("levels.1.fuse", "flatten", "2", [[5, 1, 16]]),
        ]

    def test_one_matrix_that_is_split_into_queries_keys_and_values(self, configured: Callable[..., Any]) -> None:
        found = self.operations(build_task(configured("gpt", training__batch_size="5")))
        attention = [one for one in found if one["layer"].startswith("blocks.1.attention")]
        assert [(one["name"], one["outputs"][0]) for one in attention[:5]] == [
            ("linear", [5, 6, 24]),
            ("view", [5, 6, 3, 2, 4]),
            ("permute", [3, 5, 2, 6, 4]),
            ("unbind", [5, 2, 6, 4]),
            ("scaled_dot_product_attention", [5, 2, 6, 4]),
        ]
        assert attention[4]["inputs"] == [[5, 2, 6, 4]] * 3
        assert attention[4]["arguments"].startswith("is_causal=True")
        assert "is_causal=True" in attention[4]["arguments"]

    @pytest.mark.parametrize("name", [*SMALL, "ngram"])
    def test_every_family_from_its_batch_to_its_loss(self, configured: Callable[..., Any], name: str) -> None:
        found = self.operations(build_task(configured(name)))
        assert [[]] in [one["outputs"] for one in found], "a loss is a number"
        modules = {layer for layer, _ in build_task(configured(name)).model.named_modules()}  # type: ignore[attr-defined]
        assert {one["layer"] for one in found} <= modules
        assert len({one["layer"] for one in found}) > (1 if name != "ngram" else 0)


class TestWhatItFinds:
    def test_a_model_that_counts_stores_its_counts(self, configured: Callable[..., Any]) -> None:
        task: Any = build_task(configured("ngram"))
        task.train_step(0)
        result = looked_at(task)
        assert result["totals"]["parameters"] == len(task.model.counts)
        assert result["batch"] == [[32, 1], [32, 1]]
        [model] = result["layers"]
        assert (model["outputs"], model["backward_seconds"]) == ([[32, 1, task.facts.vocab_size], []], None)
        task.forget_training()
        assert looked_at(task)["layers"][0]["outputs"] == model["outputs"]

    def test_an_mlp_by_hand(self, configured: Callable[..., Any]) -> None:
        task = build_task(configured("mlp", training__batch_size="32", model__block_size="3"))
        result = looked_at(task)
        layers, vocabulary = by_name(result), task.facts.vocab_size
        assert result["batch"] == [[32, 3], [32, 1]]
        assert layers["embedding"]["inputs"] == [[32, 3]]
        assert layers["embedding"]["outputs"] == [[32, 3, 4]]
        assert layers["embedding"]["parameters"] == vocabulary * 4
        assert layers["hidden"]["inputs"] == [[32, 12]]
        assert layers["hidden"]["outputs"] == [[32, 16]]
        assert layers["hidden"]["parameters"] == 12 * 16 + 16
        assert layers["hidden"]["parameter_bytes"] == 4 * (12 * 16 + 16)
        assert layers["hidden"]["output_bytes"] == 4 * 32 * 16
        assert layers["head"]["outputs"] == [[32, vocabulary]]
        assert layers["head"]["parameters"] == 16 * vocabulary + vocabulary
        assert layers["activation"]["parameters"] == 0
        whole = vocabulary * 4 + 12 * 16 + 16 + 16 * vocabulary + vocabulary
        assert layers[""]["parameters"] == result["totals"]["parameters"] == whole
        assert layers[""]["outputs"] == [[32, 1, vocabulary], []]

    def test_a_gpt_by_hand_with_its_blocks_around_their_layers(self, configured: Callable[..., Any]) -> None:
        task = build_task(configured("gpt", training__batch_size="5"))
        layers = by_name(looked_at(task))
        assert [name for name, layer in layers.items() if layer["depth"] == 1] == [
            "token_embedding",
            "position_embedding",
            "blocks.0",
            "blocks.1",
            "norm",
            "head",
        ]
        attention, expand = layers["blocks.1.attention.query_key_value"], layers["blocks.1.feed_forward.expand"]
        assert (attention["depth"], attention["inputs"], attention["outputs"]) == (3, [[5, 6, 8]], [[5, 6, 24]])
        assert (expand["inputs"], expand["outputs"], expand["parameters"]) == ([[5, 6, 8]], [[5, 6, 32]], 8 * 32 + 32)
        block = layers["blocks.1"]
        assert block["parameters"] == 2 * 16 + (8 * 24) + (8 * 8 + 8) + (8 * 32 + 32) + (32 * 8 + 8)
        assert block["forward_seconds"] > expand["forward_seconds"]

    @pytest.mark.parametrize("name", SMALL)
    def test_every_network_with_all_its_weights(self, configured: Callable[..., Any], name: str) -> None:
        task = build_task(configured(name))
        result = looked_at(task)
        assert result["totals"]["parameters"] == sum(parameter.numel() for parameter in task.model.parameters())
        expected = {
            path for path, module in task.model.named_modules() if any(True for _ in module.parameters(recurse=False))
        }
        assert expected <= by_name(result).keys()
        for layer in result["layers"]:
            assert layer["outputs"]
            assert 0 < layer["forward_seconds"] < 60
            assert layer["backward_seconds"] is None or 0 < layer["backward_seconds"] < 60
            assert layer["backward_seconds"] or not layer["parameters"], layer
        assert result["layers"][0]["outputs"][1] == [], "the model's loss is a number"

    def test_both_networks_of_a_game_with_the_second_asked_twice(self, configured: Callable[..., Any]) -> None:
        layers = by_name(looked_at(build_task(configured("dcgan"))))
        assert layers["generator"]["outputs"] == layers["discriminator"]["inputs"] == [[6, 1, 32, 32]]
        assert (layers["generator"]["calls"], layers["discriminator"]["calls"]) == (1, 2)

    def test_a_game_of_which_only_the_networks_are_in_memory(self, configured: Callable[..., Any]) -> None:
        layers = by_name(looked_at(build_task(configured("dcgan"), data_may_be_gone=True)))
        assert layers["discriminator"]["inputs"] == [[6, 1, 32, 32]]

    @pytest.mark.parametrize("name", ["mlp", "lstm"])
    def test_a_model_whose_text_is_gone_says_so(self, configured: Callable[..., Any], text: Path, name: str) -> None:
        configuration = configured(name)
        tokenizer = build_task(configuration).tokenizer_json()
        text.unlink()
        task = build_task(configuration, tokenizer, data_may_be_gone=True)
        with pytest.raises(UserError, match="cannot be read any more"):
            next(shapes.compute(task, {}))  # type: ignore[arg-type]


def lens(name: str = "shapes") -> requests.Lens:
    return requests.Lens(name=name)


class TestAsARequest:
    def test_a_large_result_is_a_file(self, configured: Callable[..., Any]) -> None:
        loop = loop_over(configured("gpt", model__n_layer="12"), lens, 0)
        loop.writer.run.send(request := lens())
        loop.requests.look()
        answer = next(event for event in events(loop) if isinstance(event, Answered) and is_about(event, request.id))
        assert answer.result is None
        assert answer.artifact.startswith("media/lens-")
        result = result_of(loop.writer.run, answer)
        assert result is not None
        assert "blocks.11" in by_name(result)

    def test_one_that_is_asked_again_and_again_leaves_one_file_and_a_line_each(
        self, configured: Callable[..., Any]
    ) -> None:
        loop = loop_over(configured("gpt"), lens, 0)
        asked = [requests.Lens(name="shapes", live=True) for _ in range(3)]
        for request in asked:
            loop.writer.run.send(request)
            loop.requests.look()
        told = [event for event in events(loop) if getattr(event, "request", "") == "lens"]
        assert [(type(event), event.id) for event in told] == [(Answered, request.id) for request in asked]
        assert [path.name for path in loop.writer.run.media.iterdir()] == ["lens-shapes.json"]
        result = result_of(loop.writer.run, told[-1])
        assert result is not None
        assert "blocks.1" in by_name(result)

    def test_it_is_cancelled_and_can_be_asked_again(
        self, configured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = loop_over(configured("gpt"), lens, 0)
        run, dispatcher = loop.writer.run, loop.requests
        with monkeypatch.context() as patch:
            patch.setattr(shapes, "REPETITIONS", 10**6)
            run.send(first := lens())
            original = shapes._times

            def times_once_cancelled(*arguments: Any) -> Any:
                run.send(requests.Cancel(request=first.id))
                patch.setattr(shapes, "_times", original)
                return original(*arguments)

            patch.setattr(shapes, "_times", times_once_cancelled)
            dispatcher.look()
        run.send(second := lens())
        dispatcher.look()
        ends = {event.id: type(event) for event in events(loop) if isinstance(event, Answered | Cancelled | Failed)}
        assert ends == {first.id: Cancelled, second.id: Answered}
        shown = [event for event in events(loop) if isinstance(event, Progress) and event.id == first.id]
        assert len(shown) < 5, "it ended at the layer it was at"

    def test_it_answers_while_the_run_trains_pauses_and_rests(
        self, configured: Callable[..., Any], workers: Any, wait_until: Callable[..., None]
    ) -> None:
        run = create(configured("mlp", training__max_steps="1000000000", sampling__interval="0"))
        workers.start(run)
        log = RunLog(run)
        found: dict[str, Event] = {}

        def answered(id: str) -> bool:
            found.update({event.id: event for event in log.read().events if isinstance(event, Answered | Failed)})
            return id in found

        def ask(id: str) -> int:
            run.send(requests.Lens(id=id, name="shapes"))
            wait_until(lambda: answered(id), 30, f"the answer while {id}")
            answer = found[id]
            assert isinstance(answer, Answered), answer
            assert answer.result is not None
            return answer.step

        wait_until(lambda: run.status().step > 20, 60, "training")
        assert ask("running") >= 20
        run.send(requests.Pause())
        wait_until(lambda: run.status().state is RunState.PAUSED, 20, "the pause")
        paused = ask("paused")
        run.send(requests.Continue())
        wait_until(lambda: run.status().step > paused, 20, "training after the pause")
        run.send(requests.Stop())
        wait_until(lambda: run.status().serving, 30, "the rest")
        assert ask("resting") == run.status().step
        run.send(requests.Release())


class TestAnotherLens:
    """A lens is three things: a line of the table, a module of the engine and one of the app."""

    @pytest.fixture
    def add(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        def add(name: str, compute: Any) -> None:
            module = ModuleType(f"torchtty.engine.lenses.{name}")
            module.compute = compute  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, module.__name__, module)
            monkeypatch.setitem(LENSES, name, LensEntry(name, name.title(), "It is read at a glance."))

        return add

    def test_it_answers(self, configured: Callable[..., Any], add: Callable[..., None]) -> None:
        def compute(task: Any, options: Any) -> Iterator[Progress]:
            yield Progress(done=0, total=1)
            return {"tensors": len(list(task.model.parameters()))}  # type: ignore[return-value]

        add("tensors", compute)
        loop = loop_over(configured("bigram"), lambda: lens("tensors"), 1)
        loop.requests.look()
        answer = next(event for event in events(loop) if isinstance(event, Answered))
        assert answer.result == {"tensors": 1}

    def test_one_that_breaks_ends_no_run(self, configured: Callable[..., Any], add: Callable[..., None]) -> None:
        def compute(task: Any, options: Any) -> Iterator[Progress]:
            yield Progress(done=0, total=1)
            raise ZeroDivisionError("one by nothing")

        add("broken", compute)
        loop = loop_over(configured("bigram", training__max_steps="12"), lambda: lens("broken"), 6)
        assert loop.train() is RunState.FINISHED
        failed = [event.message for event in events(loop) if isinstance(event, Failed)]
        assert len(failed) == 2
        assert "The lens broken fails on this model: ZeroDivisionError: one by nothing." in failed[0]

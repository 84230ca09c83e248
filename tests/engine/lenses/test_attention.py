"""The lenses attention and buildup: against numpy, from the layers' weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_models import computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.lenses import attention, buildup
from torchtty.engine.training.task import build_task

TEXT = "the fox"


def softmax(scores: np.ndarray) -> np.ndarray:
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def layer_norm(x: np.ndarray, norm: Any) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + norm.eps) * numbers(norm.weight) + numbers(
        norm.bias
    )


def by_numpy(q: np.ndarray, k: np.ndarray, heads: int, causal: bool) -> np.ndarray:
    """Attention weights (nh, T, T) of queries and keys (T, nh*d)."""
    q, k = (part.reshape(len(part), heads, -1).transpose(1, 0, 2) for part in (q, k))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[1:])), scores, -np.inf)
    return softmax(scores)


class TestAttention:
    def test_the_first_layer_of_a_gpt_from_its_weights(self, configured: Callable[..., Any]) -> None:
        task = build_task(configured("gpt"))
        model: Any = task.model
        for parameter in model.parameters():  # first weights are so small that attention is close to even
            parameter.data.mul_(8)
        result = computed(attention.compute, task, {"text": TEXT})
        assert result["left_out"] == 1, "the context holds 6 of the 7 characters"
        ids = task.data.tokenizer.encode(TEXT)[:6]  # type: ignore[attr-defined]
        x = numbers(model.token_embedding.weight)[ids] + numbers(model.position_embedding.weight)[:6]
        block = model.blocks[0]
        fused = layer_norm(x, block.norm_1) @ numbers(block.attention.query_key_value.weight).T  # (T, 3C)
        q, k, _ = np.split(fused, 3, axis=1)
        expected = by_numpy(q, k, 2, causal=True)
        assert np.array(result["weights"]) == pytest.approx(expected, abs=1e-4)
        assert not np.allclose(expected[0][5], 1 / 6, atol=1e-3)
        head = result["layers"][0]["heads"][1]
        entropy = -(expected[1] * np.log2(np.where(expected[1] > 0, expected[1], 1))).sum(1).mean()
        assert head["entropy"] == pytest.approx(entropy, abs=1e-3)
        assert head["itself"] == pytest.approx(np.diagonal(expected[1]).mean(), abs=1e-3)
        assert head["before"] == pytest.approx(np.diagonal(expected[1], -1).mean(), abs=1e-3)
        assert head["first"] == pytest.approx(expected[1][:, 0].mean(), abs=1e-3)

    def test_without_a_mask_every_position_looks_at_all_of_a_full_window(self, configured: Callable[..., Any]) -> None:
        task = build_task(configured("transformer", model__causal="false", model__block_size="9"))
        model: Any = task.model
        result = computed(attention.compute, task, {"text": TEXT})
        data: Any = task.data  # type: ignore[attr-defined]
        ids = [data.start_id] * 2 + data.tokenizer.encode(TEXT)
        x = numbers(model.token_embedding.weight)[ids] + numbers(model.waves)
        layer = model.blocks[0].attention
        q, k = (x @ numbers(part.weight).T + numbers(part.bias) for part in (layer.query, layer.key))
        expected = by_numpy(q, k, 2, causal=False)[:, 2:, 2:]
        assert np.array(result["weights"]) == pytest.approx(expected, abs=1e-4)
        assert result["tokens"] == list(TEXT)

    def test_a_deeper_layer_and_another_head_are_chosen_by_number(self, configured: Callable[..., Any]) -> None:
        task = build_task(configured("gpt"))
        result = computed(attention.compute, task, {"text": TEXT, "layer": 2, "head": 2})
        assert (result["layer"], result["head"]) == (2, 2)
        assert [layer["name"] for layer in result["layers"]] == ["blocks.0.attention", "blocks.1.attention"]
        beyond = computed(attention.compute, task, {"text": TEXT, "layer": 9, "head": 9})
        assert (beyond["layer"], beyond["head"]) == (2, 2), "there are no more than these"
        assert beyond["weights"] == result["weights"]

    def test_a_text_without_a_known_symbol_is_refused(self, configured: Callable[..., Any]) -> None:
        with pytest.raises(UserError, match="Nothing of this text is in the model's vocabulary: it has never seen '€'"):
            computed(attention.compute, build_task(configured("gpt")), {"text": "€€"})

    def test_a_model_without_attention_is_refused(self, configured: Callable[..., Any]) -> None:
        with pytest.raises(UserError, match="no attention layer"):
            computed(attention.compute, build_task(configured("mlp")), {"text": TEXT})


class TestBuildup:
    @pytest.mark.parametrize(("name", "causal"), [("gpt", True), ("transformer", True), ("transformer", False)])
    def test_each_version_gives_the_numbers_of_the_one_before(
        self, configured: Callable[..., Any], name: str, causal: bool
    ) -> None:
        mask = {} if causal else {"model__causal": "false"}
        task = build_task(configured(name, **mask))
        result = computed(buildup.compute, task, {"text": "quick", "head": 2})
        versions = {version["name"]: version for version in result["versions"]}
        assert [version["same_as"] for version in result["versions"]] == ["", "loop", "matrix", "kernel"]
        assert all(version["difference"] < 1e-5 for version in result["versions"][1:])
        weights = np.array(versions["matrix"]["weights"])
        if causal:
            expected = np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None]
            assert weights == pytest.approx(expected, abs=1e-3)
        else:
            assert weights == pytest.approx(np.full((5, 5), 1 / task.model.block_size), abs=1e-3)  # type: ignore[attr-defined]
        shown = computed(attention.compute, task, {"text": "quick"})["weights"][1]
        assert np.array(versions["head"]["weights"]) == pytest.approx(np.array(shown), abs=1e-3)

    def test_averages_are_those_of_the_stream_that_the_layer_reads(self, configured: Callable[..., Any]) -> None:
        task = build_task(configured("transformer"))
        model: Any = task.model
        result = computed(buildup.compute, task, {"text": "dog"})
        ids = task.data.tokenizer.encode("dog")  # type: ignore[attr-defined]
        x = numbers(model.token_embedding.weight)[ids] + numbers(model.waves)[:3]
        expected = [x[: place + 1].mean(0)[:8] for place in range(3)]
        assert np.array(result["versions"][0]["output"]) == pytest.approx(np.array(expected), rel=1e-3, abs=1e-5)

    def test_scores_spread_by_the_size_of_the_queries_unless_they_are_scaled(
        self, configured: Callable[..., Any]
    ) -> None:
        result = computed(buildup.compute, build_task(configured("gpt")), {"text": TEXT})
        drawn = [row for row in result["scaling"] if row["drawn"]]
        assert [row["d_k"] for row in drawn] == [1, 4, 16, 64, 256]
        for (
            row
        ) in drawn:  # the variance of a sum of d products of N(0, 1) is d; 16,000 scores measure it to a few percent
            assert row["variance"] == pytest.approx(row["d_k"], rel=0.15)
            assert row["scaled_variance"] == pytest.approx(1, rel=0.15)
        assert drawn[-1]["largest"] > 0.9 > 0.5 > drawn[-1]["scaled_largest"]
        assert result["scaling"][-1]["d_k"] == 4

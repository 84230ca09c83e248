"""What training may lower agrees with its definition, and with where its minimum lies."""

import math

import pytest
import torch

from torchtty.engine.training.language import objective

LOGITS = torch.tensor([[[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]]], dtype=torch.float64)  # (1, 2, 3)
TRUE = torch.tensor([[0, 2]])


def by_hand(kind: str) -> float:
    total = 0.0
    for row, true in zip(LOGITS[0].tolist(), TRUE[0].tolist(), strict=True):
        exponentials = [math.exp(value) for value in row]
        probabilities = [value / sum(exponentials) for value in exponentials]
        wanted = [float(token == true) for token in range(3)]
        if kind in ("cross-entropy", "nll"):
            total += -math.log(probabilities[true])
        elif kind == "mse":
            total += sum((p - w) ** 2 for p, w in zip(probabilities, wanted, strict=True)) / 3
        elif kind == "l1":
            total += sum(abs(p - w) for p, w in zip(probabilities, wanted, strict=True)) / 3
        else:
            odds = [1 / (1 + math.exp(-value)) for value in row]
            total += -sum(math.log(o if w else 1 - o) for o, w in zip(odds, wanted, strict=True)) / 3
    return total / 2


@pytest.mark.parametrize("kind", ["cross-entropy", "nll", "mse", "l1", "bce", "bce-with-logits"])
def test_each_loss_is_what_its_formula_gives(kind: str) -> None:
    assert objective(kind, LOGITS, TRUE).item() == pytest.approx(by_hand(kind), abs=1e-12)


@pytest.mark.parametrize("kind", ["cross-entropy", "nll", "mse", "l1", "bce", "bce-with-logits"])
def test_positions_that_are_not_predicted_are_left_out(kind: str) -> None:
    padded_logits = torch.cat((LOGITS, torch.full((1, 1, 3), 9.0, dtype=torch.float64)), 1)
    padded_true = torch.cat((TRUE, torch.tensor([[-1]])), 1)
    assert objective(kind, padded_logits, padded_true).item() == pytest.approx(objective(kind, LOGITS, TRUE).item())


@pytest.mark.parametrize(("kind", "expected"), [("cross-entropy", 0.7), ("mse", 0.7), ("l1", 1.0)])
def test_of_two_outcomes_absolute_error_learns_only_the_likelier(kind: str, expected: float) -> None:
    true = torch.tensor([[0]] * 7 + [[1]] * 3)
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(1500):
        optimizer.zero_grad()
        objective(kind, logits.expand(10, 1, 2), true).backward()
        optimizer.step()
    assert logits.softmax(2)[0, 0, 0].item() == pytest.approx(expected, abs=0.01)


def test_a_logit_of_a_hundred_gives_no_infinite_loss() -> None:
    logits = torch.tensor([[[100.0, -100.0]]])
    for kind in ("bce", "bce-with-logits"):
        assert objective(kind, logits, torch.tensor([[1]])).item() == pytest.approx(100.0)
    assert objective("cross-entropy", logits, torch.tensor([[1]])).item() == pytest.approx(200.0)


@pytest.mark.parametrize(("kind", "expected"), [("bce", 0.0), ("bce-with-logits", 0.5)])
def test_where_a_sigmoid_rounds_to_one_only_the_stable_form_still_learns(kind: str, expected: float) -> None:
    logits = torch.tensor([[[200.0, 0.0]]], requires_grad=True)
    objective(kind, logits, torch.tensor([[1]])).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 0].item() == pytest.approx(expected)

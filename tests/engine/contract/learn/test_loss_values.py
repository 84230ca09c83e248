"""The losses of the explorer against torch and its autograd, and what torch refuses."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.learn.losses import (
    Loss,
    Rows,
    Trial,
    curve,
    domain,
    evaluate,
    exponentials,
    losses,
    read_rows,
)

TORCHS = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "cross-entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "bce": F.binary_cross_entropy,
    "bce-logits": F.binary_cross_entropy_with_logits,
}
TRIALS = [(loss, trial) for loss in losses() for trial in loss.trials]


def by_torch(loss: Loss, prediction: Rows, target: Rows) -> tuple[float, Tensor]:
    x = torch.tensor(prediction, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(target).flatten() if loss.takes_classes else torch.tensor(target, dtype=torch.float64)
    value = TORCHS[loss.key](x, y)
    value.backward()
    assert x.grad is not None
    return value.item(), x.grad


def agrees(loss: Loss, prediction: Rows, target: Rows) -> None:
    value, gradient = by_torch(loss, prediction, target)
    found = evaluate(loss.key, prediction, target)
    assert found.value == pytest.approx(value, rel=1e-12, abs=1e-12)
    # torch's smallest p (1 - p) is 1e-12 as a float32
    torch.testing.assert_close(torch.tensor(found.gradient, dtype=torch.float64), gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("loss", "trial"), TRIALS, ids=lambda part: getattr(part, "key", getattr(part, "name", "")))
def test_every_trial_is_what_torch_computes_or_refuses(loss: Loss, trial: Trial) -> None:
    prediction, target = read_rows(trial.prediction), read_rows(trial.target)
    if trial.name in ("float targets", "unsquashed"):
        with pytest.raises((RuntimeError, IndexError)):
            by_torch(loss, prediction, target)
        with pytest.raises(UserError, match="torch says"):
            evaluate(loss.key, prediction, target)
    else:
        agrees(loss, prediction, target)


@pytest.mark.parametrize("loss", losses(), ids=lambda loss: loss.key)
def test_drawn_numbers_give_what_torch_computes(loss: Loss) -> None:
    torch.manual_seed(1)
    for _ in range(20):
        x = torch.rand(3, 4, dtype=torch.float64) if loss.key == "bce" else 5 * torch.randn(3, 4, dtype=torch.float64)
        y = torch.randint(4, (1, 3)) if loss.takes_classes else torch.rand(3, 4, dtype=torch.float64)
        agrees(loss, tuple(map(tuple, x.tolist())), tuple(map(tuple, y.tolist())))


def test_each_pitfall_is_reproduced_and_explained() -> None:
    def warnings(key: str, prediction: str, target: str) -> str:
        return " ".join(evaluate(key, read_rows(prediction), read_rows(target)).warnings)

    assert "log 0" in warnings("bce", "0.0 0.5", "1 0")
    assert "twice" in warnings("cross-entropy", "1 0 0", "0")
    assert "overflows" in warnings("cross-entropy", "100 0", "0")
    assert "negative" in warnings("nll", "0.8 0.2", "0")
    assert "twice" in warnings("bce-logits", "0.9 0.2", "1 0")
    assert warnings("cross-entropy", "2 0.5", "0") == ""
    assert warnings("bce", "1 0", "1 0") == ""
    for target in ("0.0 1.0", "1.0 0.0", "0.0"):
        with pytest.raises(UserError, match="expected scalar type Long but found Float"):
            evaluate("cross-entropy", read_rows("2 1; 0 1" if " " in target else "2 1"), read_rows(target))
    with pytest.raises(UserError, match="between 0 and 1"):
        evaluate("bce", read_rows("2.2"), read_rows("1"))
    with pytest.raises(UserError, match="no class 2"):
        evaluate("nll", read_rows("-1 -1"), read_rows("2"))


def test_the_overflow_near_100_is_that_of_float32_and_the_shift_mends_it() -> None:
    row = (100.0, 0.0, -5.0)
    logits = torch.tensor(row)
    found = exponentials(row)
    torch.testing.assert_close(torch.tensor(found.naive), logits.exp())
    naive = logits.exp() / logits.exp().sum()
    torch.testing.assert_close(torch.tensor(found.naive_shares), naive, equal_nan=True)
    assert math.isnan(found.naive_shares[0])
    torch.testing.assert_close(torch.tensor(found.shares), logits.softmax(0))
    assert exponentials((88.7, 0.0)).naive[0] < math.inf
    assert torch.tensor(88.7).exp() < math.inf
    assert torch.tensor(88.8).exp() == exponentials((88.8,)).naive[0] == math.inf


@pytest.mark.parametrize("loss", losses(), ids=lambda loss: loss.key)
def test_a_curve_passes_through_the_loss_and_has_its_slope(loss: Loss) -> None:
    prediction, target = read_rows(loss.trials[0].prediction), read_rows(loss.trials[0].target)
    for place in ((0, 0), (1, 1)):
        points = curve(loss.key, prediction, target, place)
        low, high = domain(loss.key, prediction, target, place)
        x = prediction[place[0]][place[1]]
        assert points[0][0] == low <= x <= high == points[-1][0]
        found = evaluate(loss.key, prediction, target)
        after = next(i for i, point in enumerate(points) if point[0] >= x)
        assert points[max(after - 1, 0)][1] == pytest.approx(found.value, abs=0.15)
        slope = (points[after + 1][1] - points[after - 2][1]) / (points[after + 1][0] - points[after - 2][0])
        if not (loss.key == "l1" and found.gradient[place[0]][place[1]] == 0):
            assert slope == pytest.approx(found.gradient[place[0]][place[1]], abs=0.05)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one"),
        ("1 2; 3", "as many"),
        ("1 \x1b[2Jx", "not a number"),
        ("nan", "from -1000000"),
        ("1 " * 7, "6 numbers"),
    ],
)
def test_what_is_no_row_of_numbers_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        read_rows(text)
    assert "\x1b" not in str(refused.value)

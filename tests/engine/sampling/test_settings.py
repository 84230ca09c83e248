"""Choosing the next token: what may be drawn, and how often it is."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchtty.engine.sampling.decoder import NOT_A_NUMBER, Choice, draw, probabilities

LOGITS = st.lists(st.integers(-40, 40).map(lambda n: n / 4), min_size=2, max_size=30).map(
    lambda values: torch.tensor([values])  # quarters, so that ties are common and exact
)
DRAWS = 20_000
# The test's seed is fixed; a correct sampler would fail one seed in a million.
SIGNIFICANCE = 1e-6


def _of(*shares: float) -> Tensor:
    """Logits (1, V) of a distribution."""
    return torch.tensor([shares], dtype=torch.float64).log()


@pytest.mark.parametrize(
    "choice",
    [Choice(), Choice(0.5), Choice(2.0), Choice(1.0, top_k=3), Choice(1.0, top_p=0.8), Choice(0.7, top_k=4, top_p=0.9)],
)
def test_tokens_are_drawn_as_often_as_they_are_probable(choice: Choice) -> None:
    logits = torch.tensor([[1.5, 0.3, -0.4, 2.0, 0.3, -1.0]])
    expected = probabilities(logits, choice)
    generator = torch.Generator().manual_seed(17)
    counts = torch.bincount(draw(expected.expand(DRAWS, -1), generator), minlength=6).double()
    possible = expected[0] > 0
    assert counts[~possible].sum() == 0
    wanted = expected[0][possible] * DRAWS
    statistic = float(((counts[possible] - wanted) ** 2 / wanted).sum())
    half_freedom = torch.tensor((int(possible.sum()) - 1) / 2)
    assert torch.special.gammaincc(half_freedom, torch.tensor(statistic / 2)) > SIGNIFICANCE  # of chi-squared


def test_without_limits_the_distribution_is_the_softmax() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(probabilities(logits, Choice()), logits.double().softmax(1))
    assert torch.allclose(probabilities(logits, Choice(0.5)), (logits.double() * 2).softmax(1))


@given(LOGITS, st.integers(1, 40))
def test_top_k_keeps_exactly_k_also_among_ties(logits: Tensor, k: int) -> None:
    result = probabilities(logits, Choice(top_k=k))[0]
    kept = result > 0
    assert int(kept.sum()) == min(k, logits.shape[1])
    assert float(result.sum()) == pytest.approx(1)
    if not kept.all():
        assert logits[0][kept].min() >= logits[0][~kept].max()


@given(LOGITS, st.floats(0.001, 1.0))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits: Tensor, p: float) -> None:
    whole = probabilities(logits, Choice())[0]
    kept = probabilities(logits, Choice(top_p=p))[0] > 0
    inside = whole[kept]
    assert float(inside.sum()) >= p - 1e-9
    assert float(inside.sum() - inside.min()) < p + 1e-9  # one fewer would not do
    if not kept.all():
        assert inside.min() >= whole[~kept].max()


@pytest.mark.parametrize(
    ("p", "kept"),
    [(1e-9, 1), (0.5, 1), (0.5 + 1e-9, 2), (0.75, 2), (0.75 + 1e-9, 3), (0.875, 3), (1 - 1e-9, 4), (1.0, 4), (None, 4)],
)
def test_top_p_at_its_boundaries(p: float | None, kept: int) -> None:
    result = probabilities(_of(0.5, 0.25, 0.125, 0.125), Choice(top_p=p))
    assert int((result > 0).sum()) == kept


def test_top_p_renormalises_what_it_keeps() -> None:
    result = probabilities(_of(0.5, 0.25, 0.125, 0.125), Choice(top_p=0.6))
    assert torch.allclose(result, torch.tensor([[2 / 3, 1 / 3, 0, 0]], dtype=torch.float64))


@given(LOGITS)
def test_temperature_zero_takes_the_first_of_the_likeliest(logits: Tensor) -> None:
    choice = Choice(0, top_k=2, top_p=0.3)
    generator = torch.Generator().manual_seed(0)
    drawn = {int(draw(probabilities(logits, choice), generator)) for _ in range(5)}
    assert drawn == {int(logits.argmax())}


def test_a_token_of_no_probability_is_never_drawn() -> None:
    probability = torch.zeros(5000, 7, dtype=torch.float64)
    probability[:, 4] = 1
    assert set(draw(probability, torch.Generator().manual_seed(2)).tolist()) == {4}


def test_rows_are_drawn_apart() -> None:
    expected = torch.full((1000, 2), 0.5, dtype=torch.float64)
    assert 400 < int(draw(expected, torch.Generator().manual_seed(3)).sum()) < 600


@pytest.mark.parametrize("choice", [Choice(), Choice(0), Choice(top_k=2), Choice(top_p=0.5), Choice(0.5, top_k=1)])
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_no_token_is_drawn_from_a_row_that_is_no_numbers(choice: Choice, value: float) -> None:
    logits = torch.tensor([[0.0, 9.0, 0.0], [0.0, torch.nan, 1.0], [value] * 3])
    drawn = draw(probabilities(logits, choice), torch.Generator().manual_seed(1)).tolist()
    assert drawn[:2] == [1, NOT_A_NUMBER]
    assert drawn[2] == NOT_A_NUMBER or (choice.temperature == 0 and value == -torch.inf)

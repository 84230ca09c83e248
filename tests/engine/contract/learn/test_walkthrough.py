"""The transformer by hand: the course's values where they hold, its slips corrected, and torch as the judge of the rest."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.learn.example import Example, Sizes, built_in, words
from torchtty.engine.contract.learn.tables import Table
from torchtty.engine.contract.learn.walkthrough import Step, positional_encoding, slips, texts, walk

PRINTED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("by_hand.toml").read_text())
HALF_A_DIGIT = 0.00501  # of numbers that are printed with two decimals


def table(steps: tuple[Step, ...], step: int, key: str, number: int = 0) -> Table:
    """Return the n-th table of a kind in a step (counted from 1)."""
    return [found for found in steps[step - 1].tables if found.key == key][number]


def tensor(found: Table) -> Tensor:
    return torch.tensor([found.line(row) for row in range(len(found.rows))], dtype=torch.float64)


def own_example() -> Example:
    """An example of other sizes, with two heads and another text."""
    return built_in().with_text("Every word waits, every page turns!", "and then", Sizes(8, 3, 2, 12), seed=5)


@pytest.mark.parametrize(
    ("step", "key", "name", "within"),
    [
        (6, "input", "input", HALF_A_DIGIT),
        (7, "w_query", "w_query", 0),
        (7, "w_key", "w_key", 0),
        (7, "w_value", "w_value", 0),
        (7, "w_output", "w_output", 0),
        (7, "query", "query", HALF_A_DIGIT),
        (7, "key", "key", HALF_A_DIGIT),
        (7, "scores", "scores", 0.06),  # computed from queries and keys of two decimals
    ],
)
def test_every_value_of_the_course_that_holds_is_reproduced(step: int, key: str, name: str, within: float) -> None:
    found = tensor(table(walk(built_in()), step, key))
    printed = torch.tensor(PRINTED[name], dtype=torch.float64)
    assert found.shape == printed.shape
    assert (found - printed).abs().max() <= within


def test_the_sizes_are_those_of_the_course() -> None:
    assert (built_in().sizes.d_model, built_in().sizes.d_k) == (PRINTED["d_model"], PRINTED["d_k"])
    assert len(built_in().vocabulary) == 2 + 23
    assert len(slips()) == len(PRINTED["slips"])


def test_the_printed_softmax_is_the_slip_of_dividing_by_the_wrong_root() -> None:
    printed = torch.tensor(PRINTED["softmax_of_scores_over_sqrt_6"], dtype=torch.float64)
    wrong = tensor(table(walk(built_in(), {"scale"}), 7, "attention"))
    assert (wrong - printed).abs().max() <= 0.002
    right = tensor(table(walk(built_in()), 7, "attention"))
    scores = tensor(table(walk(built_in()), 7, "scores"))
    torch.testing.assert_close(right, (scores / math.sqrt(4)).softmax(1), atol=1e-12, rtol=0)
    assert (right - printed).abs().max() > 0.05


def test_the_values_are_the_input_times_their_own_weights() -> None:
    found = table(walk(built_in()), 7, "value").line(0)
    assert found == pytest.approx([3.63, 4.58, 4.21, 4.76], abs=HALF_A_DIGIT)
    wrong = walk(built_in(), {"value"})
    assert table(wrong, 7, "value").values == table(wrong, 7, "query").values


def test_positions_are_a_sine_and_a_cosine_of_one_angle() -> None:
    found = table(walk(built_in()), 5, "positions")
    for position in range(6):
        for pair in range(3):
            angle = position / 10000 ** (2 * pair / 6)
            assert found.number(position, 2 * pair) == math.sin(angle)
            assert found.number(position, 2 * pair + 1) == math.cos(angle)
    assert positional_encoding(6, 6) == found.values
    assert table(walk(built_in(), {"positions"}), 5, "positions").number(1, 1) == pytest.approx(0.0464, abs=5e-5)


def test_normalisation_is_that_of_torch_and_the_slip_that_of_samples() -> None:
    steps = walk(built_in())
    for step in (8, 10):
        added = tensor(table(steps, step, "residual"))
        torch.testing.assert_close(
            tensor(table(steps, step, "normalised")), F.layer_norm(added, (6,)), atol=1e-12, rtol=0
        )
    wrong = walk(built_in(), {"norm"})
    added = tensor(table(wrong, 8, "residual"))
    sample = (added - added.mean(1, keepdim=True)) / (added.std(1, keepdim=True) + 1e-5)
    torch.testing.assert_close(tensor(table(wrong, 8, "normalised")), sample, atol=1e-12, rtol=0)


def test_the_future_is_hidden_in_every_head_by_minus_infinity() -> None:
    example = own_example()
    for head in range(2):
        masked, shares = (table(walk(example), 12, key, head) for key in ("masked", "attention"))
        for row in range(3):
            for column in range(3):
                assert (masked.number(row, column) == -math.inf) == (column > row)
                assert (shares.number(row, column) == 0) == (column > row)
    wrong = walk(example, {"mask"})
    assert table(wrong, 12, "masked", 0).number(0, 2) == 0
    assert table(wrong, 12, "attention", 0).number(0, 2) > 0
    assert table(wrong, 12, "masked", 1).number(2, 0) == 0  # the second head hides the past
    assert table(wrong, 12, "masked", 1).number(0, 2) != 0


def test_the_spread_of_dot_products_grows_with_the_root_of_their_length() -> None:
    for measured, root, ratio in table(walk(built_in()), 7, "spread").values:
        assert isinstance(ratio, float)
        assert measured == pytest.approx(ratio * float(root))
        assert abs(ratio - 1) < 0.15  # 400 draws: the spread of the estimate is 0.035


def by_torch(example: Example) -> Tensor:
    """Compute the logits with torch, one row a written word, from the embeddings and weights of an example."""
    sizes, ids = example.sizes, {word: number for number, word in enumerate(example.vocabulary)}

    def weight(name: str, rows: int, columns: int) -> Tensor:
        return torch.tensor(example.weights(name, rows, columns), dtype=torch.float64)

    def embedded(read: tuple[str, ...]) -> Tensor:
        rows = torch.tensor(example.embedding(), dtype=torch.float64)[[ids[word] for word in read]]
        pairs = torch.arange(0, sizes.d_model, 2).double()
        angles = torch.arange(len(read)).double()[:, None] / 10000 ** (pairs / sizes.d_model)
        return rows + torch.stack((angles.sin(), angles.cos()), 2).flatten(1)

    def attention(name: str, x: Tensor, y: Tensor, causal: bool = False) -> Tensor:
        heads = []
        for head in range(sizes.n_head):
            of = "" if head == 0 else f" of head {head + 1}"
            q, k, v = (
                source @ weight(f"{name}w_{part}{of}", sizes.d_model, sizes.d_k)
                for part, source in (("query", x), ("key", y), ("value", y))
            )
            heads.append(F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=causal)[0])
        return torch.cat(heads, 1) @ weight(f"{name}w_output", sizes.n_head * sizes.d_k, sizes.d_model)

    def norm(x: Tensor) -> Tensor:
        return F.layer_norm(x, (sizes.d_model,))

    def forward(name: str, x: Tensor) -> Tensor:
        hidden = x @ weight(f"{name} w_hidden", sizes.d_model, sizes.d_ff) + weight(f"{name} b_hidden", 1, sizes.d_ff)
        return hidden.relu() @ weight(f"{name} w_narrow", sizes.d_ff, sizes.d_model) + weight(
            f"{name} b_narrow", 1, sizes.d_model
        )

    x = embedded(example.sentence)
    x = norm(x + attention("", x, x))
    x = norm(x + forward("encoder", x))
    y = embedded(("<start>", *example.written))
    y = norm(y + attention("decoder ", y, y, causal=True))
    y = norm(y + attention("cross ", y, x))
    y = norm(y + forward("decoder", y))
    count = len(example.vocabulary)
    return y @ weight("w_vocabulary", sizes.d_model, count) + weight("b_vocabulary", 1, count)


@pytest.mark.parametrize("example", [built_in(), own_example()], ids=["built-in", "own"])
def test_the_whole_way_agrees_with_torch(example: Example) -> None:
    steps, logits = walk(example), by_torch(example)
    torch.testing.assert_close(tensor(table(steps, 13, "logits")), logits, atol=1e-10, rtol=0)
    shares = logits[-1].softmax(0)
    answer = table(steps, 13, "answer")
    order = shares.argsort(descending=True)
    assert answer.rows == tuple(example.vocabulary[number] for number in order)
    assert answer.column(0) == pytest.approx(shares[order].tolist())
    assert answer.column(1) == pytest.approx((-shares[order].log()).tolist())


@pytest.mark.parametrize("wrong", [(), [slip.key for slip in slips()]], ids=["right", "with every slip"])
@pytest.mark.parametrize("example", [built_in(), own_example()], ids=["built-in", "own"])
def test_every_number_leads_to_those_it_comes_from(example: Example, wrong: Any) -> None:
    """Each cell explains itself; a sum of products is that of the listed ones, and the last line holds the cell."""
    for step in walk(example, wrong):
        for found in step.tables:
            assert found.key in texts()
            for row in range(len(found.rows)):
                for column in range(len(found.columns)):
                    trace = found.trace(row, column)
                    assert trace.sentence
                    assert all(source.rows and source.columns for source in trace.sources)
                    if trace.footers:
                        assert found.values[row][column] in trace.footers[-1]
                    if trace.header[-1:] == ("product",):
                        bias = sum(float(footer[-1]) for footer in trace.footers[:-1])
                        total = sum(float(line[-1]) for line in trace.lines) + bias
                        assert total == pytest.approx(found.number(row, column))


def test_what_a_person_writes_becomes_words_in_lower_case_without_punctuation() -> None:
    assert words("When the lamp BURNS,\x1b[31m we read…") == ("when", "the", "lamp", "burns", "31m", "we", "read")
    assert words("L'acqua è un'onda") == ("l'acqua", "è", "un'onda")
    example = built_in().with_text("we read until dawn", "we read until", Sizes(), 1)
    assert example.following == "the"  # of the first sentence that begins so
    assert "dawn" in example.vocabulary


@pytest.mark.parametrize(
    ("sentence", "written", "sizes", "says"),
    [
        ("…", "", {}, "no word"),
        ("a " * 13, "", {}, "13 words"),
        ("a", "b " * 12, {}, "12 words"),
        ("x" * 21, "", {}, "longer than 20"),
        ("a", "", {"d_model": 5}, "even"),
        ("a", "", {"d_ff": 0}, "d_ff must be from 1 to 32"),
    ],
)
def test_what_cannot_be_read_as_tables_is_refused(
    sentence: str, written: str, sizes: dict[str, int], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        built_in().with_text(sentence, written, Sizes(**sizes), 1)

"""The decoder: with and without a cache, beyond the window, several at once, up to the terminator."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.contract.settings.models.mlp import MLPModel
from torchtty.engine.contract.settings.models.ngram import NGramModel
from torchtty.engine.data.prepared import PreparedText, prepared_without_corpus
from torchtty.engine.data.tokenizers import CharacterTokenizer
from torchtty.engine.models.gpt import GPT
from torchtty.engine.models.gpt2 import GPT2, Architecture
from torchtty.engine.models.mlp import MLP
from torchtty.engine.models.ngram import NGram
from torchtty.engine.sampling.decoder import Choice, decode, fetched
from torchtty.engine.sampling.text import SampleRequest, SampleResult, sample_text

VOCABULARY, WINDOW = 20, 12


def _sharpened(model: nn.Module) -> nn.Module:
    """Make the first weights larger, so that context matters to what is drawn."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.25)
    return model.eval()


def _gpt() -> nn.Module:
    return GPT(GPTModel(n_layer=2, n_head=2, n_embd=16, block_size=WINDOW), VOCABULARY)


def _tied_gpt() -> nn.Module:
    config = GPTModel(n_layer=1, n_head=4, n_embd=16, block_size=WINDOW, bias=False, tie_weights=True, dropout=0.5)
    return GPT(config, VOCABULARY)


def _gpt2() -> nn.Module:
    shape = Architecture(VOCABULARY, WINDOW, 16, 2, 2, 64, "gelu_new", 1e-5)
    return GPT2(shape, GPT2Model(block_size=4))


def _mlp() -> nn.Module:
    return MLP(MLPModel(block_size=3), VOCABULARY)


def _ngram(n: int = 2) -> nn.Module:
    model = NGram(NGramModel(n=n), VOCABULARY)
    model.count(torch.randint(VOCABULARY, (500, n), generator=torch.Generator().manual_seed(0)))
    return model


@pytest.fixture(params=[_gpt, _tied_gpt, _gpt2])
def remembering(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(7)
    return _sharpened(request.param())


def _drawn(
    model: nn.Module, prompt: list[int], rows: int = 1, tokens: int = 30, choice: Choice | None = None, **settings: bool
) -> Tensor:
    """Tokens (rows, tokens) with a seed of 5."""
    generator = torch.Generator().manual_seed(5)
    pieces = decode(
        model, torch.tensor(prompt, dtype=torch.int64), rows, tokens, choice or Choice(), generator, 0, **settings
    )
    return torch.stack(list(pieces), 1)


# Lengths around the window of 12: within it, reaching its end exactly, sliding, and a prompt that fills or exceeds it.
@pytest.mark.parametrize(
    ("prompt", "tokens"), [(0, 1), (0, 11), (0, 12), (0, 13), (3, 9), (3, 10), (3, 40), (11, 5), (12, 5), (30, 5)]
)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_cache_changes_no_token(remembering: nn.Module, prompt: int, tokens: int, rows: int) -> None:
    ids = [(7 * place) % VOCABULARY for place in range(prompt)]
    with_cache = _drawn(remembering, ids, rows, tokens)
    assert with_cache.shape == (rows, tokens)
    assert torch.equal(with_cache, _drawn(remembering, ids, rows, tokens, cached=False))


@torch.no_grad()
@pytest.mark.parametrize(("prompt", "tokens", "rows"), [(1, 8, 3), (5, 7, 1), (5, 20, 4)])
def test_a_cache_with_its_position_on_the_device_changes_no_token(
    remembering: nn.Module, prompt: int, tokens: int, rows: int
) -> None:
    ids = torch.randint(VOCABULARY, (prompt,), generator=torch.Generator().manual_seed(3)).tolist()
    found = _drawn(remembering, ids, rows, tokens, fixed=True)
    assert torch.equal(found, _drawn(remembering, ids, rows, tokens, fixed=False))


@pytest.mark.parametrize("count", [1, 2, 8, 9, 20])
def test_tokens_are_fetched_the_first_at_once_and_then_in_eights(count: int) -> None:
    taken = 0

    def tokens() -> Iterator[Tensor]:
        nonlocal taken
        for taken in range(1, count + 1):
            yield torch.tensor([taken, -taken])

    found = []
    for number, rows in enumerate(fetched(tokens(), 8), 1):
        assert taken == min(count, 1 + -(-(number - 1) // 8) * 8)
        found.append(rows)
    assert found == [[number, -number] for number in range(1, count + 1)]


def test_logits_with_a_cache_are_those_without(remembering: nn.Module) -> None:
    idx = torch.randint(VOCABULARY, (3, WINDOW), generator=torch.Generator().manual_seed(4))
    whole = remembering(idx)[0]
    cache = remembering.new_cache(3, WINDOW)  # type: ignore[operator]
    place = 0
    for width in (4, 1, 3, 1, 3):  # several at once need a mask, one alone does not
        logits = remembering(idx[:, place : place + width], cache=cache)[0]
        place += width
        assert torch.allclose(logits[:, 0], whole[:, place - 1], atol=1e-5)
        assert cache.full == (place == WINDOW)


def test_the_cache_stays_in_its_buffers_and_reads_the_prompt_once(remembering: nn.Module) -> None:
    widths: list[tuple[int, ...]] = []
    hook = remembering.register_forward_pre_hook(lambda _, args: widths.append(tuple(args[0].shape)))
    _drawn(remembering, [1, 2, 3], rows=4, tokens=5)
    hook.remove()
    assert widths == [(1, 3), (4, 1), (4, 1), (4, 1), (4, 1)]


@pytest.mark.parametrize("build", [_gpt, _gpt2, _mlp, _ngram, lambda: _ngram(1), lambda: _ngram(3)])
def test_several_at_once_equal_one_by_one_when_greedy(build: object) -> None:
    torch.manual_seed(7)
    model = build()  # type: ignore[operator]
    if not isinstance(model, NGram):
        _sharpened(model)
    together = _drawn(model, [4, 2], rows=3, tokens=20, choice=Choice(0))
    alone = _drawn(model, [4, 2], rows=1, tokens=20, choice=Choice(0))
    assert torch.equal(together, alone.expand(3, -1))


def test_rows_go_their_own_way_when_drawn(remembering: nn.Module) -> None:
    rows = _drawn(remembering, [1], rows=4, tokens=20)
    assert len({tuple(row) for row in rows.tolist()}) == 4


def test_a_seed_reproduces(remembering: nn.Module) -> None:
    assert torch.equal(_drawn(remembering, [1, 2], rows=2), _drawn(remembering, [1, 2], rows=2))


def test_tokens_beyond_the_tokenizers_are_never_drawn(remembering: nn.Module) -> None:
    generator = torch.Generator().manual_seed(5)
    pieces = decode(remembering, torch.tensor([1]), 5, 100, Choice(3.0), generator, 0, vocab_size=6)
    assert int(torch.stack(list(pieces)).max()) == 5


def test_what_is_drawn_first_follows_the_models_probabilities(remembering: nn.Module) -> None:
    with torch.no_grad():
        expected = remembering(torch.tensor([[3, 1]]))[0][0, -1].softmax(0)
    counts = torch.bincount(_drawn(remembering, [3, 1], rows=20_000, tokens=1)[:, 0], minlength=VOCABULARY)
    # Four standard deviations of a share of 20,000 draws, at most 4 * sqrt(0.25 / 20,000) = 0.014.
    assert torch.allclose(counts / 20_000, expected, atol=0.015, rtol=0)


ITEMS = ("anna", "ada", "bert", "tea")


@pytest.fixture
def names() -> PreparedText:
    prepared = prepared_without_corpus(CharacterTokenizer.from_items(ITEMS), items=True)
    prepared.known = frozenset(ITEMS)
    return prepared


def _sampled(model: nn.Module, data: PreparedText, **changes: object) -> SampleResult:
    settings = {
        "prompt": "",
        "count": 8,
        "max_tokens": 200,
        "temperature": 1.0,
        "top_k": None,
        "top_p": None,
        "seed": 9,
    }
    result = SampleResult()
    request = SampleRequest(**(settings | changes))  # type: ignore[arg-type]
    pieces: dict[int, str] = {}
    for piece in sample_text(model, data, request, result, torch.device("cpu")):
        pieces[piece.index] = pieces.get(piece.index, "") + piece.text
    assert [pieces.get(index, "") for index in range(len(result.texts))] == result.texts
    return result


def _names_model(data: PreparedText) -> nn.Module:
    torch.manual_seed(7)
    return _sharpened(GPT(GPTModel(n_layer=1, n_head=2, n_embd=16, block_size=WINDOW), data.tokenizer.vocab_size))


def test_samples_of_items_end_at_the_terminator(names: PreparedText) -> None:
    model = _names_model(names)
    texts = _sampled(model, names).texts
    assert all(set(text) <= set("".join(ITEMS)) for text in texts)
    assert len({len(text) for text in texts}) > 1
    assert max(len(text) for text in texts) < 200
    assert all(len(text) <= 3 for text in _sampled(model, names, max_tokens=3).texts)


def test_a_sample_is_marked_where_it_stands_in_the_training_data(names: PreparedText) -> None:
    model = NGram(NGramModel(n=2, smoothing=0), names.tokenizer.vocab_size)
    end = names.terminator
    rows = [[end, *names.tokenizer.encode(item), end] for item in ITEMS]
    model.count(torch.tensor([row[place : place + 2] for row in rows for place in range(len(row) - 1)]))
    result = _sampled(model, names, count=64)
    assert result.known == [text in ITEMS for text in result.texts]
    assert set(result.known) == {True, False}


def test_the_same_seed_gives_the_same_texts_and_another_gives_others(names: PreparedText) -> None:
    model = _names_model(names)
    assert _sampled(model, names).texts == _sampled(model, names).texts
    assert _sampled(model, names).texts != _sampled(model, names, seed=10).texts


def test_a_prompt_is_gone_on_from(names: PreparedText) -> None:
    result = _sampled(_names_model(names), names, prompt="an!")
    assert result.unknown == ["'!'"]
    assert all(text.startswith("an") for text in result.texts)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_whose_weights_are_no_numbers_draws_nothing_and_says_so(
    names: PreparedText, temperature: float
) -> None:
    model = _names_model(names)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match=r"are not numbers any more.*earlier checkpoint"):
        _sampled(model, names, temperature=temperature)


class _Greedy(nn.Module):
    """A model that wants more memory than an address can reach, as a large cache for many samples does."""

    block_size, predicts_every_position = 4, True

    def forward(self, idx: Tensor) -> tuple[Tensor, None]:
        return torch.empty(2**48 // 4), None


def test_a_sample_that_does_not_fit_into_memory_is_one_sentence_with_what_to_lower(names: PreparedText) -> None:
    with pytest.raises(UserError, match=r"not enough memory for 8 samples at once: take a smaller count \(--count\)"):
        _sampled(_Greedy(), names)


def test_another_fault_of_torch_is_not_taken_for_a_lack_of_memory(names: PreparedText) -> None:
    model = _names_model(names)
    model.token_embedding = nn.Embedding(3, 16)
    with pytest.raises((RuntimeError, IndexError)):
        _sampled(model, names)
